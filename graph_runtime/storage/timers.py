"""Timers, conversations and requests left behind: what the worker looks for before it knows any workspace."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg.rows import scalar_row, tuple_row

from graph_runtime.storage.news import Direct

TIMERS_CHANNEL = "patchcord_timers"


class Sweep:
    """Questions that only SECURITY DEFINER functions answer. `owner`: this process's number."""

    def __init__(self, database: Direct, owner: int) -> None:
        self._database = database
        self._owner = owner

    async def pending(self, limit: int = 50) -> list[tuple[str, str]]:
        """(workspace, conversation) with a waiting trigger that nobody alive works on, longest waiting first."""
        return [(workspace_id, conversation_id) for workspace_id, conversation_id, _ in await self.left_behind(limit)]

    async def left_behind(self, limit: int = 50) -> list[tuple[str, str, bool]]:
        """As `pending`, with whether somebody who is gone still holds the lease."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT * FROM pending_work(%s, %s)", (self._owner, limit))
            return [(str(w), str(c), bool(was_leased)) for w, c, was_leased in await cursor.fetchall()]

    async def drop_unanswered(self) -> None:
        """End requests under an Idempotency-Key whose process is gone."""
        async with self._database.direct() as connection:
            await connection.execute("SELECT drop_unanswered(%s)", (self._owner,))

    async def fire_timers(self, now: datetime | None = None, limit: int = 200) -> list[tuple[str, str]]:
        """Make triggers of due timers; (workspace, conversation) of each. `now` None: the database's clock."""
        return await self._pairs("SELECT * FROM fire_timers(%s::timestamptz, %s)", now, limit)

    async def seconds_to_next_timer(self, most: float, now: datetime | None = None) -> float:
        """Until the next timer is due; at most `most`."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute("SELECT seconds_to_next_timer(%s::timestamptz, %s)", (now, most))
            seconds: float | None = await cursor.fetchone()
        return most if seconds is None else seconds

    async def _pairs(self, statement: str, *values: Any) -> list[tuple[str, str]]:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(statement, values)
            return [
                (str(workspace_id), str(conversation_id)) for workspace_id, conversation_id in await cursor.fetchall()
            ]
