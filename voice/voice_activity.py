"""Tells speech from everything else on a line: the Silero network, run for many calls at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from voice.clock import Beat, Clock
from voice.silero import CELLS, CONTEXT, RATE, WINDOW, Floats, ModelMissing, Silero

__all__ = ["WINDOW_BYTES", "WINDOW_MS", "Detector", "Ear", "Fading", "ModelMissing", "Silero"]

WINDOW_MS = WINDOW * 1000 // RATE
WINDOW_BYTES = WINDOW * 2
CONTEXT_BYTES = CONTEXT * 2
GROUPS = 4
LARGEST_BATCH = 64
BACKLOG_BYTES = RATE // 2 * 2
"""Half a second; older audio is skipped, so that after a standstill decisions are about now."""

SPEECH = 0.5
STILL_SPEECH = 0.35
QUIET_RMS = 50.0
"""About -56 dBFS: below it nobody can be understood, and the model is not asked."""

RESTS_AFTER_WINDOWS = 8
"""So many windows that the model was not asked about, and it begins anew."""

FADED = 10 ** (-18 / 10)
MOST_FADED = 3
"""More than that may be the quiet end of a word."""


class Ear:
    """One call's side of the detector: feed it samples, and it tells `on_window` about each 32 ms of them.

    `on_window(is_speech, audio)` gets the window's bytes; `energy` is then the sum of the squares of its samples. `pull`
    is called before a window is looked for: whoever has samples that were not fetched yet feeds them now. Times are
    counts of samples, so a gap in the audio is no silence.
    """

    __slots__ = ("energy", "is_speech", "on_window", "pending", "probability", "pull", "skipped_bytes")

    def __init__(self, on_window: Callable[[bool, bytes], None], pull: Callable[[], None] | None = None) -> None:
        self.on_window = on_window
        self.pull = pull
        self.is_speech = False
        self.probability = 0.0
        self.energy = 0.0
        self.skipped_bytes = 0
        self.pending = bytearray()

    def feed(self, audio: bytes) -> None:
        """Samples at 8 kHz, any number of them; old ones are skipped when more than half a second waits."""
        self.pending += audio
        if len(self.pending) > BACKLOG_BYTES:
            surplus = len(self.pending) - BACKLOG_BYTES
            self.skipped_bytes += surplus
            del self.pending[:surplus]

    def judge(self, probability: float, energy: float, audio: bytes) -> None:
        """Two thresholds, so that speech does not flicker."""
        self.probability = probability
        self.energy = energy
        self.is_speech = probability > (STILL_SPEECH if self.is_speech else SPEECH)
        self.on_window(self.is_speech, audio)


class Fading:
    """How much of what the model took for speech was its end: over a line's noise it goes on for 100 to 200 ms.

    Asked about each window of 32 ms. A window counts as faded that is 18 dB below the loudest of its utterance.
    """

    __slots__ = ("_loudest", "windows")

    def __init__(self) -> None:
        self._loudest = 0.0
        self.windows = 0
        """Faded ones in a row, at most MOST_FADED."""

    def voice(self, energy: float) -> bool:
        """A window of speech; whether anybody still spoke in it."""
        self._loudest = max(self._loudest, energy)
        is_faded = energy < self._loudest * FADED
        self.windows = min(self.windows + 1, MOST_FADED) if is_faded else 0
        return not is_faded

    def silence(self) -> int:
        """The first window after speech: how many windows of silence there were before it."""
        faded, self.windows = self.windows, 0
        return faded

    def forget(self) -> None:
        """The utterance is over."""
        self._loudest = 0.0
        self.windows = 0


class _Group:
    """Ears that are judged together. The place of an ear in the list is its row in the arrays."""

    __slots__ = ("ears", "quiet", "samples", "states", "view")

    def __init__(self) -> None:
        self.ears: list[Ear] = []
        self._hold(4)

    def _hold(self, rows: int) -> None:
        """Room for so many, with what there is."""
        count = len(self.ears)
        samples, states = np.zeros((rows, CONTEXT + WINDOW), "<i2"), np.zeros((2, rows, CELLS), np.float32)
        quiet = np.zeros(rows, np.int32)
        if count:
            samples[:count], states[:, :count] = self.samples[:count], self.states[:, :count]
            quiet[:count] = self.quiet[:count]
        self.samples: npt.NDArray[np.int16] = samples
        """(rows, 32 + 256): the end of the window before, and the window."""
        self.states: Floats = states
        """(2, rows, 128) of the model."""
        self.quiet: npt.NDArray[np.int32] = quiet
        """(rows,): windows in a row that the model was not asked about."""
        self.view = samples.data.cast("B")

    def join(self, ear: Ear, rest: Floats) -> None:
        """Into the last row."""
        row = len(self.ears)
        if row == len(self.quiet):
            self._hold(2 * row)
        self.samples[row], self.states[:, row], self.quiet[row] = 0, rest, 0
        self.ears.append(ear)

    def leave(self, ear: Ear) -> None:
        """The last one takes its row."""
        row, last = self.ears.index(ear), len(self.ears) - 1
        self.samples[row], self.states[:, row] = self.samples[last], self.states[:, last]
        self.quiet[row] = self.quiet[last]
        self.ears[row] = self.ears[last]
        self.ears.pop()

    def fill(self, start: int, stop: int) -> list[int]:
        """Take the next window of each ear in that range that has one; their rows."""
        view, row_bytes = self.view, CONTEXT_BYTES + WINDOW_BYTES
        rows = []
        for row in range(start, min(stop, len(self.ears))):
            pending = self.ears[row].pending
            if len(pending) >= WINDOW_BYTES:
                end = (row + 1) * row_bytes
                view[end - WINDOW_BYTES : end] = pending[:WINDOW_BYTES]
                del pending[:WINDOW_BYTES]
                rows.append(row)
        return rows


class Detector:
    """Judges the ears of a process in groups, one every 8 ms, at most 64 windows in one run of the model.

    `runs` counts windows that the model judged, `quiet` those that were too quiet to ask.
    """

    def __init__(self, clock: Clock, model: Silero | None = None, *, judges_all: bool = False) -> None:
        self._clock = clock
        self._model = model or Silero()
        self._judges_all = judges_all
        self._groups = [_Group() for _ in range(GROUPS)]
        self._beats: list[Beat] = []
        # What numpy sets up for products of this size belongs to the process, not to the first calls.
        warm = np.zeros((LARGEST_BATCH, CONTEXT + WINDOW), np.float32)
        self._model.run(warm, np.zeros((2, LARGEST_BATCH, CELLS), np.float32))
        self.runs = 0
        self.quiet = 0

    def start(self) -> None:
        """Work by the clock."""
        period = WINDOW_MS / 1000
        for index, group in enumerate(self._groups):
            self._beats.append(self._clock.every(period, index * period / GROUPS, partial(self._listen, group)))

    def stop(self) -> None:
        """Work no more."""
        while self._beats:
            self._clock.cancel(self._beats.pop())

    def join(self, ear: Ear) -> None:
        """Listen with `ear` in the smallest group."""
        min(self._groups, key=lambda group: len(group.ears)).join(ear, self._model.rest)

    def leave(self, ear: Ear) -> None:
        """Listen no more."""
        for group in self._groups:
            if ear in group.ears:
                group.leave(ear)

    def listen(self) -> None:
        """Judge everything that waits, now; for tests and recordings without a clock."""
        for group in self._groups:
            while self._judge_once(group, 0, len(group.ears)):
                pass

    def _listen(self, group: _Group) -> None:
        for start in range(LARGEST_BATCH, len(group.ears), LARGEST_BATCH):
            self._clock.soon(partial(self._judge, group, start))
        self._judge(group, 0)

    def _judge(self, group: _Group, start: int) -> None:
        """One window of each; two when one more waits, which catches up after a standstill."""
        stop = start + LARGEST_BATCH
        for ear in group.ears[start:stop]:
            if ear.pull is not None:
                ear.pull()
        if self._judge_once(group, start, stop):
            self._judge_once(group, start, stop)

    def _judge_once(self, group: _Group, start: int, stop: int) -> bool:
        """Whether one of them has another window."""
        filled = group.fill(start, stop)
        if not filled:
            return False
        # All of one range is the usual case, and a slice of an array is much cheaper than a choice of rows.
        rows: slice | list[int] = filled
        if filled[-1] - filled[0] == len(filled) - 1:
            rows = slice(filled[0], filled[-1] + 1)
        samples = group.samples[rows]
        windows = samples.astype(np.float32)
        windows /= 32768
        energies = np.einsum("ij,ij->i", windows[:, CONTEXT:], windows[:, CONTEXT:]) * np.float32(32768**2)
        probabilities = self._probabilities(group, rows, windows, energies)
        group.samples[rows, :CONTEXT] = samples[:, WINDOW:]
        ears = [group.ears[row] for row in filled]
        heard = np.ascontiguousarray(samples[:, CONTEXT:]).tobytes()
        pieces = [heard[at : at + WINDOW_BYTES] for at in range(0, len(heard), WINDOW_BYTES)]
        for ear, *found in zip(ears, probabilities.tolist(), energies.tolist(), pieces, strict=True):
            ear.judge(*found)  # may let somebody leave: rows mean nothing from here on
        return any(len(ear.pending) >= WINDOW_BYTES for ear in ears)

    def _probabilities(self, group: _Group, rows: slice | list[int], windows: Floats, energies: Floats) -> Floats:
        """0 for what is too quiet to ask about."""
        loud = energies > WINDOW * QUIET_RMS**2
        if self._judges_all:
            loud[:] = True
        count = int(np.count_nonzero(loud))
        self.runs += count
        self.quiet += len(loud) - count
        if count == len(loud):
            probabilities, group.states[:, rows] = self._model.run(windows, group.states[:, rows])
            group.quiet[rows] = 0
            return probabilities
        probabilities = np.zeros(len(loud), dtype=np.float32)
        places = np.arange(len(group.quiet))[rows]
        if count:
            asked = places[loud]
            probabilities[loud], group.states[:, asked] = self._model.run(windows[loud], group.states[:, asked])
            group.quiet[asked] = 0
        spared = places[~loud]
        group.quiet[spared] += 1
        rested = spared[group.quiet[spared] >= RESTS_AFTER_WINDOWS]
        if len(rested):
            group.states[:, rested] = self._model.rest[:, None]
        return probabilities
