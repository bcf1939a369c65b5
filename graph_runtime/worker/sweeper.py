"""Finds conversations whose process died or never woke, and runs them here; ends requests that a dead process began."""

from __future__ import annotations

import asyncio

import structlog

from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.storage.timers import Sweep

log = structlog.get_logger(__name__)
SECONDS = 2.0
BUSY_SECONDS = 0.2
AT_ONCE = 20


class Sweeper:
    """Every two seconds: what a dead process leaves is taken over within three. While there is more than it may take
    at once it looks again sooner: a process may leave hundreds.

    Only what it took itself counts. A worker that is busy with what comes now would else never get to what was left behind,
    which has waited longest.
    """

    def __init__(
        self, sweep: Sweep, runner: TurnRunner, *, seconds: float = SECONDS, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        self._sweep = sweep
        self._runner = runner
        self._seconds = seconds
        self._busy_seconds = busy_seconds
        self._is_full = False
        self._taken: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """For ever; a database that is away is asked again."""
        while True:
            try:
                await self.once()
            except Exception:
                self._is_full = False
                log.exception("sweep_failed")
            await asyncio.sleep(self._busy_seconds if self._is_full else self._seconds)

    async def once(self) -> int:
        """One look; how many conversations were taken up."""
        await self._sweep.drop_unanswered()
        self._taken = {name: task for name, task in self._taken.items() if not task.done()}
        # Those that wait to run alone take no place, and are found again at every look until they have run.
        apart = self._runner.kept_apart
        free = AT_ONCE - len(self._taken.keys() - apart)
        if free <= 0:
            return 0
        known = apart | self._taken.keys()
        found = await self._sweep.left_behind(free + len(known))
        left_behind = [row for row in found if row[1] not in known][:free]
        self._is_full = len(left_behind) == free
        for workspace_id, conversation_id, was_leased in left_behind:
            self._taken[conversation_id] = self._runner.start(
                workspace_id, conversation_id, is_steal=was_leased, is_left=True
            )
        return len(left_behind)
