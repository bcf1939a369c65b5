"""Where the engine reads the time: the system's clock, or one a test or the simulator moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The moment, as aware UTC."""

    def now(self) -> datetime:
        """The present moment."""
        ...


class SystemClock:
    """The computer's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class VirtualClock:
    """Stands still until it is moved, and only goes forward."""

    def __init__(self, at: datetime | None = None) -> None:
        self._at = at or datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._at

    def advance(self, by: timedelta) -> datetime:
        """Go forward. Raises: ValueError for a negative step."""
        if by < timedelta(0):
            raise ValueError("time only goes forward")
        self._at += by
        return self._at

    def advance_to(self, moment: datetime) -> datetime:
        """Go forward to a moment; an earlier one changes nothing."""
        self._at = max(self._at, moment)
        return self._at
