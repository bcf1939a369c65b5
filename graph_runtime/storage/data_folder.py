"""The data folder: made private, claimed by one process at a time, each failure said in one sentence."""

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Self

MIN_FREE_BYTES = 200 * 1024 * 1024


class DataFolderError(Exception):
    """The data folder cannot be used; the message is one sentence for the person who starts the program."""


class DataFolderInUse(DataFolderError):
    """Another process already runs on this data folder."""


class DataFolderTooOld(DataFolderError):
    """The folder was written by another major version of PostgreSQL."""


class DataFolderUnwritable(DataFolderError):
    """The folder cannot be created or written by this account."""


class DiskFull(DataFolderError):
    """The disk that holds the folder has no room left."""


def explain(error: OSError, folder: Path) -> DataFolderError:
    """Turn an operating-system error on the folder into a sentence with the next step in it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"The disk that holds {folder} is full. Free some space there, or choose another folder with --data DIR."
        )
    return DataFolderUnwritable(
        f"The data folder {folder} cannot be used ({error.strerror or error}). "
        "Give this account write access to it, or choose another folder with --data DIR."
    )


def prepare(folder: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
    """Create the folder for this account only, and check that it can be written and has room.

    Raises: DataFolderUnwritable, DiskFull
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise explain(error, folder) from error
    if free < min_free_bytes:
        raise DiskFull(
            f"The disk that holds {folder} has only {free // 2**20} MB left, and {min_free_bytes // 2**20} MB "
            "are needed. Free some space there, or choose another folder with --data DIR."
        )


class DataFolderClaim:
    """An exclusive claim on a data folder that ends with this process, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "in-use.lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def take(self) -> None:
        """Raises: DataFolderInUse (saying who holds it), DataFolderUnwritable, DiskFull"""
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise explain(error, self.folder) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise DataFolderInUse(self._holder()) from error
        self._descriptor = descriptor
        self.announce("")

    def announce(self, address: str) -> None:
        """Record where this process can be reached, for the message a second start will show."""
        if self._descriptor is None:
            return
        note = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, note, 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _holder(self) -> str:
        try:
            note = json.loads(self._path.read_text() or "{}")
        except (OSError, ValueError):
            note = {}
        process = f" as process {note['pid']}" if note.get("pid") else ""
        where = f" at {note['address']}" if note.get("address") else ""
        return (
            f"Patchcord already runs on the data folder {self.folder}{process}{where}. "
            "Use that one, stop it first, or choose another folder with --data DIR."
        )
