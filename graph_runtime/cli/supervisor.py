"""Runs child processes, restarts those that die, and stops all of them in order when asked to."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from graph_runtime.cli.lifeline import SUPERVISED

REFUSED_TO_START = 78
"""The exit code (EX_CONFIG) by which a child says that starting it again is pointless."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_AFTER_SECONDS = 60.0
GRACE_SECONDS = 30.0
MAX_LOG_BYTES = 10 * 1024 * 1024

Say = Callable[[str], None]


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


class Signals:
    """Turns SIGINT, SIGTERM, SIGHUP and the death of a child into something one thread can wait for with a time-out."""

    def __init__(self) -> None:
        self.stops = 0

    def __enter__(self) -> Self:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        os.set_blocking(self._reading, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._count)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nothing is left to stop but the interpreter
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._reading)
        os.close(self._writing)

    def _count(self, *_: object) -> None:
        self.stops += 1

    def pause(self, seconds: float) -> None:
        """Wait until a signal arrives or the time is over."""
        select.select([self._reading], [], [], max(seconds, 0))
        with contextlib.suppress(BlockingIOError):
            os.read(self._reading, 1024)

    def pause_unless_stopped(self, seconds: float) -> None:
        """Raises: StopRequested"""
        if not self.stops:
            self.pause(seconds)
        if self.stops:
            raise StopRequested


@dataclass(slots=True)
class Child:
    """One supervised process; its output goes to its own log file."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log_file: Path
    process: "subprocess.Popen[bytes] | None" = None
    deaths: int = 0
    started_at: float = 0.0
    start_again_at: float | None = None
    _lifeline: int | None = field(default=None, repr=False)

    def start(self) -> None:
        reading, writing = os.pipe()
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".previous.log"))
        with open(os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=reading,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self.environment, SUPERVISED: "1"},
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle, in our order
            )
        os.close(reading)
        self._lifeline = writing
        self.started_at = time.monotonic()
        self.start_again_at = None

    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def last_words(self, lines: int = 6) -> str:
        """The end of the log, for a person who has just been told that this process ended."""
        with contextlib.suppress(OSError), self.log_file.open("rb") as log:
            log.seek(max(0, self.log_file.stat().st_size - 8000))
            return "\n".join(f"    {line}" for line in log.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    def cut_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


class ChildRefused(Exception):
    """A child cannot start until something is changed; the message is its own explanation."""


class Supervisor:
    """Keeps children alive: a dead one is started again after a pause that doubles each time."""

    def __init__(self, children: Iterable[Child], signals: Signals, say: Say) -> None:
        self.children = list(children)
        self._signals = signals
        self._say = say

    def start(self) -> None:
        for child in self.children:
            child.start()

    def add(self, child: Child) -> None:
        """One more, started at once."""
        self.children.append(child)
        child.start()

    def check(self) -> float:
        """Start again what died and is due; return for how many seconds nothing needs to be done.

        Raises: ChildRefused
        """
        now = time.monotonic()
        for child in self.children:
            if child.start_again_at is None and (code := child.exit_code()) is not None:
                self._note_death(child, code, now)
            if child.start_again_at is not None and now >= child.start_again_at:
                child.start()
        due = [child.start_again_at - now for child in self.children if child.start_again_at is not None]
        return max(0.0, min(due, default=5.0))

    def stop(self) -> None:
        """Ask every child to stop, wait for the longest grace, then insist; a second Ctrl-C insists at once."""
        stops_before = self._signals.stops
        for child in self.children:
            if child.process and child.exit_code() is None:
                child.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(child.process and child.exit_code() is None for child in self.children):
            if time.monotonic() > deadline or self._signals.stops > max(stops_before, 1):
                for child in self.children:
                    if child.process and child.exit_code() is None:
                        child.process.kill()
            self._signals.pause(0.2)
        for child in self.children:
            child.cut_lifeline()

    def _note_death(self, child: Child, code: int, now: float) -> None:
        child.cut_lifeline()
        if code == REFUSED_TO_START:
            raise ChildRefused(child.last_words(20))
        if now - child.started_at > HEALTHY_AFTER_SECONDS:
            child.deaths = 0
        pause = min(FIRST_PAUSE_SECONDS * 2**child.deaths, LONGEST_PAUSE_SECONDS)
        child.deaths += 1
        child.start_again_at = now + pause
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        self._say(f"{child.name} {how}; starting it again in {pause:g} s. Its log: {child.log_file}")
        if code > 0 and (words := child.last_words()):
            self._say(words)
