"""A stream in pieces sounds like the whole."""

import numpy as np
import pytest

from tests.voice.machines import tone
from voice.resample import Resampler, resampled

RATES = [(8000, 16000), (16000, 8000), (22050, 8000), (24000, 8000), (48000, 8000), (8000, 8000)]


def samples(audio: bytes) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.frombuffer(audio, dtype="<i2").astype(float)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("piece_ms", [7, 20, 333])
def test_pieces_make_the_same_tone(from_rate: int, to_rate: int, piece_ms: int) -> None:
    stream = Resampler(from_rate, to_rate)
    audio = tone(1000, rate=from_rate)
    step = from_rate * piece_ms // 1000 * 2
    got = b"".join(stream.feed(audio[i : i + step]) for i in range(0, len(audio), step)) + stream.finish()
    wanted = tone(1000, rate=to_rate)
    assert len(got) == len(wanted)
    middle = slice(to_rate // 20, -to_rate // 20)
    assert np.abs(samples(got)[middle] - samples(wanted)[middle]).max() < 30


def test_what_the_new_rate_cannot_carry_is_gone() -> None:
    stream = Resampler(24000, 8000)
    got = samples(stream.feed(tone(1000, hz=5500, rate=24000)))
    assert np.abs(got[400:]).max() < 30


def test_the_delay_is_what_the_docstring_says() -> None:
    stream, given_ms, got, worst = Resampler(8000, 16000), 0, 0, 0.0
    for _ in range(100):
        got += len(stream.feed(tone(20)))
        given_ms += 20
        worst = max(worst, given_ms - got / 32)
    assert worst <= 62


def test_a_whole_recording() -> None:
    assert len(resampled(tone(1000, rate=22050), 22050, 8000)) == 16000
    assert resampled(b"ab", 8000, 8000) == b"ab"
