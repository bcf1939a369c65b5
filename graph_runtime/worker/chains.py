"""Runs steps of chains when they are due, hears what concerns them, and sleeps until the next one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

import structlog

from graph_runtime.services.chain_runner import ChainRunner
from graph_runtime.storage.chain_steps import CHAINS_CHANNEL, ChainSweep

log = structlog.get_logger(__name__)
LONGEST_SLEEP: Final = 10.0
BATCH: Final = 100
AT_ONCE: Final = 4

Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class ChainTimers:
    """`now` None: the database's clock decides; a simulation gives its own."""

    def __init__(
        self, sweep: ChainSweep, runner: ChainRunner, listen: Listen, now: Callable[[], datetime] | None = None
    ) -> None:
        self._sweep = sweep
        self._runner = runner
        self._listen = listen
        self._now = now
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            group.create_task(self._work())

    async def once(self) -> int:
        """Hear what waits and run what is due; how many of both were done here."""
        moment = self._now() if self._now else None
        places = asyncio.Semaphore(AT_ONCE)

        async def hear(workspace_id: str, signal_id: int) -> bool:
            async with places:
                return await self._runner.hear(workspace_id, signal_id, moment)

        async def step(workspace_id: str, enrollment_id: str) -> bool:
            async with places:
                return await self._runner.run_step(workspace_id, enrollment_id, moment)

        heard = await asyncio.gather(*(hear(*s) for s in await self._sweep.signals(BATCH)))
        done = await asyncio.gather(*(step(*e) for e in await self._sweep.due(moment, BATCH)))
        return sum(heard) + sum(done)

    async def _work(self) -> None:
        while True:
            seconds = 1.0
            self._wake.clear()
            try:
                while await self.once():
                    pass
                moment = self._now() if self._now else None
                # A step that another process holds stays due: look again soon, not at once.
                seconds = max(0.05, await self._sweep.seconds_to_next(LONGEST_SLEEP, moment))
            except Exception:
                log.exception("chains_failed")
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the event being set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _hear(self) -> None:
        async for _ in self._listen(CHAINS_CHANNEL):
            self._wake.set()
