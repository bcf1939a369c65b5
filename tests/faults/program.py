"""One process of the product, started as production starts it, killed, frozen and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from graph_runtime.cli.test_run import BYTECODE
from graph_runtime.places import REPOSITORY, keep_bytecode
from tests.faults.commit_trap import CommitTrap

RESTART_PAUSE_SECONDS = 0.3


class Program:
    """`keeps`: whoever watches it starts it again when it is gone, as a supervisor would."""

    def __init__(
        self, name: str, arguments: list[str], environment: Mapping[str, str], log: Path, trap: CommitTrap | None = None
    ) -> None:
        self.name = name
        self.trap = trap
        self.keeps = True
        self.deaths = 0
        self.environment = dict(environment)
        keep_bytecode(self.environment, BYTECODE)  # what is killed a hundred times starts as often
        self.log = log
        self._command = [sys.executable, "-P", "-m", *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._died_at = 0.0
        self._log_from = 0

    def start(self) -> None:
        """Start; its standard input is a pipe that closes when the harness is gone, and then it ends too."""
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self.environment, "PATCHCORD_SUPERVISED": "1", "PYTHONPATH": str(REPOSITORY)},
                cwd=REPOSITORY,
                start_new_session=True,
            )
        self._died_at = 0.0

    @property
    def is_running(self) -> bool:
        """Whether the process exists (frozen ones do)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that runs now, 0 without one."""
        return self._process.pid if self._process is not None and self.is_running else 0

    def signal(self, number: signal.Signals) -> None:
        """Send one; harmless when it is gone."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    def terminate(self, seconds: float = 30.0) -> int | None:
        """SIGTERM; the exit code, None when it does not end in time."""
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds) if self._process is not None else None
        except subprocess.TimeoutExpired:
            return None

    def watch(self) -> bool:
        """Start it again a moment after it died; whether it did."""
        if self.is_running or not self.keeps:
            return False
        if not self._died_at:
            self._died_at = time.monotonic()
            self.deaths += 1
        if time.monotonic() - self._died_at < RESTART_PAUSE_SECONDS:
            return False
        self._close_pipe()
        self.start()
        return True

    def close(self) -> None:
        """For good."""
        self.keeps = False
        self.signal(signal.SIGCONT)
        self.kill()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def has_said(self, text: str) -> bool:
        """Whether the process that runs now has written a text."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return text.encode() in log.read()

    def says(self, text: str) -> int:
        """How often its log has a text."""
        return self.log.read_bytes().count(text.encode()) if self.log.exists() else 0
