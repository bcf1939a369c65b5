"""Fires timers when they are due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.storage.timers import TIMERS_CHANNEL, Sweep
from graph_runtime.worker.due import DueWork, Listen

BATCH: Final = 2
PACE: Final = 0.05
"""Seconds after which more are fired although these turns have not ended: a model may be thinking in them."""
REST: Final = 0.02
"""Seconds, at most, that a backlog rests after each batch, and no longer than the batch took: half of the time belongs to others."""


class Timers(DueWork):
    """Each timer becomes a trigger of its conversation, whose turn is begun here."""

    channel = TIMERS_CHANNEL
    longest_sleep = 30.0

    def __init__(
        self, sweep: Sweep, runner: TurnRunner, listen: Listen, now: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(listen, now)
        self._sweep = sweep
        self._runner = runner

    async def once(self) -> int:
        fired = await self._sweep.fire_timers(self.moment(), BATCH)
        for workspace_id, conversation_id in fired:
            self._runner.start(workspace_id, conversation_id)
        if len(fired) == BATCH and (running := self._runner.running):
            # Many are due, perhaps all that fell due while nothing ran: whoever writes meanwhile is answered in between.
            began = time.monotonic()
            await asyncio.wait(running, timeout=PACE)
            await asyncio.sleep(min(REST, time.monotonic() - began))
        return len(fired)

    async def seconds_to_next(self, moment: datetime | None) -> float:
        return await self._sweep.seconds_to_next_timer(self.longest_sleep, moment)
