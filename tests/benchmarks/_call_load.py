"""The load of `bench calls`, a process of its own: so many callers, 50 frames a second each way, and how evenly they come.

`python -m tests.benchmarks._call_load PORT CALLS SECONDS [talks]` prints "begins" when the ramp is over, and at the end one
JSON object. Callers who talk say something, hear the answer, say something again, and interrupt every second answer;
others speak all the time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import uuid
from array import array
from typing import cast

import numpy as np
import uvloop

from tests.voice import sounds
from voice.clock import Clock

MESSAGE_BYTES = 323
RAMP_SECONDS = 2.0
SAYS_MS = 1200
PAUSES_MS = (3800, 2000)
"""After the longer one the answer is over; the shorter one ends in the middle of it."""

LOUD_BYTES = 60
"""A message that is not silence has more bytes than this that are not zero."""

SILENT_SECONDS = 0.15
LOOKS_SECONDS = 1.5


class Caller(asyncio.Protocol):
    """Sends its line and stamps what comes back; any number of frames may come in one piece."""

    def __init__(
        self, line: list[bytes], start: int, begins: frozenset[int] = frozenset(), ends: frozenset[int] = frozenset()
    ) -> None:
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
        self.transport: asyncio.Transport | None = None
        self._spoke_at = 0.0
        self._ended_at = 0.0
        self._loud_at = 0.0
        self._loud_before = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say which call this is."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"\x01\x00\x10" + uuid.uuid4().bytes)

    def data_received(self, data: bytes) -> None:
        """Stamp each whole frame."""
        size = self.rest + len(data)
        now = time.monotonic()
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

    def connection_lost(self, exc: Exception | None) -> None:
        """A lost call is a failed run."""
        self.is_lost = True

    def tick(self) -> None:
        """The next 20 ms of the line."""
        if self.transport is None or self.is_lost:
            return
        self.at = (self.at + 1) % len(self.line)
        self.transport.write(self.line[self.at])
        if self.at in self.begins:
            now = time.monotonic()
            self._spoke_at = now if now - self._loud_at < 0.1 else 0.0
        elif self.at in self.ends:
            self._ended_at = time.monotonic()
            if self._spoke_at and self.is_measured:
                # The answer that was interrupted was silent from its last frame on.
                self.silences.append((self._loud_at - self._spoke_at) * 1000)
            self._spoke_at = 0.0


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


async def _load(port: int, calls: int, seconds: float, *, talks: bool) -> dict[str, float]:
    frames, begins, ends = _line(talks)
    clock = Clock()
    clock.start()
    loop = asyncio.get_running_loop()
    callers = []
    for number in range(calls):
        caller = Caller(frames, number * 7 % len(frames), begins, ends)
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)  # type: ignore[misc]
        clock.join(caller)
        callers.append(caller)
        await asyncio.sleep(RAMP_SECONDS / calls)
    await asyncio.sleep(4.0 if talks else 1.5)
    gc.freeze()
    print("begins", flush=True)
    own = time.process_time()
    for caller in callers:
        caller.is_measured = True
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.is_measured = False
    jitter = np.concatenate([np.abs(np.diff(np.array(c.arrivals)) * 1000 - 20) for c in callers])
    found = {
        "p50_ms": float(np.percentile(jitter, 50)),
        "p99_ms": float(np.percentile(jitter, 99)),
        "p999_ms": float(np.percentile(jitter, 99.9)),
        "frames": float(sum(len(c.arrivals) for c in callers) / (calls * seconds * 50)),
        "lost_calls": float(sum(c.is_lost for c in callers)),
        "own_cpu": (time.process_time() - own) / seconds,
        "own_lost_ticks": float(clock.lost),
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
    print(
        json.dumps(uvloop.run(_load(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), talks="talks" in sys.argv)))
    )
