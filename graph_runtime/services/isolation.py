"""Keeps last attempts apart: what killed a turn twice may kill again, and must take nobody along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

PATIENCE_SECONDS: Final = 5.0
"""So long the ones wait for the others: a slow model must not hold up a whole process."""


class Isolation:
    """Of one process: turns run together, or one runs alone."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._one_at_a_time = asyncio.Lock()
        self._inside = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._is_open = asyncio.Event()
        self._is_open.set()

    @property
    def is_closed(self) -> bool:
        """Whether somebody runs alone, or waits to."""
        return not self._is_open.is_set()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Beside others, after whoever runs alone."""
        await self._wait(self._is_open)
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
            try:
                await self._wait(self._is_empty)
                yield
            finally:
                self._is_open.set()

    async def _wait(self, event: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await event.wait()
