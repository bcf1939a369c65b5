"""A real Redis of the test's own: started on a free port, killed, emptied, started again."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.ports import free_port

INSTALL = "redis-server is missing, and these tests need it. Install it, for example: sudo apt-get install redis-server"


class RedisServer:
    """Keeps nothing on disk: what is killed is empty when it comes back."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise AssertionError(INSTALL)
        self._program = program
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self._folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                if self.client().ping():
                    return
            except redis.ConnectionError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def client(self) -> redis.Redis:
        """For looking."""
        return redis.Redis(port=self.port, socket_timeout=2)

    def flush(self) -> None:
        """Forget everything."""
        self.client().flushall()

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """One for a test, or for many."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
