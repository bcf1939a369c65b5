"""What the caller of a talk says: their microphone as it comes, typed words at the pace of speech, silence in between."""

from __future__ import annotations

from typing import Final

from graph_runtime.api.talk.wire import FRAME_BYTES, SILENCE

QUIET_SECONDS: Final = 0.06
"""A microphone of which nothing came for so long is off, or its page is busy: a telephone would send silence."""
MOST_TYPED_BYTES: Final = 16_000 * 60
LEAD_BYTES: Final = 3200
"""200 ms of silence before typed words and after them, as between sentences."""


class CallerVoice:
    """Pure: times are handed in, in seconds of one clock."""

    def __init__(self) -> None:
        self._typed = b""
        self._part = b""
        self._heard_at = -1.0

    @property
    def is_typing(self) -> bool:
        """Whether typed words are being said; the microphone is not heard meanwhile."""
        return bool(self._typed)

    def type(self, samples: bytes) -> bool:
        """Say this after what is being said; False: that is too much at once."""
        if len(self._typed) + len(samples) > MOST_TYPED_BYTES:
            return False
        self._typed += bytes(LEAD_BYTES) + samples + bytes(LEAD_BYTES)
        return True

    def speak(self, samples: bytes, now: float) -> list[bytes]:
        """Frames to send at once; samples of a microphone may come in pieces of any size."""
        self._heard_at = now
        if self._typed:
            self._part = b""
            return []
        data = self._part + samples
        whole = len(data) // FRAME_BYTES * FRAME_BYTES
        self._part = data[whole:]
        return [data[at : at + FRAME_BYTES] for at in range(0, whole, FRAME_BYTES)]

    def tick(self, now: float) -> bytes | None:
        """Every 20 ms: a frame that nobody else says, or None while the microphone speaks."""
        if self._typed:
            frame, self._typed = self._typed[:FRAME_BYTES], self._typed[FRAME_BYTES:]
            return frame.ljust(FRAME_BYTES, b"\0")
        if now - self._heard_at < QUIET_SECONDS:
            return None
        self._part = b""
        return SILENCE
