"""Recordings on file: what can be played, and what is refused in a sentence that helps."""

import io
import struct
import wave

import numpy as np
import pytest

from tests.voice.machines import tone
from voice.wav import SoundRefused, samples


def wav(audio: bytes, *, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(audio)
    return file.getvalue()


def packed(kind: int, bits: int, data: bytes, rate: int = 8000) -> bytes:
    head = struct.pack("<HHIIHH", kind, 1, rate, rate * bits // 8, bits // 8, bits)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(head)) + head
    body += b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_what_fits_the_line_is_left_as_it_is() -> None:
    assert samples(wav(tone(500)), 8000) == tone(500)


def test_two_sides_are_mixed_and_the_rate_is_the_lines() -> None:
    side = np.frombuffer(tone(1000, rate=44_100), "<i2")
    both = np.stack([side, side], axis=1)
    found = np.frombuffer(samples(wav(both.tobytes(), rate=44_100, channels=2), 8000), "<i2")
    assert abs(len(found) - 8000) <= 2
    assert abs(np.abs(found.astype(int)).mean() - np.abs(side.astype(int)).mean()) < 200


@pytest.mark.parametrize(
    ("kind", "bits", "data", "first"),
    [
        (1, 8, bytes([128, 255, 0]), [0, 32512, -32768]),
        (1, 24, b"\x00\x00\x40" + b"\xff\xff\xff", [16384, -1]),
        (1, 32, struct.pack("<ii", 1 << 30, -(1 << 31)), [16384, -32768]),
        (3, 32, struct.pack("<fff", 0.5, -2.0, float("nan")), [16384, -32768, 0]),
        (7, 8, bytes([0xFF, 0x80, 0x00]), [0, 32124, -32124]),
        (6, 8, bytes([0xD5, 0x55, 0xAA]), [8, -8, 32256]),
    ],
)
def test_every_usual_packing_is_read(kind: int, bits: int, data: bytes, first: list[int]) -> None:
    found = np.frombuffer(samples(packed(kind, bits, data), 8000), "<i2").tolist()
    assert found == first


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ID3\x04" + bytes(100), "MP3"),
        (b"OggS" + bytes(100), "Ogg"),
        (b"", "something else"),
        (b"RIFF\x24\0\0\0WAVE", "damaged"),
        (packed(1, 16, b""), "damaged"),
        (packed(0x11, 4, bytes(64)), "packed in a way"),
        (packed(1, 16, bytes(64), rate=1_000_000), "1000000 Hz"),
        (packed(1, 16, bytes(2 * 4000 * 601), rate=4000), "ten minutes"),
    ],
)
def test_what_cannot_be_played_is_refused_with_advice(content: bytes, says: str) -> None:
    with pytest.raises(SoundRefused, match=says):
        samples(content, 8000)
