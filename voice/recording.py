"""Both sides of a call, kept a few seconds at a time by a task that no call waits for: the caller left, the agent right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import structlog

from voice.frames import PHONE, SAMPLE_BYTES, AudioFormat
from voice.resample import resampled
from voice.wav import MULAW_TABLE, codes

log = structlog.get_logger(__name__)

PART_SECONDS = 3
"""What the death of the process costs at most."""

MOST_WAITING_PARTS = 700
"""Over all calls; a database that stalls longer costs audio of recordings, never of calls. 34 MB."""

BACKLOG_FRAMES = 25
CLOSING_SECONDS = 5.0

Keep = Callable[[int, bytes], Awaitable[bool]]
"""(number of the part, mu-law of both sides in turns) → whether it was kept."""


class Recorder:
    """One for a process. `lost_parts` counts what the database was too slow for, or refused."""

    def __init__(self, most_waiting: int = MOST_WAITING_PARTS) -> None:
        self.lost_parts = 0
        self._most_waiting = most_waiting
        self._waiting: asyncio.Queue[tuple[Keep, int, tuple[bytes, bytes], AudioFormat]] = asyncio.Queue()
        self._writing: asyncio.Task[None] | None = None

    def open(self, format: AudioFormat, keep: Keep) -> Recording:
        """Begin a recording."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="recorder")
        return Recording(self, format, keep)

    def hand_over(self, keep: Keep, part: int, sides: tuple[bytes, bytes], format: AudioFormat) -> None:
        """One part of equal length on both sides; never waits."""
        if self._waiting.qsize() >= self._most_waiting:
            self.lost_parts += 1
        else:
            self._waiting.put_nowait((keep, part, sides, format))

    async def close(self) -> None:
        """Keep what waits, for a few seconds."""
        if self._writing is None:
            return
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._waiting.join()
        except TimeoutError:
            self.lost_parts += self._waiting.qsize()
            log.warning("recordings_cut", parts=self._waiting.qsize())
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            keep, part, sides, form = await self._waiting.get()
            try:
                self.lost_parts += not await keep(part, await asyncio.to_thread(packed, *sides, form))
            finally:
                self._waiting.task_done()


class Recording:
    """One attachment of one call. Time is counted in frames that were sent, so both sides stay together."""

    def __init__(self, recorder: Recorder, format: AudioFormat, keep: Keep) -> None:
        self._recorder = recorder
        self._format = format
        self._keep = keep
        self._heard = bytearray()
        self._left = bytearray()
        self._right = bytearray()
        self._silence = format.silence()
        self._part = 0

    def heard(self, audio: bytes) -> None:
        """From the caller, in pieces of any size."""
        self._heard += audio
        surplus = len(self._heard) - BACKLOG_FRAMES * len(self._silence)
        if surplus > 0:  # what arrives after a standstill belongs to a time that is over
            del self._heard[:surplus]

    def sent(self, frame: bytes | None) -> None:
        """A frame of ours, None for silence; what was heard meanwhile lies beside it."""
        size = len(self._silence)
        heard = bytes(self._heard[:size])
        del self._heard[:size]
        self._left += heard.ljust(size, b"\0")
        self._right += self._silence if frame is None else frame
        if len(self._right) >= self._format.rate * SAMPLE_BYTES * PART_SECONDS:
            self._flush()

    def close(self) -> None:
        """This side of the call is over."""
        if self._right:
            self._flush()

    def _flush(self) -> None:
        self._recorder.hand_over(self._keep, self._part, (bytes(self._left), bytes(self._right)), self._format)
        self._left.clear()
        self._right.clear()
        self._part += 1


def packed(left: bytes, right: bytes, format: AudioFormat) -> bytes:
    """Mu-law at the rate of a telephone, left and right in turns."""
    if format.rate != PHONE.rate:
        left, right = (resampled(side, format.rate, PHONE.rate) for side in (left, right))
    sides = np.empty((len(left) // 2, 2), dtype="u1")
    for place, side in enumerate((left, right)):
        sides[:, place] = _CODES[np.frombuffer(side, "<i2").view("<u2")]
    return sides.tobytes()


_CODES = codes(MULAW_TABLE)
