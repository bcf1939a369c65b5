"""Files of messages that are still at their vendors: noted with the message, fetched by whoever is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection
from graph_runtime.storage.news import Direct
from graph_runtime.storage.objects import Kept

FETCH_CHANNEL: Final = "patchcord_files"
FETCH_SECONDS: Final = 180
"""After this a file may be fetched by another process though the first one lives."""


@dataclass(frozen=True, slots=True)
class ClaimedFetch:
    """A file that this process fetches now. `about`: the fields of an `InboundFile`; `seq`: of its message."""

    id: UUID
    workspace_id: UUID
    channel_id: UUID
    channel_revision: int
    conversation_id: UUID
    seq: int
    about: dict[str, Any]
    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class NewFetch:
    """A file to fetch: its id and name here, and what it is over there."""

    id: str
    name: str
    about: dict[str, Any]


async def note(
    connection: Connection, workspace_id: str, channel_id: str, place: tuple[str, int], files: list[NewFetch]
) -> None:
    """Note the files of a message; `place`: (conversation, seq)."""
    await connection.execute("SELECT set_config('app.workspace_id', %s, true)", (workspace_id,))
    for file in files:
        await connection.execute(
            "INSERT INTO file_fetch (id, workspace_id, channel_id, conversation_id, seq, about, name)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (file.id, workspace_id, channel_id, *place, Jsonb(file.about), file.name),
        )
    await connection.execute("SELECT pg_notify(%s, '')", (FETCH_CHANNEL,))


class FetchStore:
    """`owner`: this process's number."""

    def __init__(self, database: Direct, owner: int) -> None:
        self._database = database
        self._owner = owner

    async def claim(self, limit: int) -> list[ClaimedFetch]:
        """Files that are due, now this process's."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(ClaimedFetch), binary=True)
            await cursor.execute("SELECT * FROM claim_fetches(%s::bigint, %s::integer)", (self._owner, limit))
            return await cursor.fetchall()

    async def finish(
        self,
        claimed: ClaimedFetch,
        *,
        mime: str = "",
        kept: Kept | None = None,
        error: str = "",
        again: float | None = None,
    ) -> bool:
        """Store the file, or say why not; `again` None with an error: it is given up."""
        kept = kept or Kept(0, b"")
        bytes_here = (kept.content, kept.place, kept.size)
        values = (claimed.workspace_id, claimed.id, self._owner, mime, *bytes_here, error[:500], again)
        return bool(await self._value(_FINISH, *values))

    async def recover(self, seconds: int = FETCH_SECONDS) -> int:
        """Take back what dead and frozen processes were fetching; how many."""
        return int(await self._value("SELECT recover_fetches(%s::bigint, %s::integer)", self._owner, seconds))

    async def _value(self, statement: str, *values: Any) -> Any:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(statement, values)
            return await cursor.fetchone()


_FINISH = "SELECT finish_fetch(%s::uuid, %s::uuid, %s::bigint, %s::text, %s::bytea, %s::text, %s::integer, %s::text, %s::float8)"
