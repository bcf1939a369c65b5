"""Tells the caller's voice from the echo of our own: speech detection alone hears both."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

HEARD_MS = 200
PLAYED_MS = 700
LAGS_MS = PLAYED_MS - HEARD_MS
"""An echo comes back at most this much later."""

ECHO_CORRELATION = 0.45
LOUD_RMS = 230.0
"""About -43 dBFS: an echo of -30 dB is below it, and a person who interrupts is above it."""

WINDOW = 256
REMEMBERED_WINDOWS = 16
"""512 ms: what an utterance began with before it was noticed is in there."""

WINDOWS = 8
WINDOWS_OF_CALLER = 2
"""Of the last 8 windows of 32 ms: enough to fall silent for. Whether it interrupts is decided later, by what follows."""

WINDOWS_OF_NO_DOUBT = 5
ASSUMED = (
    (0,) * WINDOWS_OF_CALLER
    + (1,) * (WINDOWS_OF_NO_DOUBT - WINDOWS_OF_CALLER)
    + (3,) * (WINDOWS + 1 - WINDOWS_OF_NO_DOUBT)
)
"""By how many of the last 8 were the caller's: so many windows of speech are taken for theirs unasked after one that was
compared. Most of what would be compared was compared just now."""

Floats = npt.NDArray[np.float32]


def echo_correlation(heard: Floats, played: Floats) -> float:
    """How much `heard` looks like some part of `played`: the largest normalised cross-correlation over all lags, 0 to 1.

    It looks at the lower half of what they contain, where voices are loud, at half their rate.
    """
    heard, played = _halved(heard), _halved(played)
    count, length = len(heard), len(played)
    heard_energy = float(heard @ heard)
    if heard_energy <= 0:
        return 0.0
    size = -(-length // 240) * 240  # has small factors only
    both = np.zeros((2, size), dtype=np.float32)
    both[0, :length], both[1, :count] = played, heard
    spectra = np.fft.rfft(both)
    np.conj(spectra[1], out=spectra[1])
    products = np.fft.irfft(spectra[0] * spectra[1], size)[: length - count + 1]
    exact = played.astype(np.float64)
    exact *= exact
    sums = np.concatenate(([0.0], exact.cumsum()))
    energies = sums[count:] - sums[: length - count + 1]
    floor = count * 64 * 30.0**2  # what was played there is silence: nothing of it can come back
    products *= products
    return math.sqrt(float((products / np.maximum(energies, floor, out=energies)).max()) / heard_energy)


def _halved(samples: Floats) -> Floats:
    """At half the rate, eight times as loud. An echo that is late by half of such a sample still looks like itself."""
    for _ in range(3):
        samples = samples[:-1] + samples[1:]
    return samples[::2]


class EchoGate:
    """One call's gate, asked about each window of 32 ms while something of ours may still be echoing.

    `gated` counts windows of speech that were held to be our own.
    """

    __slots__ = ("_assumed", "_caller", "_past", "_rate", "gated")

    def __init__(self, rate: int = 8000) -> None:
        self._rate = rate
        self._past: list[bytes] = []
        """The windows themselves, the newest last: an utterance that begins holds the same ones."""

        self._caller = 0
        """A bit for each of the last windows, the newest last."""

        self._assumed = 0
        self.gated = 0

    def is_caller(self, is_speech: bool, window: bytes, played: Callable[[], bytes]) -> bool:
        """Whether the caller is speaking. `played` gives our last 700 ms, silence included, shorter at the beginning."""
        self._remember(window)
        is_theirs = is_speech and self._passes(window, played)
        self._note(is_theirs)
        if is_speech and not is_theirs:
            self.gated += 1
        return is_theirs and self.caller_windows >= WINDOWS_OF_CALLER

    @property
    def caller_windows(self) -> int:
        """Windows of the last 8 that were the caller's: what was spoken before the gate opened."""
        return self._caller.bit_count()

    def past(self, windows: int) -> list[bytes]:
        """The last so many windows that were heard, at most 16; fewer at the beginning."""
        return self._past[-windows:]

    def note_silence_of_ours(self, window: bytes) -> None:
        """A window heard while nothing of ours can echo; keeps the past complete."""
        self._remember(window)
        self._note(False)

    def _remember(self, window: bytes) -> None:
        self._past.append(window)
        if len(self._past) > REMEMBERED_WINDOWS:
            del self._past[0]

    def _note(self, is_theirs: bool) -> None:
        self._caller = (self._caller << 1 | is_theirs) & ((1 << WINDOWS) - 1)

    def _passes(self, window: bytes, played: Callable[[], bytes]) -> bool:
        samples = np.frombuffer(window, dtype="<i2").astype(np.float32)
        if float(samples @ samples) < len(samples) * LOUD_RMS**2:
            return False
        if self._caller & 1 and self._assumed < ASSUMED[self.caller_windows]:
            self._assumed += 1
            return True
        self._assumed = 0
        latest = b"".join(self.past(-(-HEARD_MS * self._rate // 1000 // WINDOW)))
        heard = np.frombuffer(latest, dtype="<i2").astype(np.float32)
        needed = PLAYED_MS * self._rate // 1000
        ours = np.frombuffer(played()[-needed * 2 :].rjust(needed * 2, b"\0"), dtype="<i2").astype(np.float32)
        return echo_correlation(heard[-HEARD_MS * self._rate // 1000 :], ours) < ECHO_CORRELATION
