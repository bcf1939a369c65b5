"""Runs steps of chains when they are due, and hears what concerns them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from graph_runtime.services.chain_runner import ChainRunner
from graph_runtime.storage.chain_steps import CHAINS_CHANNEL, ChainSweep
from graph_runtime.worker.due import DueWork, Lanes, Listen

BATCH: Final = 50
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
        signals = await self._sweep.signals(BATCH)
        lanes = Lanes(AT_ONCE, is_backlog=len(signals) == BATCH)
        heard = await asyncio.gather(*(lanes.do(partial(self._runner.hear, *s, moment)) for s in signals))
        due = await self._sweep.due(moment, BATCH)
        lanes = Lanes(AT_ONCE, is_backlog=len(due) == BATCH)
        done = await asyncio.gather(*(lanes.do(partial(self._runner.run_step, *e, moment)) for e in due))
        return sum(heard) + sum(done)

    async def seconds_to_next(self, moment: datetime | None) -> float:
        return await self._sweep.seconds_to_next(self.longest_sleep, moment)
