"""`./patchcord restore FILE`: a backup into an empty place; then `--release` or `--discard` what was unfinished in it."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from graph_runtime.cli import place
from graph_runtime.cli.backup import Progress
from graph_runtime.storage import archive as files
from graph_runtime.storage import migrate, restore_guard
from graph_runtime.storage.archive import BackupRefused, Manifest
from graph_runtime.storage.data_folder import DataFolderError
from graph_runtime.storage.dump import load
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.encryption import KeyRing

DECIDE = """\
These may have been done after the backup was made, so they are held and nothing of them is done until you decide:
  ./patchcord restore --release    go on with them: somebody may get an answer twice
  ./patchcord restore --discard    drop them: somebody may get no answer"""


def run(arguments: Sequence[str]) -> int:
    """`FILE`, or one of `--release`, `--discard`, `--hold`."""
    parser = argparse.ArgumentParser(prog="patchcord restore", allow_abbrev=False)
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--release", action="store_true", help="go on with what is held since a restore")
    what.add_argument("--discard", action="store_true", help="drop what is held since a restore")
    what.add_argument("--hold", action="store_true", help="after a restore by other means: hold what is unfinished")
    options = parser.parse_args(arguments)
    decides = options.release or options.discard or options.hold
    if bool(options.file) == bool(decides):
        parser.error("name a FILE, or one of --release, --discard and --hold")
    try:
        if options.file:
            _restore(options.file)
        elif options.hold:
            with place.database() as url:
                print(f"Held: {restore_guard.hold(url, datetime.now(UTC))}.\n{DECIDE}")
        else:
            with place.database() as url:
                held = restore_guard.decide(url, "release" if options.release else "discard")
            print(f"{'Released' if options.release else 'Discarded'}: {held}.")
    except BackupRefused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _restore(file: Path) -> None:
    with files.open_archive(file) as (archive, manifest):
        if manifest.schema not in migrate.revisions():
            raise BackupRefused(
                f"{file} was made by a newer Patchcord (schema {manifest.schema}). Restore it with that version or later."
            )
        key = files.key_in(archive, manifest)
        with _empty_place(key) as url:
            print(f"Restoring the rows of {manifest.made_at} ...", flush=True)
            with archive.open(files.DUMP) as rows:
                load(url, manifest.schema, rows, Progress("restored"))
            held = restore_guard.hold(url, datetime.fromisoformat(manifest.made_at))
            if not held:
                restore_guard.decide(url, "release")
    print("Restored.")
    if held:
        print(f"Unfinished when the backup was made: {held}.\n{DECIDE}")
    _say_about_key(manifest, key)


def _say_about_key(manifest: Manifest, key: str) -> None:
    known = place.secret_key()
    if not manifest.key_id or (known and KeyRing([known]).newest == manifest.key_id):
        return
    if not key:
        print(
            "The backup holds no secret key. Before you start, set PATCHCORD_SECRET_KEY to the key it was made with, or put "
            "that key's file into the data folder as secret-key; without it the saved keys of vendors cannot be read."
        )
    elif place.own_database():
        print("The secret key in the backup was not written anywhere. Restore it into your settings by hand.")


@contextmanager
def _empty_place(key: str) -> Iterator[str]:
    """The owner's address of an empty database. A data folder gets its name only when all went well."""
    if url := place.own_database():
        print("Restoring into the database of PATCHCORD_DATABASE_ADMIN_URL or DATABASE_URL.", flush=True)
        yield url
        return
    if not os.environ.get("PATCHCORD_DATA_DIR"):
        raise BackupRefused("Say where to: --data DIR, an empty or new folder; or set PATCHCORD_DATABASE_ADMIN_URL.")
    folder = place.data_dir()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupRefused(f"{folder} is not empty. Choose a new folder: nothing is ever overwritten.")
    unfinished = folder.with_name(f".{folder.name}.restoring")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with EmbeddedPostgres(unfinished) as server:
            yield server.admin_url
        if key:
            descriptor = os.open(unfinished / "secret-key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as target:
                target.write(key)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    except DataFolderError as error:
        raise BackupRefused(str(error)) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
