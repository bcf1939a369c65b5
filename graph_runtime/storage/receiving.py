"""Taking in what vendors send: one call and one commit per event; and what it means that the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool
from psycopg.types.json import Jsonb

from graph_runtime.contract.errors import BuilderError, LeaseLost
from graph_runtime.storage import file_fetches
from graph_runtime.storage.channel_links import MOVE
from graph_runtime.storage.database import Connection, dumps_json
from graph_runtime.storage.grouped_calls import GroupedCalls
from graph_runtime.storage.news import Direct, News
from graph_runtime.storage.turns import LEASE_SECONDS, LeasedTurn


class DatabaseAway(BuilderError):
    """The database cannot be reached, so nothing was stored; send it again in a moment."""

    code = "database_away"
    status = 503
    retryable = True


@contextmanager
def or_away() -> Iterator[None]:
    """Say so when the database cannot be reached. Raises: DatabaseAway."""
    try:
        yield
    except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
        raise DatabaseAway(
            "The database cannot be reached, so nothing was stored. Send it again in a moment."
        ) from error


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event of a contact, as it is stored. `language` None: not one of ours; `body_hash` tells a changed body.

    `gather_ms`: how long the answer waits for more of the same message. `begins_anew`: the contact starts over. `files`
    are fetched later. `cursor` and `epoch`: how far the channel came with this event, and the lease it was asked under.
    """

    workspace_id: str
    channel_id: str
    revision: int
    dedupe_key: str
    external_user_id: str
    contact: dict[str, Any]
    language: str | None
    reply: dict[str, Any]
    parts: list[dict[str, Any]]
    text: str
    body_hash: str
    gather_ms: int = 0
    begins_anew: bool = False
    files: list[file_fetches.NewFetch] = field(default_factory=list)
    cursor: str | None = None
    epoch: int = 0

    @property
    def is_plain(self) -> bool:
        """Nothing else belongs into its commit."""
        return not (self.begins_anew or self.files or self.cursor is not None)


@dataclass(frozen=True, slots=True)
class Received:
    """What an event became; `problem` as in 0004_receive.sql."""

    problem: str
    conversation_id: UUID | None
    inbox_id: UUID | None
    seq: int
    is_new: bool
    at: datetime
    must_lease: bool


class Receiver:
    """`owner`: this process's number, which takes the conversation when that is free, unless it leaves all to others."""

    def __init__(self, database: Direct, owner: int, news: News, *, takes: bool = True) -> None:
        self._database = database
        self._owner = owner if takes else None
        self._news = news
        self._calls = GroupedCalls(database, "receive_message", _FOUND, _TYPES, place=(1, 4))

    @property
    def waiting(self) -> int:
        """How many events wait for their turn to be stored."""
        return self._calls.waiting

    async def receive(
        self, arrival: Arrival, connection: Connection | None = None
    ) -> tuple[Received, LeasedTurn | None]:
        """Store an event and, when its conversation is free, take that at once. Raises: DatabaseAway, LeaseLost.

        `connection`: of a transaction that this is a part of.
        """
        with or_away():
            if connection is None and arrival.is_plain:
                row = await self._calls.call(self._values(arrival))
            else:
                async with nullcontext(connection) if connection else self._database.direct() as used:
                    if arrival.is_plain:
                        row = await self._calls.within(used, self._values(arrival))
                    else:
                        async with used.transaction():
                            row = await self._store_all(used, arrival)
        assert row is not None
        received, turn = Received(*row[:7]), row[7:]
        if received.is_new and received.seq:
            self._news.tell(arrival.workspace_id, str(received.conversation_id), received.seq)
        return received, None if turn[0] is None else LeasedTurn(*turn)

    def _values(self, arrival: Arrival) -> tuple[Any, ...]:
        payload: dict[str, Any] = {"reply": arrival.reply, "hash": arrival.body_hash}
        payload |= {"gather_ms": arrival.gather_ms} if arrival.gather_ms else {}
        return (
            arrival.workspace_id, arrival.channel_id, arrival.revision, arrival.dedupe_key, arrival.external_user_id,
            _json(arrival.contact), arrival.language, _json(payload), _json(arrival.parts), arrival.text, self._owner,
            LEASE_SECONDS,
        )  # fmt: skip

    async def _store_all(self, connection: Connection, arrival: Arrival) -> tuple[Any, ...]:
        place = (arrival.workspace_id, arrival.channel_id)
        if arrival.begins_anew:
            anew = (*place, arrival.revision, arrival.dedupe_key, arrival.external_user_id)
            await connection.execute(_MAKE_WAY, anew)
        row = await self._calls.within(connection, self._values(arrival))
        assert row is not None
        received = Received(*row[:7])
        if received.is_new and arrival.files:
            await file_fetches.note(connection, *place, (str(received.conversation_id), received.seq), arrival.files)
        if arrival.cursor is not None and received.problem in ("", "changed"):
            moved = await (await connection.execute(MOVE, (*place, arrival.epoch, arrival.cursor))).fetchone()
            if not moved or not moved["move_cursor"]:
                raise LeaseLost("Another process asks for the events of this channel now.")
        return row


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=dumps_json)


_MAKE_WAY = "SELECT make_way(%s::uuid, %s::uuid, %s::integer, %s::text, %s::text)"
_TYPES = (
    "uuid", "uuid", "integer", "text", "text", "jsonb", "text", "jsonb", "jsonb", "text", "bigint", "integer",
)  # fmt: skip
_FOUND = "problem, conversation_id, inbox_id, seq, is_new, at, must_lease, (leased).*"
