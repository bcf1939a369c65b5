"""A telephone system's side of AudioSocket, as small as a talk needs it: bytes to frames, frames to bytes."""

from __future__ import annotations

from typing import Final
from uuid import UUID

FRAME_MS: Final = 20
FRAME_BYTES: Final = 320
"""20 ms of signed 16-bit little-endian mono samples at 8 kHz."""
SILENCE: Final = bytes(FRAME_BYTES)
_HEADER_BYTES: Final = 3
_AUDIO, _END, _DIGIT, _NAME = 0x10, 0x00, 0x03, 0x01
DIGITS: Final = frozenset("0123456789*#ABCD")


def naming(call_id: str) -> bytes:
    """The first message: which call this is."""
    return bytes((_NAME, 0, 16)) + UUID(call_id).bytes


def audio(frame: bytes) -> bytes:
    """One frame."""
    return bytes((_AUDIO,)) + len(frame).to_bytes(2, "big") + frame


def digit(key: str) -> bytes:
    """A key that was let go. Raises: ValueError."""
    if key not in DIGITS:
        raise ValueError(f"{key!r} is no key of a telephone")
    return bytes((_DIGIT, 0, 1)) + key.encode()


class Decoder:
    """Turns what the media process sends, in pieces of any size, into frames; `has_ended`: it gave the call back."""

    def __init__(self) -> None:
        self._rest = b""
        self.has_ended = False

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete with `data`."""
        data, frames = self._rest + data, []
        while len(data) >= _HEADER_BYTES:
            end = _HEADER_BYTES + int.from_bytes(data[1:3], "big")
            if len(data) < end:
                break
            if data[0] == _AUDIO:
                frames.append(data[_HEADER_BYTES:end])
            elif data[0] == _END:
                self.has_ended = True
            data = data[end:]
        self._rest = data
        return frames
