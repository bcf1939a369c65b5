"""Where an answer begins to be heard."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import numpy as np
import pytest

from tests.voice import sounds
from voice.speaker import LEAD_IN_MS, MOST_TRIMMED_MS, from_first_sound

SOUND = sounds.tones(400, (440,))
STILL = np.random.default_rng(3).integers(-20, 20, 80 * 8).astype("<i2").tobytes()
"""80 ms, as a vendor's voice begins."""


async def trimmed(audio: bytes, size: int) -> bytes:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(audio), size):
            yield audio[at : at + size]

    return b"".join([piece async for piece in from_first_sound(pieces(), 8000)])


@pytest.mark.parametrize("size", [2, 320, 100_000])
async def test_an_answer_begins_with_sound(size: int) -> None:
    found = await trimmed(STILL + SOUND, size)
    assert found.endswith(SOUND[2:])
    assert len(found) - len(SOUND) <= LEAD_IN_MS * 16 + 16
    assert await trimmed(SOUND, size) == SOUND


async def test_a_long_pause_at_the_beginning_is_meant_and_nothing_but_stillness_is_left_alone() -> None:
    pause = bytes(16 * 900)
    assert len(await trimmed(pause + SOUND, 320)) >= len(pause + SOUND) - MOST_TRIMMED_MS * 16
    assert await trimmed(STILL, 320) == STILL
    assert await trimmed(b"", 320) == b""
