"""Runs steps of chains when they are due, and hears what concerns them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from graph_runtime.services.chain_runner import ChainRunner
from graph_runtime.storage.chain_steps import CHAINS_CHANNEL, ChainSweep
from graph_runtime.worker.due import DueWork, Listen

BATCH: Final = 100
AT_ONCE: Final = 4


class ChainTimers(DueWork):
    """Signals first: a reply that has come stops the step that was about to be sent."""

    channel = CHAINS_CHANNEL
    longest_sleep = 10.0

    def __init__(
        self, sweep: ChainSweep, runner: ChainRunner, listen: Listen, now: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(listen, now)
        self._sweep = sweep
        self._runner = runner

    async def once(self) -> int:
        moment = self.moment()
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

    async def seconds_to_next(self, moment: datetime | None) -> float:
        return await self._sweep.seconds_to_next(self.longest_sleep, moment)
