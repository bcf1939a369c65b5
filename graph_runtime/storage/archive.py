"""The file of a backup: a ZIP with the dump of the database, perhaps the secret key, and a manifest written last."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

FORMAT: Final = "patchcord-backup/1"
DUMP: Final = "database.dump"
KEY: Final = "secret-key"
MANIFEST: Final = "manifest.json"
CHUNK: Final = 1 << 20


class BackupRefused(Exception):
    """A backup cannot be made or used; the message is a sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`schema`: the newest migration in it. `key_id`: of the secret key that the saved keys need."""

    format: str
    version: str
    made_at: str
    schema: str
    key_id: str
    has_secret_key: bool
    sha256: str
    bytes: int


@contextmanager
def new_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A file that gets its name only when it is complete and on the disk; readable by this account only.

    Raises: BackupRefused when the file exists or cannot be written.
    """
    if path.exists():
        raise BackupRefused(f"{path} exists already. Choose another name; a backup never overwrites anything.")
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written ({error.strerror}). Choose another place.") from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        raise BackupRefused(f"{path} could not be written ({error.strerror}). Is the disk full?") from error
    finally:
        unfinished.unlink(missing_ok=True)


def copy_in(archive: zipfile.ZipFile, source: IO[bytes], progress: Callable[[int], None]) -> tuple[str, int]:
    """Write the dump; its SHA-256 and its size."""
    digest, size = hashlib.sha256(), 0
    with archive.open(DUMP, "w", force_zip64=True) as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
            size += len(chunk)
            progress(size)
    return digest.hexdigest(), size


def finish(archive: zipfile.ZipFile, manifest: Manifest, secret_key: str) -> None:
    """Add what comes last."""
    if secret_key:
        archive.writestr(KEY, secret_key)
    archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=2))


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """A backup that was read from end to end and is whole. Raises: BackupRefused."""
    damaged = f"{path} is not a complete Patchcord backup: it is damaged or something else. Use another copy."
    try:
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read(MANIFEST))
            if not isinstance(told, dict) or not str(told.get("format", "")).startswith("patchcord-backup/"):
                raise BackupRefused(damaged)
            if told["format"] != FORMAT:
                raise BackupRefused(
                    f"{path} was made by a newer Patchcord ({told['format']}). Restore it with that one."
                )
            manifest = Manifest(**told)
            digest = hashlib.sha256()
            with archive.open(DUMP) as dump:
                while chunk := dump.read(CHUNK):
                    digest.update(chunk)
            if digest.hexdigest() != manifest.sha256:
                raise BackupRefused(damaged)
            yield archive, manifest
    except FileNotFoundError as error:
        raise BackupRefused(f"There is no file {path}.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise BackupRefused(damaged) from error


def key_in(archive: zipfile.ZipFile, manifest: Manifest) -> str:
    """The secret key, if it was put in."""
    return archive.read(KEY).decode() if manifest.has_secret_key else ""
