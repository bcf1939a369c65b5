"""The real model on voices and on everything else a line carries."""

import itertools

import numpy as np
import pytest

from tests.voice import sounds
from tests.voice.machines import Seconds
from voice.clock import Clock
from voice.voice_activity import GROUPS, WINDOW_BYTES, WINDOW_MS, Detector, Ear, Fading, Silero


@pytest.fixture(scope="module")
def model() -> Silero:
    return Silero()


def judged(model: Silero, *lines: bytes, judges_all: bool = False) -> list[list[bool]]:
    """Whether each window of each line is speech, all lines in one detector."""
    detector = Detector(Clock(Seconds()), model, judges_all=judges_all)
    results: list[list[bool]] = [[] for _ in lines]
    ears = [Ear(lambda is_speech, _, found=found: found.append(is_speech)) for found in results]  # type: ignore[misc]
    for ear in ears:
        detector.join(ear)
    for at in range(0, max(map(len, lines)), 320):
        for ear, line in zip(ears, lines, strict=True):
            ear.feed(line[at : at + 320])
        detector.listen()
    return results


VOICES = [(0, 120.0), (1, 200.0), (3, 160.0), (4, 110.0), (5, 220.0)]


@pytest.mark.parametrize("level", [-20, -30])
def test_onset_and_end_of_voices(model: Silero, level: int) -> None:
    lines = [bytes(16_000) + sounds.voice(2000, seed=s, pitch=p, level_db=level) + bytes(32_000) for s, p in VOICES]
    for windows in judged(model, *lines):
        speech = [i * WINDOW_MS for i, is_speech in enumerate(windows) if is_speech]
        assert 1000 - WINDOW_MS <= speech[0] <= 1150
        assert 2900 <= speech[-1] <= 3150
        assert len(speech) * WINDOW_MS > 0.6 * 2000


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(sounds.white(10_000), id="white"),
        pytest.param(sounds.brown(10_000), id="brown"),
        pytest.param(sounds.ringback(10_000), id="ringback"),
        pytest.param(sounds.digits(10_000), id="digits"),
        pytest.param(bytes(160_000), id="silence"),
    ],
)
def test_what_is_not_speech(model: Silero, noise: bytes) -> None:
    [windows] = judged(model, noise)
    assert len(windows) == 312
    assert not any(windows)


def test_a_call_hears_the_same_alone_and_among_others(model: Silero) -> None:
    lines = [sounds.voice(1500, seed=seed, pitch=pitch) for seed, pitch in VOICES]
    together = judged(model, *lines, *(sounds.white(1500) for _ in range(40)))
    assert together[: len(lines)] == [judged(model, line)[0] for line in lines]


def test_quiet_windows_cost_nothing_and_change_nothing(model: Silero) -> None:
    line = bytes(16_000) + sounds.voice(1500, seed=1, pitch=200) + bytes(16_000) + sounds.voice(1500, seed=3, pitch=160)
    clock = Clock(Seconds())
    detector = Detector(clock, model)
    windows: list[bool] = []
    ear = Ear(lambda is_speech, _: windows.append(is_speech))
    detector.join(ear)
    for at in range(0, len(line), 320):
        ear.feed(line[at : at + 320])
        detector.listen()
    assert detector.quiet > 50
    assert detector.runs + detector.quiet == len(windows)
    [asked] = judged(model, line, judges_all=True)
    assert np.mean(np.array(asked) != np.array(windows)) < 0.05


def test_after_a_standstill_only_the_last_half_second_counts(model: Silero) -> None:
    detector = Detector(Clock(Seconds()), model)
    heard: list[bytes] = []
    ear = Ear(lambda _, window: heard.append(window))
    detector.join(ear)
    line = sounds.white(20_000)
    ear.feed(line)
    detector.listen()
    assert ear.skipped_bytes == len(line) - 8000
    assert b"".join(heard) == line[-8000:][: 15 * WINDOW_BYTES]


def test_by_the_clock_every_call_is_heard_once_per_window_and_groups_take_turns(model: Silero) -> None:
    seconds = Seconds()
    clock = Clock(seconds)
    detector = Detector(clock, model)
    detector.start()
    heard: list[list[float]] = [[] for _ in range(GROUPS * 40)]
    for times in heard:
        ear = Ear(lambda _s, _w, times=times: times.append(seconds.at))  # type: ignore[misc]
        ear.feed(bytes(4 * WINDOW_BYTES))
        detector.join(ear)
    while (wake := clock.run_due()) is not None and wake < 1000.100:
        seconds.at = max(seconds.at, wake)
    assert {len(times) for times in heard} == {4}, "a second window per turn catches up"
    firsts = sorted({round((times[0] - 1000) * 1000) for times in heard})
    assert len(firsts) == GROUPS
    assert {b - a for a, b in itertools.pairwise(firsts)} == {8}
    detector.stop()
    assert clock.run_due() is None


@pytest.mark.parametrize("noise_db", [-50, -45, -40])
def test_what_the_model_hears_longer_than_it_is_there_counts_as_silence(model: Silero, noise_db: int) -> None:
    late, corrected = [], []
    for seed, pitch in VOICES:
        spoken = bytes(16 * 500) + sounds.voice(1200, seed=seed, pitch=pitch, level_db=-20) + bytes(16 * 800)
        line = sounds.mixed(spoken, sounds.white(2500, level_db=noise_db))
        [windows] = judged(model, line)
        fading, last, silent = Fading(), 0, 0
        for number, is_speech in enumerate(windows):
            window = line[number * WINDOW_BYTES : (number + 1) * WINDOW_BYTES]
            if is_speech:
                fading.voice(float(np.sum(np.frombuffer(window, "<i2").astype(float) ** 2)))
                last = (number + 1) * WINDOW_MS
            elif last == number * WINDOW_MS:
                silent = fading.silence() * WINDOW_MS
        late.append(last - 1700)
        corrected.append(last - silent - 1700)
    assert np.mean(late) > 60
    assert np.mean(corrected) < np.mean(late) - 50
    assert min(corrected) >= -WINDOW_MS, "nobody is cut off while they speak"
