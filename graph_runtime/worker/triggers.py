"""Fires triggers when their time has come or something happened, and sleeps until the next time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

import structlog

from graph_runtime.services.trigger_runner import TriggerRunner
from graph_runtime.storage.trigger_runs import TriggerSweep
from graph_runtime.storage.triggers import TRIGGERS_CHANNEL

log = structlog.get_logger(__name__)
LONGEST_SLEEP: Final = 1.0
"""What happens in turns is not announced: a notification would make commits wait for each other."""
BATCH: Final = 100
AT_ONCE: Final = 4

Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class TriggerTimers:
    """`now` None: the database's clock decides; a simulation gives its own."""

    def __init__(
        self, sweep: TriggerSweep, runner: TriggerRunner, listen: Listen, now: Callable[[], datetime] | None = None
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
        """Do what is due now; how much was done here."""
        moment = self._now() if self._now else None
        places = asyncio.Semaphore(AT_ONCE)

        async def one(do: Callable[..., object], workspace_id: str, other_id: str) -> bool:
            async with places:
                return bool(await do(workspace_id, other_id, moment))  # type: ignore[misc]

        ticks = await self._sweep.ticks(moment, BATCH)
        done = await asyncio.gather(*(one(self._runner.tick, *t) for t in ticks))
        waiting = await self._sweep.runs(moment, BATCH)
        done += await asyncio.gather(*(one(self._runner.run, *r) for r in waiting))
        return sum(done)

    async def _work(self) -> None:
        while True:
            seconds = LONGEST_SLEEP
            self._wake.clear()
            try:
                while await self.once():
                    pass
                moment = self._now() if self._now else None
                # What another process holds stays due: look again soon, not at once.
                seconds = max(0.05, await self._sweep.seconds_to_next(LONGEST_SLEEP, moment))
            except Exception:
                log.exception("triggers_failed")
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the event being set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _hear(self) -> None:
        async for _ in self._listen(TRIGGERS_CHANNEL):
            self._wake.set()
