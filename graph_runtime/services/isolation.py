"""Keeps last attempts apart: what killed a turn twice may kill again, and must take nobody along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

ALONE_SECONDS: Final = 15.0
"""So long a last attempt waits for those that run together; then it runs beside them."""
TOGETHER_SECONDS: Final = 5.0
"""So long the others wait for one that has begun to run alone: a slow model must not hold up a whole process."""
SUSPECT_SECONDS: Final = 60.0
"""So long those wait of which a process may have died before, however slow the one is that runs alone."""


class Isolation:
    """Of one process: turns run together, or one runs alone."""

    def __init__(
        self, alone: float = ALONE_SECONDS, together: float = TOGETHER_SECONDS, suspect: float = SUSPECT_SECONDS
    ) -> None:
        self._alone_seconds = alone
        self._together_seconds = together
        self._suspect_seconds = suspect
        self._one_at_a_time = asyncio.Lock()
        self._inside = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._has_begun = asyncio.Event()
        self._has_begun.set()
        self._is_open = asyncio.Event()
        self._is_open.set()

    @property
    def is_closed(self) -> bool:
        """Whether somebody runs alone, or waits to."""
        return not self._is_open.is_set()

    @asynccontextmanager
    async def together(self, *, is_suspect: bool = False) -> AsyncIterator[None]:
        """Beside others, after whoever runs alone. `is_suspect`: it was begun before, and its process may have died of it.

        Who waits to run alone would wait in vain if others went on coming in.
        """
        await _wait(self._has_begun, self._alone_seconds)
        await _wait(self._is_open, self._suspect_seconds if is_suspect else self._together_seconds)
        self._inside += 1
        self._is_empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._is_empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """After all who run together, and before those who come later."""
        async with self._one_at_a_time:
            self._is_open.clear()
            self._has_begun.clear()
            try:
                await _wait(self._is_empty, self._alone_seconds)
                self._has_begun.set()
                yield
            finally:
                self._has_begun.set()
                self._is_open.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
