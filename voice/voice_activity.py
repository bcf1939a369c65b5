"""Tells speech from everything else on a line: the Silero model, run for many calls at once.

The model file comes with the `silero-vad` package, whose Python code would need torch and is never imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from voice.clock import Beat, Clock

RATE = 8000
WINDOW = 256
"""Samples the model judges at a time: 32 ms at 8 kHz."""

WINDOW_MS = WINDOW * 1000 // RATE
WINDOW_BYTES = WINDOW * 2
CONTEXT = 32
"""Samples of the window before that the model wants to see again."""

GROUPS = 8
LARGEST_BATCH = 32
BACKLOG_BYTES = RATE // 2 * 2
"""Half a second; older audio is skipped, so that after a standstill decisions are about now."""

SPEECH = 0.5
STILL_SPEECH = 0.35
QUIET_RMS = 50.0
"""About -56 dBFS: below it nobody can be understood, and the model is not asked."""

REST_WINDOWS = 31
RESTS_AFTER_WINDOWS = 8
"""So many windows that the model was not asked about, and it begins anew."""

FADED = 10 ** (-18 / 10)
MOST_FADED = 3
"""More than that may be the quiet end of a word."""

Floats = npt.NDArray[np.float32]


class ModelMissing(Exception):
    """The model file is not installed; the message says how to get it."""


def model_path() -> Path:
    """Where the installed package keeps the model. Raises: ModelMissing."""
    found = importlib.util.find_spec("silero_vad")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise ModelMissing(
        "The model that detects speech is not installed. Run ./patchcord up, or: pip install --no-deps silero-vad"
    )


class Silero:
    """The model: probabilities of speech for a batch of windows of different calls."""

    def __init__(self, path: Path | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path or model_path()), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(RATE, dtype=np.int64)
        rest = np.zeros((2, 1, 128), dtype=np.float32)
        for _ in range(REST_WINDOWS):
            _, rest = self.run(np.zeros((1, CONTEXT + WINDOW), dtype=np.float32), rest)
        self.rest: Floats = rest[:, 0]
        """(2, 128): the state after a second of silence. From zeros the model hears the first second badly."""

    def run(self, windows: Floats, states: Floats) -> tuple[Floats, Floats]:
        """`windows` (N, 32 + 256) between -1 and 1 and `states` (2, N, 128) give probabilities (N,) and new states."""
        output, state = self._session.run(None, {"input": windows, "state": states, "sr": self._rate})
        return output[:, 0], state


class Ear:
    """One call's side of the detector: feed it samples, and it tells `on_window` about each 32 ms of them.

    `on_window(is_speech, audio)` gets the window's bytes. Times are counts of samples, so a gap in the audio is no silence.
    """

    __slots__ = (
        "_column", "_context", "_pending", "_quiet", "_states", "is_speech", "on_window", "probability", "skipped_bytes",
    )  # fmt: skip

    def __init__(self, on_window: Callable[[bool, bytes], None]) -> None:
        self.on_window = on_window
        self.is_speech = False
        self.probability = 0.0
        self.skipped_bytes = 0
        self._pending = bytearray()
        self._context = bytes(CONTEXT * 2)
        self._states: Floats | None = None
        """Of the batch that this ear was judged in last, (2, N, 128); its own is that of `_column`. None: at rest."""
        self._column = 0
        self._quiet = 0

    def feed(self, audio: bytes) -> None:
        """Samples at 8 kHz, any number of them; old ones are skipped when more than half a second waits."""
        self._pending += audio
        if len(self._pending) > BACKLOG_BYTES:
            surplus = len(self._pending) - BACKLOG_BYTES
            self.skipped_bytes += surplus
            del self._pending[:surplus]

    def take(self) -> bytes | None:
        """The next window, if it is complete."""
        if len(self._pending) < WINDOW_BYTES:
            return None
        window = bytes(self._pending[:WINDOW_BYTES])
        del self._pending[:WINDOW_BYTES]
        return window

    def judge(self, probability: float, audio: bytes) -> None:
        """Two thresholds, so that speech does not flicker."""
        self.probability = probability
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

    def voice(self, window: bytes) -> bool:
        """A window of speech; whether anybody still spoke in it."""
        samples = np.frombuffer(window, dtype="<i2").astype(np.float32)
        energy = float(samples @ samples)
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


class Detector:
    """Judges the ears of a process in groups, one every 4 ms, at most 32 windows in one run of the model.

    `runs` counts windows that the model judged, `quiet` those that were too quiet to ask.
    """

    def __init__(self, clock: Clock, model: Silero | None = None, *, judges_all: bool = False) -> None:
        self._clock = clock
        self._model = model or Silero()
        self._judges_all = judges_all
        self._groups: list[list[Ear]] = [[] for _ in range(GROUPS)]
        self._beats: list[Beat] = []
        self.runs = 0
        self.quiet = 0

    def start(self) -> None:
        """Work by the clock."""
        period = WINDOW_MS / 1000
        for index, group in enumerate(self._groups):
            self._beats.append(
                self._clock.every(period, index * period / GROUPS, lambda group=group: self._listen(group))  # type: ignore[misc]
            )

    def stop(self) -> None:
        """Work no more."""
        while self._beats:
            self._clock.cancel(self._beats.pop())

    def join(self, ear: Ear) -> None:
        """Listen with `ear` in the smallest group."""
        min(self._groups, key=len).append(ear)

    def leave(self, ear: Ear) -> None:
        """Listen no more."""
        for group in self._groups:
            if ear in group:
                group.remove(ear)

    def listen(self) -> None:
        """Judge everything that waits, now; for tests and recordings without a clock."""
        for group in self._groups:
            while any(len(ear._pending) >= WINDOW_BYTES for ear in group):  # noqa: SLF001 (one mechanism in two classes)
                self._judge(group)

    def _listen(self, group: list[Ear]) -> None:
        for start in range(LARGEST_BATCH, len(group), LARGEST_BATCH):
            part = group[start : start + LARGEST_BATCH]
            self._clock.soon(lambda part=part: self._judge(part))  # type: ignore[misc]
        self._judge(group[:LARGEST_BATCH])

    def _judge(self, ears: list[Ear]) -> None:
        """One window of each; two when one more waits, which catches up after a standstill."""
        late = self._judge_once(ears)
        if late:
            self._judge_once(late)

    def _judge_once(self, ears: list[Ear]) -> list[Ear]:
        ready = [(ear, window) for ear in ears if (window := ear.take()) is not None]
        if not ready:
            return []
        pieces: list[bytes] = []
        for ear, window in ready:
            pieces += (ear._context, window)  # noqa: SLF001
            ear._context = window[-CONTEXT * 2 :]  # noqa: SLF001
        samples = np.frombuffer(b"".join(pieces), dtype="<i2").reshape(len(ready), CONTEXT + WINDOW)
        windows = samples.astype(np.float32)
        windows /= 32768
        loud = np.einsum("ij,ij->i", windows, windows) > WINDOW * (QUIET_RMS / 32768) ** 2
        if self._judges_all:
            loud[:] = True
        probabilities = np.zeros(len(ready), dtype=np.float32)
        rows = np.flatnonzero(loud)
        if len(rows):
            probabilities[rows] = self._run([ready[i][0] for i in rows], windows[rows])
        self.runs += len(rows)
        self.quiet += len(ready) - len(rows)
        for (ear, window), probability, is_loud in zip(ready, probabilities.tolist(), loud.tolist(), strict=True):
            ear._quiet = 0 if is_loud else ear._quiet + 1  # noqa: SLF001
            if ear._quiet >= RESTS_AFTER_WINDOWS:  # noqa: SLF001
                ear._states = None  # noqa: SLF001
            ear.judge(probability, window)
        return [ear for ear, _ in ready if len(ear._pending) >= WINDOW_BYTES]  # noqa: SLF001

    def _run(self, ears: list[Ear], windows: Floats) -> Floats:
        probabilities, new = self._model.run(windows, self._states_of(ears))
        for column, ear in enumerate(ears):
            ear._states, ear._column = new, column  # noqa: SLF001
        return probabilities

    def _states_of(self, ears: list[Ear]) -> Floats:
        """(2, N, 128). Mostly they were judged together before, in the same order: then it is what that run gave."""
        before = ears[0]._states  # noqa: SLF001
        is_whole = before is not None and before.shape[1] == len(ears)
        if is_whole and all(e._states is before and e._column == column for column, e in enumerate(ears)):  # noqa: SLF001
            assert before is not None
            return before
        rest = self._model.rest
        return np.stack(
            [rest if ear._states is None else ear._states[:, ear._column] for ear in ears],  # noqa: SLF001
            axis=1,
        )
