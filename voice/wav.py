"""Recordings on file become samples for the line: WAV only, of any rate, width and number of channels."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voice.resample import resampled

LONGEST_SECONDS: Final = 600
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_OTHERS: Final = {
    b"OggS": "Ogg", b"ID3": "MP3", b"\xff\xfb": "MP3", b"\xff\xf3": "MP3", b"fLaC": "FLAC", b"\x1a\x45\xdf\xa3": "WebM",
}  # fmt: skip


class SoundRefused(ValueError):
    """This recording cannot be played on a call; the message says what to do."""


def samples(content: bytes, rate: int) -> bytes:
    """Mono samples of 16 bits at `rate`. Raises: SoundRefused."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        named = next((name for head, name in _OTHERS.items() if content.startswith(head)), "something else")
        raise SoundRefused(
            f"Calls play WAV files only, and this recording is {named}. Save it as WAV, 16 bits, mono, 8000 Hz."
        )
    chunks = _chunks(content)
    if len(chunks.get(b"fmt ", b"")) < 16 or not chunks.get(b"data"):
        raise SoundRefused("This WAV file is damaged: it has no sound in it. Save it anew.")
    kind, channels, from_rate, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if kind == _EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        (kind,) = struct.unpack_from("<H", chunks[b"fmt "], 24)
    if not 1 <= channels <= 8 or not 4000 <= from_rate <= 192_000:
        raise SoundRefused(f"This WAV file has {channels} channels at {from_rate} Hz. Save it as mono, 8000 Hz.")
    sound = _decoded(kind, bits, chunks[b"data"])
    sound = sound[: len(sound) // channels * channels].reshape(-1, channels).mean(axis=1)
    if len(sound) > LONGEST_SECONDS * from_rate:
        raise SoundRefused("This recording is longer than ten minutes. Cut it into shorter ones.")
    return resampled(np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes(), from_rate, rate)


def _chunks(content: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        found.setdefault(name, content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def _decoded(kind: int, bits: int, data: bytes) -> NDArray[np.float64]:
    """Samples on the scale of 16 bits."""
    found: NDArray[Any]
    if kind == _PCM and bits == 8:
        found = (np.frombuffer(data, "u1").astype(np.float64) - 128) * 256
    elif kind == _PCM and bits == 16:
        found = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
    elif kind == _PCM and bits == 24:
        parts = np.frombuffer(data[: len(data) // 3 * 3], "u1").reshape(-1, 3)
        found = parts[:, 1:].copy().view("<i2").reshape(-1)
    elif kind == _PCM and bits == 32:
        found = np.frombuffer(data[: len(data) // 4 * 4], "<i4") / 65536
    elif kind == _FLOAT and bits == 32:
        given = np.frombuffer(data[: len(data) // 4 * 4], "<f4")
        found = np.nan_to_num(given, nan=0.0, posinf=1.0, neginf=-1.0) * 32767
    elif kind in (_ALAW, _MULAW) and bits == 8:
        found = (ALAW_TABLE if kind == _ALAW else MULAW_TABLE)[np.frombuffer(data, "u1")]
    else:
        raise SoundRefused(
            "This WAV file is packed in a way that calls cannot play. Save it as PCM, 16 bits, mono, 8000 Hz."
        )
    return found.astype(np.float64)


def _mulaw_table() -> NDArray[np.int16]:
    """ITU-T G.711."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = ((mantissa * 2 + 33) << exponent) - 33
    return np.where(code & 0x80, -size * 4, size * 4).astype("<i2")


def _alaw_table() -> NDArray[np.int16]:
    """ITU-T G.711."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = np.where(exponent == 0, mantissa * 2 + 1, (mantissa * 2 + 33) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size * 8, -size * 8).astype("<i2")


MULAW_TABLE: Final = _mulaw_table()
ALAW_TABLE: Final = _alaw_table()


def codes(table: NDArray[np.int16]) -> NDArray[np.uint8]:
    """For each sample, as an unsigned number, the nearest sound of a table of G.711."""
    order = np.argsort(table, kind="stable")
    sounds = table[order].astype(np.int32)
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    above = np.clip(np.searchsorted(sounds, samples), 1, 255)
    is_lower = samples - sounds[above - 1] < sounds[above] - samples
    return order[np.where(is_lower, above - 1, above)].astype(np.uint8)
