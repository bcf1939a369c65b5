"""What a piece of a call's audio is: 20 ms of signed 16-bit little-endian mono samples at a known rate."""

from __future__ import annotations

from dataclasses import dataclass

FRAME_MS = 20
FRAMES_PER_SECOND = 1000 // FRAME_MS
SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How samples are to be read; always mono and 16 bits."""

    rate: int
    """Samples per second."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame of 20 ms."""
        return self.rate // FRAMES_PER_SECOND * SAMPLE_BYTES

    @property
    def bytes_per_ms(self) -> float:
        """Bytes of one millisecond."""
        return self.rate * SAMPLE_BYTES / 1000

    def milliseconds(self, size: int) -> float:
        """How long `size` bytes sound."""
        return size / self.bytes_per_ms

    def silence(self, milliseconds: float = FRAME_MS) -> bytes:
        """That much nothing, in whole samples."""
        return bytes(int(self.rate * milliseconds / 1000) * SAMPLE_BYTES)


PHONE = AudioFormat(8000)
"""What a telephone line carries, and what speech detection works on."""

WIDE = AudioFormat(16000)
"""What recognition works on."""
