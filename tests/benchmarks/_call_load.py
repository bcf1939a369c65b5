"""The load of `bench calls`, a process of its own: so many callers, 50 frames a second each way, and how evenly they come.

`python -m tests.benchmarks._call_load PORT CALLS SECONDS [talks] [steps]` prints "begins" when the ramp is over, and at the end
one JSON object; calls stay on until its input ends. Callers who talk say something, hear the answer, say something again, and
interrupt every second answer; others speak all the time. With `steps` it says what time it is, and waits for a line until it
goes on: then everything happens however slow the machine is. It has no event loop: its own share would limit what can be
measured.
"""

from __future__ import annotations

import contextlib
import gc
import json
import select
import socket
import sys
import time
import uuid
from array import array
from collections.abc import Callable

import numpy as np

from tests.voice import sounds

PERIOD = 0.020
SLOTS = 20
MESSAGE_BYTES = 323
READ_BYTES = 65_536
RAMP_SECONDS = 2.0
STEP = 0.002
STEPS_FROM = 1000.0
SAYS_MS = 1200
PAUSES_MS = (3800, 2000)
"""After the longer one the answer is over; the shorter one ends in the middle of it."""

LOUD_BYTES = 60
"""A message that is not silence has more bytes than this that are not zero."""

SILENT_SECONDS = 0.15


class Caller:
    """Sends its line and stamps what comes back; any number of frames may come in one piece."""

    __slots__ = (
        "_ended_at", "_loud_at", "_spoke_at", "answers", "arrivals", "at", "begins", "ends", "is_lost", "is_measured",
        "line", "now", "read", "rest", "silences", "sock", "write",
    )  # fmt: skip

    def __init__(
        self,
        port: int,
        now: Callable[[], float],
        line: list[bytes],
        start: int,
        begins: frozenset[int],
        ends: frozenset[int],
    ) -> None:
        self.now = now
        self.line = line
        self.at = start
        self.begins = begins
        self.ends = ends
        self.arrivals = array("d")
        self.answers: list[float] = []
        self.silences: list[float] = []
        self.rest = 0
        self.is_measured = False
        self.is_lost = False
        self._spoke_at = 0.0
        self._ended_at = 0.0
        self._loud_at = 0.0
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.read: Callable[[int], bytes] = self.sock.recv
        self.write: Callable[[bytes], int] = self.sock.send
        self.write(b"\x01\x00\x10" + uuid.uuid4().bytes)

    def receive(self) -> None:
        """Stamp each whole frame."""
        data = b""
        with contextlib.suppress(ConnectionError):
            data = self.read(READ_BYTES)
        if not data:
            self.is_lost = True  # a lost call is a failed run
            return
        now = self.now()
        size = self.rest + len(data)
        if self.is_measured:
            for _ in range(size // MESSAGE_BYTES):
                self.arrivals.append(now)
        self.rest = size % MESSAGE_BYTES
        if self.begins and len(data) - data.count(0) > LOUD_BYTES:
            self._hear(now)

    def _hear(self, now: float) -> None:
        if self._ended_at and now > self._ended_at + SILENT_SECONDS:
            if self.is_measured:
                self.answers.append((now - self._ended_at) * 1000)
            self._ended_at = 0.0
        self._loud_at = now

    def tick(self) -> None:
        """The next 20 ms of the line."""
        if self.is_lost:
            return
        self.at = at = (self.at + 1) % len(self.line)
        try:
            self.write(self.line[at])
        except OSError:
            self.is_lost = True
            return
        if at in self.begins:
            now = self.now()
            self._spoke_at = now if now - self._loud_at < 0.1 else 0.0
        elif at in self.ends:
            self._ended_at = self.now()
            if self._spoke_at and self.is_measured:
                # The answer that was interrupted was silent from its last frame on.
                self.silences.append((self._loud_at - self._spoke_at) * 1000)
            self._spoke_at = 0.0


class Load:
    """All callers, in slots of 1 ms. `move`: time passes only by telling it, step by step."""

    def __init__(self, move: Callable[[float], None] | None) -> None:
        self._move = move
        self._at = STEPS_FROM
        self.callers: list[Caller] = []
        self._slots: list[list[Caller]] = [[] for _ in range(SLOTS)]
        self._epoll = select.epoll()
        self._of: dict[int, Caller] = {}
        self._slot = 0
        self._due = self.now()

    def now(self) -> float:
        """Seconds."""
        return time.monotonic() if self._move is None else self._at

    def add(self, caller: Caller) -> None:
        """One more."""
        min(self._slots, key=len).append(caller)
        self._of[caller.sock.fileno()] = caller
        self._epoll.register(caller.sock.fileno(), select.EPOLLIN)
        self.callers.append(caller)

    def run(self, seconds: float) -> None:
        """Send and receive for so long."""
        until = self.now() + seconds
        while self.now() < until:
            self.turn()

    def turn(self) -> None:
        """Send what is due, and receive until more is; or one step of time."""
        now = self.now()
        while self._due <= now:
            for caller in self._slots[self._slot]:
                caller.tick()
            self._slot = (self._slot + 1) % SLOTS
            self._due += PERIOD / SLOTS
        patience = max(0.0, self._due - self.now()) if self._move is None else 0.0
        for number, _ in self._epoll.poll(patience, 256):
            caller = self._of[number]
            caller.receive()
            if caller.is_lost:
                self._epoll.unregister(number)
        if self._move is not None:
            self._at += STEP
            self._move(self._at)


def _tell(at: float) -> None:
    print(at, flush=True)
    sys.stdin.readline()


def _line(talks: bool) -> tuple[list[bytes], frozenset[int], frozenset[int]]:
    """The frames of one caller, over and over, and the numbers of those with which speech begins and ends."""
    if not talks:
        voice = sounds.mixed(sounds.voice(4000, seed=1, pitch=200), sounds.white(4000, level_db=-45))
        return _frames(voice), frozenset(), frozenset()
    sound, begins, ends = b"", set(), set()
    for number, pause in enumerate(PAUSES_MS):
        begins.add(len(sound) // 320)
        sound += sounds.voice(SAYS_MS, seed=number * 5, pitch=120 + 100 * number, level_db=-20)
        ends.add(len(sound) // 320 - 1)
        sound += bytes(16 * pause)
    noise = sounds.white(len(sound) / 16, level_db=-50)
    return _frames(sounds.mixed(sound, noise)), frozenset(begins), frozenset(ends)


def _frames(audio: bytes) -> list[bytes]:
    return [b"\x10\x01\x40" + audio[i : i + 320] for i in range(0, len(audio), 320)]


def _load(port: int, calls: int, seconds: float, *, talks: bool, steps: bool) -> dict[str, float]:
    frames, begins, ends = _line(talks)
    load = Load(_tell if steps else None)
    for number in range(calls):
        load.add(Caller(port, load.now, frames, number * 7 % len(frames), begins, ends))
        load.run(RAMP_SECONDS / calls)
    load.run(4.0 if talks else 1.5)
    gc.collect()
    gc.freeze()
    print("begins", flush=True)
    own = time.process_time()
    for caller in load.callers:
        caller.is_measured = True
    load.run(seconds)
    own = time.process_time() - own
    for caller in load.callers:
        caller.is_measured = False
    callers = load.callers
    jitter = np.concatenate([np.abs(np.diff(np.array(c.arrivals)) * 1000 - 20) for c in callers])
    found = {
        "p50_ms": float(np.percentile(jitter, 50)),
        "p99_ms": float(np.percentile(jitter, 99)),
        "p999_ms": float(np.percentile(jitter, 99.9)),
        "frames": float(sum(len(c.arrivals) for c in callers) / (calls * seconds * 50)),
        "lost_calls": float(sum(c.is_lost for c in callers)),
        "own_cpu": own / seconds,
    }
    for name, times in (
        ("answer", [t for c in callers for t in c.answers]),
        ("silence", [t for c in callers for t in c.silences]),
    ):
        found[f"{name}s"] = float(len(times))
        if times:
            found |= {
                f"{name}_p50_ms": float(np.percentile(times, 50)),
                f"{name}_p95_ms": float(np.percentile(times, 95)),
            }
    return found


if __name__ == "__main__":
    _, port, calls, seconds, *how = sys.argv
    found = _load(int(port), int(calls), float(seconds), talks="talks" in how, steps="steps" in how)
    print(json.dumps(found), flush=True)
    sys.stdin.read()
