"""Carries out what waits for customer systems to be back, some at once, so that slow ones keep nobody waiting."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from graph_runtime.services.crm_later import CrmLater
from graph_runtime.storage.crm_writes import CrmWriteSweep

log = structlog.get_logger(__name__)
LOOK_SECONDS: Final = 2.0
AT_ONCE: Final = 4


class CrmLooks:
    """Looks every two seconds: what is put aside waits for a moment anyway."""

    def __init__(self, sweep: CrmWriteSweep, later: CrmLater) -> None:
        self._sweep = sweep
        self._later = later

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                done = await self.once()
            except Exception:
                log.exception("crm_writes_failed")
                done = 0
            if not done:
                await asyncio.sleep(LOOK_SECONDS)

    async def once(self) -> int:
        """Do what is due now, to the end; how much was tried."""
        done = 0
        while claimed := await self._sweep.claim(AT_ONCE):
            done += len(claimed)
            await asyncio.gather(*(self._one(*write) for write in claimed))
        return done

    async def _one(self, workspace_id: str, write_id: str, attempt: int) -> None:
        try:
            await self._later.run(workspace_id, write_id, attempt)
        except Exception:
            # Most often the database is away. The claim runs out, and somebody takes it again.
            log.exception("crm_write_left", write_id=write_id)
