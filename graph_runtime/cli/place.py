"""Where the rows of this installation are, for commands that work on them as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from graph_runtime.places import default_data_dir
from graph_runtime.storage.archive import BackupRefused
from graph_runtime.storage.data_folder import DataFolderError, DataFolderInUse
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres, running_admin_url, running_app_url


def data_dir() -> Path:
    """The data folder that was chosen, or the usual one."""
    return Path(os.environ.get("PATCHCORD_DATA_DIR") or default_data_dir()).expanduser().absolute()


def own_database() -> str:
    """The address of a database of one's own, as the owner of its tables; empty: the built-in one is used."""
    names = ("PATCHCORD_DATABASE_ADMIN_URL", "PATCHCORD_DATABASE_URL", "DATABASE_URL")
    return next((value for name in names if (value := os.environ.get(name))), "")


def secret_key() -> str:
    """The secret key of this installation; empty when there is none yet."""
    if key := os.environ.get("PATCHCORD_SECRET_KEY"):
        return key
    file = data_dir() / "secret-key"
    return file.read_text().strip() if file.exists() else ""


def own_program_database() -> str:
    """The same as the program meets it, bound by row-level security."""
    return os.environ.get("PATCHCORD_DATABASE_URL") or os.environ.get("DATABASE_URL") or ""


@contextmanager
def database() -> Iterator[str]:
    """The owner's address of the database: of one's own, of the running `up`, or of a server started for this.

    Raises: BackupRefused
    """
    with _database(own_database(), running_admin_url, "admin_url") as url:
        yield url


@contextmanager
def program_database() -> Iterator[str]:
    """The program's address of the same. Raises: BackupRefused."""
    with _database(own_program_database(), running_app_url, "app_url") as url:
        yield url


@contextmanager
def _database(own: str, running: Callable[[Path], str], name: str) -> Iterator[str]:
    if own:
        yield own
        return
    folder = data_dir()
    if not (folder / "postgres" / "cluster").is_dir():
        raise BackupRefused(f"There is no Patchcord database in {folder}. Name its folder with --data DIR.")
    try:
        with EmbeddedPostgres(folder) as server:
            yield getattr(server, name)
    except DataFolderInUse:
        yield running(folder)
    except DataFolderError as error:
        raise BackupRefused(str(error)) from error
