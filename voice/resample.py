"""Changes the rate of a stream of samples, piece by piece, without clicks at the joints."""

from __future__ import annotations

import numpy as np
import soxr


class Resampler:
    """From one rate to another; feed it in order, `finish` once.

    Pieces come out up to 62 ms later than they went in (soxr works in blocks; its finer qualities take 115 ms), and
    `finish` gives the rest at once. Equal rates pass through untouched, and cost nothing: soxr holds 17 kB for a stream.
    """

    __slots__ = ("_stream",)

    def __init__(self, from_rate: int, to_rate: int, *, quality: str = "LQ") -> None:
        is_same = from_rate == to_rate
        self._stream = None if is_same else soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16", quality=quality)

    def feed(self, audio: bytes) -> bytes:
        """What is ready. Raises: ValueError for half a sample."""
        return self._run(audio, is_last=False)

    def finish(self) -> bytes:
        """The rest."""
        return self._run(b"", is_last=True)

    def _run(self, audio: bytes, *, is_last: bool) -> bytes:
        if self._stream is None:
            return audio
        samples = np.frombuffer(audio, dtype="<i2")
        return bytes(self._stream.resample_chunk(samples, last=is_last).tobytes())


def resampled(audio: bytes, from_rate: int, to_rate: int) -> bytes:
    """A whole recording at once."""
    if from_rate == to_rate:
        return audio
    samples = np.frombuffer(audio, dtype="<i2")
    return bytes(soxr.resample(samples, from_rate, to_rate, quality="HQ").tobytes())
