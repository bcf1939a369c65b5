"""Lets the time decide about messages that nobody approved."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from graph_runtime.services.approvals import BATCH, Approvals

log = structlog.get_logger(__name__)
SECONDS: Final = 1.0


class ApprovalTimes:
    """Looks every second: the times are whole minutes, and a look is one look into an index."""

    def __init__(self, approvals: Approvals, *, seconds: float = SECONDS) -> None:
        self._approvals = approvals
        self._seconds = seconds

    async def run(self) -> None:
        """For ever; a database that is away is asked again."""
        while True:
            try:
                while await self._approvals.time_out() == BATCH:
                    pass
            except Exception:
                log.exception("approvals_failed")
            await asyncio.sleep(self._seconds)
