"""The loop of those who do what is due: they sleep until the next of it, or until the database says that some was added."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import structlog

log = structlog.get_logger(__name__)
SOONEST = 0.05
"""What somebody else holds stays due: it is looked at again soon, not at once."""
SHORTEST = 0.001
REST = 0.05
"""Seconds, at most, that a lane rests after a piece of a backlog."""

Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class Lanes:
    """`count` pieces of work at once. Those of a backlog come one by one, and after each there is a rest as long as it took:
    half of the time belongs to whoever writes meanwhile."""

    def __init__(self, count: int, *, is_backlog: bool) -> None:
        self._free = asyncio.Semaphore(1 if is_backlog else count)
        self._is_backlog = is_backlog

    async def do(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """In the next free lane."""
        async with self._free:
            began = time.monotonic()
            is_done = await work()
            if self._is_backlog:
                await asyncio.sleep(min(REST, time.monotonic() - began))
            return is_done


class DueWork(ABC):
    """`now` None: the database's clock decides; a simulation gives its own. `channel`: of the database's notifications."""

    channel: str
    longest_sleep: float

    def __init__(self, listen: Listen, now: Callable[[], datetime] | None = None) -> None:
        self._listen = listen
        self._now = now
        self._wake = asyncio.Event()

    @abstractmethod
    async def once(self) -> int:
        """Do what is due now; how much was done here."""

    @abstractmethod
    async def seconds_to_next(self, moment: datetime | None) -> float:
        """Until something is due, at most `longest_sleep`."""

    def moment(self) -> datetime | None:
        """Now; None for the database's."""
        return self._now() if self._now else None

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            seconds = 1.0
            self._wake.clear()
            try:
                while await self.once():
                    pass
                left = await self.seconds_to_next(self.moment())
                seconds = max(left, SHORTEST) if left else SOONEST
            except Exception:
                log.exception("due_work_failed", channel=self.channel)
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the event being set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _hear(self) -> None:
        async for _ in self._listen(self.channel):
            self._wake.set()
