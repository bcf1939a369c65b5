"""Writes calls to stereo WAV files, the caller left and the agent right, by one thread that no call waits for."""

from __future__ import annotations

import contextlib
import queue
import struct
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np

from voice.frames import FRAMES_PER_SECOND, AudioFormat

HEADER_BYTES = 44
MOST_WAITING_BLOCKS = 2_000
"""Blocks of a second over all calls; a disk that stalls longer costs audio of the recording, never of the call."""

BACKLOG_FRAMES = 25


class Recorder:
    """The thread. `dropped_blocks` counts seconds of recordings that the disk was too slow for."""

    def __init__(self, most_waiting: int = MOST_WAITING_BLOCKS) -> None:
        self._work: queue.SimpleQueue[tuple[Recording, bytes, bytes, bool] | None] = queue.SimpleQueue()
        self._most_waiting = most_waiting
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.dropped_blocks = 0
        self.failed: dict[Path, OSError] = {}
        self._thread.start()

    def open(self, path: Path, format: AudioFormat) -> Recording:
        """Begin a recording; the file appears with its first second."""
        return Recording(self, path, format)

    def hand_over(self, recording: Recording, left: bytes, right: bytes, *, is_last: bool) -> None:
        """One block of equal length on both sides; never waits."""
        if self._work.qsize() < self._most_waiting:
            self._work.put((recording, left, right, is_last))
            return
        self.dropped_blocks += 1
        if is_last:
            self._work.put((recording, b"", b"", True))  # the file is closed in any case

    def close(self, seconds: float = 10) -> None:
        """Write what waits, then end."""
        self._work.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        unfinished: set[Recording] = set()
        while (item := self._work.get()) is not None:
            recording, left, right, is_last = item
            unfinished.add(recording)
            try:
                recording.write(left, right)
            except OSError as error:
                self.failed.setdefault(recording.path, error)
            if is_last:
                unfinished.discard(recording)
                recording.close_file()
        for recording in unfinished:
            recording.close_file()


class Recording:
    """One call. Time is counted in frames that were sent, so both sides stay together.

    The file is a valid WAV after every second, whatever happens to the process.
    """

    def __init__(self, recorder: Recorder, path: Path, format: AudioFormat) -> None:
        self.path = path
        self.format = format
        self._recorder = recorder
        self._heard = bytearray()
        self._left = bytearray()
        self._right = bytearray()
        self._silence = format.silence()
        self._file: BinaryIO | None = None
        self._written = 0

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
        if len(self._right) >= size * FRAMES_PER_SECOND:
            self._flush(is_last=False)

    def close(self) -> None:
        """The call is over; the thread finishes the file."""
        self._flush(is_last=True)

    def _flush(self, *, is_last: bool) -> None:
        left, right = bytes(self._left), bytes(self._right)
        self._left.clear()
        self._right.clear()
        self._recorder.hand_over(self, left, right, is_last=is_last)

    def write(self, left: bytes, right: bytes) -> None:
        """By the thread only. Raises: OSError."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self.path.open("wb")
            self._file.write(self._header())
        sides = np.empty((len(left) // 2, 2), dtype="<i2")
        sides[:, 0] = np.frombuffer(left, dtype="<i2")
        sides[:, 1] = np.frombuffer(right, dtype="<i2")
        self._file.write(sides.tobytes())
        self._written += sides.nbytes
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(0, 2)
        self._file.flush()

    def close_file(self) -> None:
        """By the thread only."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _header(self) -> bytes:
        rate = self.format.rate
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", HEADER_BYTES - 8 + self._written, b"WAVE", b"fmt ", 16, 1, 2, rate, rate * 4, 4, 16),
            *(b"data", self._written),
        )
