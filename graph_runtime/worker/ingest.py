"""Reads documents and fills stores of vectors as long as some wait; woken by the database, and looking by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import structlog

from graph_runtime.storage.knowledge import DOCUMENTS_CHANNEL

log = structlog.get_logger(__name__)
LOOK_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 2.0
Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class WorksOff(Protocol):
    """What has documents, or changes of them, to work off."""

    async def run_next(self) -> bool:
        """Work on the next one; False when none waits."""

    async def close(self) -> None:
        """Let go of what is held."""


class Ingest:
    """One of each kind at a time: a bulkhead, so that a thousand files do not take the worker from conversations."""

    def __init__(self, ingest: WorksOff, listen: Listen) -> None:
        self._ingest = ingest
        self._listen = listen
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear())
                group.create_task(self._read())
        finally:
            await self._ingest.close()

    async def _read(self) -> None:
        while True:
            self._wake.clear()
            try:
                while await self._ingest.run_next():
                    pass
            except Exception:
                log.exception("ingest_failed", kind=type(self._ingest).__name__)
                await asyncio.sleep(PAUSE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()

    async def _hear(self) -> None:
        async for _ in self._listen(DOCUMENTS_CHANNEL):
            self._wake.set()
