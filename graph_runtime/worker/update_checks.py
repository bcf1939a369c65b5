"""Looks at what contacts said with update rules, some at once, so that slow models never keep turns waiting."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from graph_runtime.services.update_checks import UpdateChecks
from graph_runtime.storage.update_checks import CheckSweep

log = structlog.get_logger(__name__)
LOOK_SECONDS: Final = 1.0
"""What happens in turns is not announced: a notification would make commits wait for each other."""
AT_ONCE: Final = 4


class UpdateLooks:
    """A bulkhead: as many models are asked at once as places are free, and nothing is claimed that must wait here."""

    def __init__(self, sweep: CheckSweep, checks: UpdateChecks) -> None:
        self._sweep = sweep
        self._checks = checks
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                try:
                    began = await self._claim()
                except Exception:
                    log.exception("update_checks_failed")
                    began = 0
                if not began or len(self._running) >= AT_ONCE:
                    await asyncio.wait([*self._running, asyncio.create_task(asyncio.sleep(LOOK_SECONDS))],
                                       return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def once(self) -> int:
        """Do what is due now, to the end; how much was done here."""
        done = 0
        while began := await self._claim():
            done += began
            await asyncio.gather(*self._running)
        return done

    async def _claim(self) -> int:
        claimed = await self._sweep.claim(AT_ONCE - len(self._running))
        for check in claimed:
            task = asyncio.create_task(self._one(*check), name="update check")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(claimed)

    async def _one(self, workspace_id: str, check_id: str, attempt: int) -> None:
        try:
            await self._checks.run(workspace_id, check_id, attempt)
        except Exception:
            # Most often the database is away. The claim runs out, and somebody takes it again.
            log.exception("update_check_left", check_id=check_id)
