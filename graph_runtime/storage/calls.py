"""Wakes workers through the database: after the commit, many conversations in one statement."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from graph_runtime.storage.news import GATHER_SECONDS, Direct
from graph_runtime.telemetry.metrics import WAKE_UPS

log = structlog.get_logger(__name__)
TURNS_CHANNEL: Final = "patchcord_turns"


class Calls:
    """A call that is lost costs the seconds until a sweeper looks. Like `News`, never part of a turn's commit."""

    def __init__(self, database: Direct) -> None:
        self._database = database
        self._waiting: dict[tuple[str, str], None] = {}
        self._calling: asyncio.Task[None] | None = None

    def call(self, workspace_id: str, conversation_id: str) -> None:
        """Somebody should look at this conversation."""
        self._waiting[workspace_id, conversation_id] = None
        if self._calling is None:
            self._calling = asyncio.create_task(self._call(), name="calls")

    async def close(self) -> None:
        """Call what is left."""
        if self._calling is not None:
            await self._calling

    async def _call(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS)
                waiting, self._waiting = self._waiting, {}
                async with self._database.direct() as connection:
                    await connection.execute(_CALL, ([f"{w} {c}" for w, c in waiting],))
                WAKE_UPS.labels("notify").inc(len(waiting))
        except Exception:
            log.exception("calls_lost", conversations=len(self._waiting))
            self._waiting.clear()
        finally:
            self._calling = None


_CALL = "SELECT pg_notify('patchcord_turns', p) FROM unnest(%s::text[]) p"
