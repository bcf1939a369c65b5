"""What time it is, as something that can be replaced."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment (aware UTC)."""


def system_clock() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)
