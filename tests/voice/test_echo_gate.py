"""Our own echo is no caller, and a caller is heard through it."""

import numpy as np
import pytest

from tests.voice import sounds
from tests.voice.machines import Seconds
from voice.clock import Clock
from voice.echo_gate import EchoGate, Floats, echo_correlation
from voice.voice_activity import WINDOW_MS, Detector, Ear, Silero

OURS = sounds.voice(4000, seed=1, pitch=200, level_db=-18)


@pytest.fixture(scope="module")
def model() -> Silero:
    return Silero()


def caller_at(model: Silero, heard: bytes) -> tuple[list[int], int]:
    """The moments (ms) at which somebody but us was heard, and how many windows were gated, while OURS is played."""
    detector, gate, at = Detector(Clock(Seconds()), model), EchoGate(), 0
    moments = []

    def on_window(is_speech: bool, window: bytes) -> None:
        nonlocal at
        at += WINDOW_MS
        played = OURS[max(0, at - 700) * 16 : at * 16]
        if gate.is_caller(is_speech, window, lambda: played):
            moments.append(at)

    ear = Ear(on_window)
    detector.join(ear)
    for start in range(0, len(heard), 320):
        ear.feed(heard[start : start + 320])
        detector.listen()
    return moments, gate.gated


@pytest.mark.parametrize("delay", [40, 150.125, 350])
@pytest.mark.parametrize("level", [-6, -12, -20, -30])
def test_an_echo_is_nobody(model: Silero, level: int, delay: float) -> None:
    back = sounds.echo(OURS, level_db=level, delay_ms=delay)
    moments, gated = caller_at(model, sounds.mixed(back, sounds.white(4000, level_db=-60)))
    assert moments == []
    assert gated > 25, "speech detection alone takes it for somebody"


@pytest.mark.parametrize("delay", [20, 287])
@pytest.mark.parametrize("level", [0, -12, -27])
def test_an_echo_from_a_room_through_a_loud_speaker_is_nobody_either(model: Silero, level: int, delay: float) -> None:
    random = np.random.default_rng(3)
    room = np.zeros(1600)
    for bounce in range(12):
        room[random.integers(0, 900)] += random.normal() * 0.8**bounce
    ours = sounds.samples(OURS)
    back = np.clip(np.convolve(ours, room)[: len(ours)], -0.5, 0.5)
    back = sounds.at_level(back, sounds.level(OURS))
    heard = sounds.echo(sounds.pcm(back), level_db=level, delay_ms=delay)
    moments, gated = caller_at(model, sounds.mixed(heard, sounds.white(4000, level_db=-60)))
    assert moments == []
    assert gated > 25


@pytest.mark.parametrize("echo_db", [-100, -30, -20])
@pytest.mark.parametrize(("seed", "pitch", "level"), [(0, 120, -20), (4, 110, -24), (5, 220, -20)])
def test_a_caller_is_heard_over_us(model: Silero, seed: int, pitch: int, level: int, echo_db: int) -> None:
    caller = bytes(16 * 1500) + sounds.voice(1500, seed=seed, pitch=pitch, level_db=level) + bytes(16 * 1000)
    moments, _ = caller_at(model, sounds.mixed(caller, sounds.echo(OURS, level_db=echo_db, delay_ms=150)))
    assert 32 <= moments[0] - 1500 <= 300
    assert moments[-1] - 3000 <= 200


def _noise(random: np.random.Generator, count: int) -> Floats:
    return random.normal(0, 3000, count).astype(np.float32)


def test_correlation_finds_a_copy_at_any_delay_and_level() -> None:
    random = np.random.default_rng(5)
    played = _noise(random, 5600)
    for lag in (0, 1600, 4000):
        start = 5600 - 1600 - lag
        assert echo_correlation(played[start : start + 1600] * 0.01, played) == pytest.approx(1, abs=1e-3)
    # Noise that lies between two samples of half the rate is the worst there is; voices are far better.
    assert echo_correlation(played[5600 - 1617 : 5600 - 17] * 0.01, played) > 0.7
    assert echo_correlation(_noise(random, 1600), played) < 0.2
    assert echo_correlation(np.zeros(1600, np.float32), played) == 0
    assert echo_correlation(_noise(random, 1600), np.zeros(5600, np.float32)) == 0
