"""Reads what customer systems say has changed, some records at once, and looks after the addresses they post to."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from graph_runtime.contract.errors import BuilderError
from graph_runtime.services.crm_hooks import CrmHooks, CrmReading
from graph_runtime.storage.crm_hooks import CrmHookSweep

log = structlog.get_logger(__name__)
LOOK_SECONDS: Final = 1.0
LINKS_EVERY: Final = 60
AT_ONCE: Final = 4
LINKS_AT_ONCE: Final = 20


class CrmReadings:
    """Looks every second for records, every minute for addresses."""

    def __init__(self, sweep: CrmHookSweep, reading: CrmReading, hooks: CrmHooks) -> None:
        self._sweep = sweep
        self._reading = reading
        self._hooks = hooks

    async def run(self) -> None:
        """For ever."""
        looks = 0
        while True:
            try:
                if looks % LINKS_EVERY == 0:
                    await self.links()
                looks += 1
                done = await self.once()
            except Exception:
                log.exception("crm_readings_failed")
                done = 0
            if not done:
                await asyncio.sleep(LOOK_SECONDS)

    async def once(self) -> int:
        """Read what is due now; how much was tried."""
        done = 0
        while claimed := await self._sweep.records(AT_ONCE):
            done += len(claimed)
            await asyncio.gather(*(self._one(*one) for one in claimed))
        return done

    async def links(self) -> None:
        """Tell systems again where to post, where that is due."""
        for workspace_id, credential_id in await self._sweep.links(LINKS_AT_ONCE):
            try:
                await self._hooks.look_after(workspace_id, credential_id)
            except BuilderError as error:
                log.warning("crm_link_left", credential_id=credential_id, code=error.code)

    async def _one(self, workspace_id: str, record: str) -> None:
        try:
            await self._reading.run(workspace_id, record)
        except BuilderError as error:
            # The connection was deleted or cannot be opened. The claim runs out, and it is looked at again.
            log.warning("crm_record_left", record=record, code=error.code)
        except Exception:
            # Most often the database is away.
            log.exception("crm_record_left", record=record)
