"""The load of `bench calls`, a process of its own: so many callers, 50 frames a second each way, and how evenly they come.

`python -m tests.benchmarks._call_load PORT CALLS SECONDS` prints one JSON object.
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


class Caller(asyncio.Protocol):
    """Sends its line and stamps what comes back; any number of frames may come in one piece."""

    def __init__(self, line: list[bytes], start: int) -> None:
        self.line = line
        self.at = start
        self.arrivals = array("d")
        self.rest = 0
        self.is_measured = False
        self.is_lost = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say which call this is."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"\x01\x00\x10" + uuid.uuid4().bytes)

    def data_received(self, data: bytes) -> None:
        """Stamp each whole frame."""
        size = self.rest + len(data)
        if self.is_measured:
            now = time.monotonic()
            for _ in range(size // MESSAGE_BYTES):
                self.arrivals.append(now)
        self.rest = size % MESSAGE_BYTES

    def connection_lost(self, exc: Exception | None) -> None:
        """A lost call is a failed run."""
        self.is_lost = True

    def tick(self) -> None:
        """The next 20 ms of the line."""
        if self.transport is not None and not self.is_lost:
            self.at = (self.at + 1) % len(self.line)
            self.transport.write(self.line[self.at])


async def _load(port: int, calls: int, seconds: float) -> dict[str, float]:
    voice = sounds.mixed(sounds.voice(4000, seed=1, pitch=200), sounds.white(4000, level_db=-45))
    frames = [b"\x10\x01\x40" + voice[i : i + 320] for i in range(0, len(voice), 320)]
    clock = Clock()
    clock.start()
    loop = asyncio.get_running_loop()
    callers = []
    for number in range(calls):
        caller = Caller(frames, number * 7 % len(frames))
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)  # type: ignore[misc]
        clock.join(caller)
        callers.append(caller)
        await asyncio.sleep(RAMP_SECONDS / calls)
    await asyncio.sleep(1.5)
    gc.freeze()
    own = time.process_time()
    for caller in callers:
        caller.is_measured = True
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.is_measured = False
    jitter = np.concatenate([np.abs(np.diff(np.array(c.arrivals)) * 1000 - 20) for c in callers])
    return {
        "p50_ms": float(np.percentile(jitter, 50)),
        "p99_ms": float(np.percentile(jitter, 99)),
        "p999_ms": float(np.percentile(jitter, 99.9)),
        "frames": float(sum(len(c.arrivals) for c in callers) / (calls * seconds * 50)),
        "lost_calls": float(sum(c.is_lost for c in callers)),
        "own_cpu": (time.process_time() - own) / seconds,
        "own_lost_ticks": float(clock.lost),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_load(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))))
