"""Fires triggers when their time has come or something happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from graph_runtime.services.trigger_runner import TriggerRunner
from graph_runtime.storage.trigger_runs import TriggerSweep
from graph_runtime.storage.triggers import TRIGGERS_CHANNEL
from graph_runtime.worker.due import DueWork, Lanes, Listen

BATCH: Final = 100
AT_ONCE: Final = 4


class TriggerTimers(DueWork):
    """What happens in turns is not announced (a notification would make commits wait for each other): hence the short sleep."""

    channel = TRIGGERS_CHANNEL
    longest_sleep = 1.0

    def __init__(
        self, sweep: TriggerSweep, runner: TriggerRunner, listen: Listen, now: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(listen, now)
        self._sweep = sweep
        self._runner = runner

    async def once(self) -> int:
        moment = self.moment()
        ticks = await self._sweep.ticks(moment, BATCH)
        lanes = Lanes(AT_ONCE, is_backlog=len(ticks) == BATCH)
        done = await asyncio.gather(*(lanes.do(partial(self._runner.tick, *t, moment)) for t in ticks))
        waiting = await self._sweep.runs(moment, BATCH)
        lanes = Lanes(AT_ONCE, is_backlog=len(waiting) == BATCH)
        done += await asyncio.gather(*(lanes.do(partial(self._runner.run, *r, moment)) for r in waiting))
        return sum(done)

    async def seconds_to_next(self, moment: datetime | None) -> float:
        return await self._sweep.seconds_to_next(self.longest_sleep, moment)
