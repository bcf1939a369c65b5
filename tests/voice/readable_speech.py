"""A voice whose sound can be read: every frame of it carries its sentence and its place in it, so that whoever hears the
line knows to the frame what was said."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

FRAME_BYTES: Final = 320
CHARACTERS_PER_FRAME: Final = 2
"""50 characters a second: about three times as fast as people speak."""

LONGEST: Final = 250
_MARK: Final = b"\x50\x41\x54\x43"
_HEAD: Final = struct.Struct("<4sHHB")


@dataclass(frozen=True, slots=True)
class Frame:
    """One of `frames` of a sentence."""

    text: str
    place: int
    frames: int


def speech(text: str) -> bytes:
    """A sentence as 8 kHz audio. Raises: ValueError for one that is too long."""
    said = text.strip().encode()
    if len(said) > LONGEST:
        raise ValueError(f"{len(said)} bytes do not fit into a frame")
    frames = max(2, len(said) // CHARACTERS_PER_FRAME)
    return b"".join(
        (_HEAD.pack(_MARK, place, frames, len(said)) + said).ljust(FRAME_BYTES, b"\x55") for place in range(frames)
    )


def read(frame: bytes) -> Frame | None:
    """What a frame carries; None for silence. Raises: ValueError for a sound that is not this voice."""
    if not frame.startswith(_MARK):
        if any(frame):
            raise ValueError("a sound that nobody made")
        return None
    _, place, frames, size = _HEAD.unpack_from(frame)
    return Frame(frame[_HEAD.size : _HEAD.size + size].decode(), place, frames)
