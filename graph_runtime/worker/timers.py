"""Fires timers when they are due, and sleeps until the next one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import structlog

from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.storage.timers import TIMERS_CHANNEL, Sweep

log = structlog.get_logger(__name__)
LONGEST_SLEEP = 30.0
BATCH = 200

Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class Timers:
    """`now` None: the database's clock decides; a simulation gives its own."""

    def __init__(
        self, sweep: Sweep, runner: TurnRunner, listen: Listen, now: Callable[[], datetime] | None = None
    ) -> None:
        self._sweep = sweep
        self._runner = runner
        self._listen = listen
        self._now = now
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """For ever: fire what is due, then sleep until the next row is, or until one is added."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            group.create_task(self._fire())

    async def once(self) -> int:
        """Fire what is due; how many."""
        moment = self._now() if self._now else None
        fired = await self._sweep.fire_timers(moment, BATCH)
        for workspace_id, conversation_id in fired:
            self._runner.start(workspace_id, conversation_id)
        return len(fired)

    async def _fire(self) -> None:
        while True:
            seconds = 1.0
            self._wake.clear()
            try:
                while await self.once() == BATCH:
                    pass
                moment = self._now() if self._now else None
                # A timer whose conversation was busy stays due: look again soon, not at once.
                seconds = max(0.05, await self._sweep.seconds_to_next_timer(LONGEST_SLEEP, moment))
            except Exception:
                log.exception("timers_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _hear(self) -> None:
        async for _ in self._listen(TIMERS_CHANNEL):
            self._wake.set()
