"""`./patchcord up` as a person starts it: on a free port, with a data folder of its own, watched from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import psycopg

from graph_runtime.storage.embedded_postgres import OWNER_ROLE
from tests.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[3]
START_WITHIN_SECONDS = 300.0  # the screens may have to be built first
STOP_WITHIN_SECONDS = 30.0


class Stack:
    """One running `up`. `said` is what it printed so far."""

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        command: tuple[str, ...] = (sys.executable, "-P", "-m", "graph_runtime"),
        folder: Path = REPOSITORY,
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.said: list[str] = []
        self._command = (*command, "up", "--port", str(self.port), "--data", str(data))
        self._folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PATCHCORD_", "DATABASE"))}
        for name in ("PATCHCORD_SCREENS_DIR",):
            if name in os.environ:
                kept[name] = os.environ[name]
        # Any port for calls: the usual one may be taken by another installation on this machine.
        self._environment = {**kept, "PYTHONPATH": str(folder), "PATCHCORD_VOICE_PORT": "0", **(environment or {})}
        self._lines: queue.Queue[str] = queue.Queue()

    def forget_screens(self) -> None:
        """Let the program use its own folder of screens."""
        self._environment.pop("PATCHCORD_SCREENS_DIR", None)

    def start(self) -> Stack:
        """Return when it says that it is ready."""
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for_line("Press Ctrl-C", START_WITHIN_SECONDS)
        return self

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line)
            self._lines.put(line)
        self._lines.put("")

    def wait_for_line(self, text: str, seconds: float) -> str:
        """The next printed line with this text in it."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(queue.Empty):
            while line := self._lines.get(timeout=max(0.01, deadline - time.monotonic())):
                if text in line:
                    return line
        raise AssertionError(f"`up` did not say {text!r} within {seconds:g} s:\n{''.join(self.said)}\n{self.logs()}")

    def logs(self, lines: int = 30) -> str:
        """The ends of the logs of web, worker and voice, for the report of a failed test."""
        found = [f"--- {p.name}\n" + "".join(p.read_text().splitlines(True)[-lines:]) for p in self.data.glob("*.log")]
        return "\n".join(found)

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_WITHIN_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._reader.join(5)
            assert self.process.stdout
            self.process.stdout.close()

    def part(self, name: str) -> psutil.Process:
        """The process of "web", "worker", "voice" or "postgres" that runs now."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if name == "postgres":
                    if process.name() == "postgres" and _parent_name(process) != "postgres":
                        return process
                elif process.cmdline()[-2:] == ["graph_runtime", name]:
                    return process
        raise AssertionError(f"no process of {name} is running")

    def kill(self, name: str) -> int:
        """Kill -9 of one part; its process id."""
        process = self.part(name)
        process.kill()
        return process.pid

    def answers(self) -> bool:
        """Whether web and database say that they are ready."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_until_replaced(self, name: str, pid: int, seconds: float = 30.0) -> None:
        """Return when another process does that part's work and everything answers again."""

        def is_back() -> bool:
            try:
                return self.part(name).pid != pid and self.answers()
            except AssertionError:
                return False

        wait_until(is_back, seconds, f"{name} came back")

    @contextlib.contextmanager
    def database(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """The rows themselves, past row-level security: only for looking."""
        url = urlsplit(self.part("web").environ()["PATCHCORD_DATABASE_URL"])
        password = json.loads((self.data / "postgres-roles.json").read_text())["owner"]
        address = url._replace(netloc=f"{OWNER_ROLE}:{quote(password)}@").geturl()
        with psycopg.connect(address, autocommit=True) as connection:
            yield connection


def _parent_name(process: psutil.Process) -> str:
    parent = process.parent()
    return parent.name() if parent else ""


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Look again and again until it holds.

    Raises: AssertionError
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
