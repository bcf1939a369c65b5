"""A PostgreSQL of the harness's own, with fsync on, that can be killed as a power cut does it and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import psutil
import psycopg

from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres

SOCKET_NAME = ".s.PGSQL.5432"


class DatabaseServer:
    """The server, and ways to hurt it."""

    def __init__(self, folder: Path, *, min_free_bytes: int = 0) -> None:
        self.postgres = EmbeddedPostgres(folder, min_free_bytes=min_free_bytes)

    def start(self) -> None:
        """Start and bring the tables up to date."""
        self.postgres.start()
        migrate.upgrade(self.postgres.admin_url)

    @property
    def socket_file(self) -> Path:
        """Where it listens."""
        return Path(parse_qs(urlsplit(self.postgres.app_url).query)["host"][0]) / SOCKET_NAME

    def url_through(self, folder: Path) -> str:
        """The address of a relay that listens in another folder."""
        url = urlsplit(self.postgres.app_url)
        return url._replace(query=f"host={quote(str(folder), safe='')}").geturl()

    @property
    def password(self) -> str:
        """A secret that no log may hold."""
        return self.postgres._roles["app"]

    def kill(self) -> None:
        """SIGKILL of the server and every backend at once: nothing is written down, nobody is told."""
        server = self.postgres._server
        if server is None:
            return
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(server.pid).children(recursive=True)
        os.kill(server.pid, signal.SIGKILL)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        server.wait()

    def restart(self) -> float:
        """Start again on the same data; seconds it took."""
        began = time.monotonic()
        self.postgres.restart()
        return time.monotonic() - began

    def stop(self) -> None:
        """Orderly."""
        self.postgres.stop()

    @contextlib.contextmanager
    def look(self) -> Iterator[psycopg.Connection[Any]]:
        """The rows themselves, past row-level security: for looking and for moving time, never for what is tested."""
        with psycopg.connect(self.postgres.admin_url, autocommit=True) as connection:
            yield connection
