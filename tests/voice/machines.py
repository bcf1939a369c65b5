"""A second hand that tests move, and a line that remembers what was sent."""

from __future__ import annotations

import math
from array import array

from voice.clock import Ticking


class Seconds:
    """A monotonic clock that stands still."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Memory:
    """A mouth that keeps frames; `takes` is whether the caller hears them."""

    def __init__(self) -> None:
        self.sent: list[bytes | None] = []
        self.takes = True

    def speak(self, frame: bytes | None) -> bool:
        self.sent.append(frame)
        return self.takes


class Stamps(Ticking):
    """A member of the clock that notes when it was served."""

    def __init__(self, clock: Seconds) -> None:
        self.clock = clock
        self.at: list[float] = []

    def tick(self) -> None:
        self.at.append(self.clock.at)


def tone(ms: float, *, hz: float = 440, rate: int = 8000, level: float = 0.25) -> bytes:
    """A sine as samples."""
    count = int(rate * ms / 1000)
    return array("h", (int(32767 * level * math.sin(2 * math.pi * hz * i / rate)) for i in range(count))).tobytes()
