"""`./patchcord backup FILE`: everything the database holds at one moment, while the program runs or not."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from graph_runtime import __version__
from graph_runtime.cli import place
from graph_runtime.storage import archive as files
from graph_runtime.storage.archive import FORMAT, BackupRefused, Manifest
from graph_runtime.storage.dump import dump, files_elsewhere, schema_of
from graph_runtime.storage.encryption import KeyRing


def run(arguments: Sequence[str]) -> int:
    """`FILE [--with-secret-key]`."""
    parser = argparse.ArgumentParser(prog="patchcord backup", allow_abbrev=False)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--with-secret-key", action="store_true", help="put the secret key into the file, too")
    options = parser.parse_args(arguments)
    try:
        with place.database() as url:
            manifest = back_up(url, options.file, with_secret_key=options.with_secret_key)
            elsewhere = files_elsewhere(url)
    except BackupRefused as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Done: {options.file} ({manifest.bytes / 2**20:.1f} MB, schema {manifest.schema}).")
    if elsewhere:
        print(f"{elsewhere} files lie in the folder or bucket of PATCHCORD_FILES and are not in it. Copy them as well.")
    if manifest.has_secret_key:
        print("The file holds the secret key: whoever has it can read every saved key. Keep it locked away.")
    else:
        print("The secret key is not in it. Keep PATCHCORD_SECRET_KEY, or the file secret-key, in another safe place.")
    return 0


def back_up(url: str, file: Path, *, with_secret_key: bool) -> Manifest:
    """Write a backup. Raises: BackupRefused."""
    key = place.secret_key()
    if with_secret_key and not key:
        raise BackupRefused("No secret key is known here. Set PATCHCORD_SECRET_KEY, or leave --with-secret-key out.")
    schema = schema_of(url)
    if not schema:
        raise BackupRefused("This database holds no Patchcord. Check PATCHCORD_DATABASE_ADMIN_URL or --data DIR.")
    # Rows that change after this moment may or may not be in it: what matters is that none of before is missing.
    made_at = datetime.now(UTC)
    written: list[tuple[str, int]] = []
    print("Reading the database ...", flush=True)
    with files.new_archive(file) as archive:

        def take(rows: IO[bytes]) -> None:
            written.append(files.copy_in(archive, rows, Progress("written")))

        dump(url, take)
        sha256, size = written[0]
        key_id = KeyRing([key]).newest if key else ""
        manifest = Manifest(FORMAT, __version__, made_at.isoformat(), schema, key_id, with_secret_key, sha256, size)
        files.finish(archive, manifest, key if with_secret_key else "")
    return manifest


class Progress:
    """Says every few seconds how far it is."""

    def __init__(self, word: str, *, seconds: float = 3.0) -> None:
        self._word = word
        self._seconds = seconds
        self._said_at = time.monotonic()

    def __call__(self, size: int) -> None:
        now = time.monotonic()
        if now - self._said_at >= self._seconds:
            self._said_at = now
            print(f"  {size / 2**20:.0f} MB {self._word}", flush=True)
