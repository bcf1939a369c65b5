"""Taking in what vendors send: one call and one commit per event; and what it means that the database is away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from graph_runtime.contract.errors import BuilderError, LeaseLost
from graph_runtime.storage import file_fetches
from graph_runtime.storage.channel_links import MOVE
from graph_runtime.storage.database import Connection, dumps_json
from graph_runtime.storage.news import Direct, News
from graph_runtime.storage.together import Together
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
        self._together = Together(self._patiently, self._many, _sender)

    @property
    def waiting(self) -> int:
        """How many events wait for their turn to be stored."""
        return self._together.waiting

    async def receive(
        self, arrival: Arrival, connection: Connection | None = None
    ) -> tuple[Received, LeasedTurn | None]:
        """Store an event and, when its conversation is free, take that at once. Raises: DatabaseAway, LeaseLost.

        `connection`: of a transaction that this is a part of.
        """
        with or_away():
            if connection is None and arrival.is_plain:
                row = await self._together.do(arrival)
            else:
                async with nullcontext(connection) if connection else self._database.direct() as used:
                    if arrival.is_plain:
                        row = await self._store(used, arrival)
                    else:
                        async with used.transaction():
                            row = await self._store_all(used, arrival)
        received, turn = Received(*row[:7]), row[7:]
        if received.is_new and received.seq:
            self._news.tell(arrival.workspace_id, str(received.conversation_id), received.seq)
        return received, None if turn[0] is None else LeasedTurn(*turn)

    async def _patiently(self, arrival: Arrival) -> tuple[Any, ...]:
        async with self._database.direct() as connection:
            return await self._store(connection, arrival)

    async def _many(self, arrivals: Sequence[Arrival]) -> Sequence[tuple[Any, ...]]:
        """All or none. In one order everywhere, so that no two processes wait for each other."""
        order = sorted(range(len(arrivals)), key=lambda n: _sender(arrivals[n]))
        columns = zip(*(self._values(arrivals[n]) for n in order), strict=True)
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            await cursor.execute(_RECEIVE_MANY, [*map(list, columns)])
            rows = {int(row[0]): row[1:] for row in await cursor.fetchall()}
        found: list[tuple[Any, ...]] = [()] * len(arrivals)
        for position, n in enumerate(order, start=1):
            found[n] = rows[position]
        return found

    def _values(self, arrival: Arrival) -> tuple[Any, ...]:
        payload: dict[str, Any] = {"reply": arrival.reply, "hash": arrival.body_hash}
        payload |= {"gather_ms": arrival.gather_ms} if arrival.gather_ms else {}
        return (
            arrival.workspace_id, arrival.channel_id, arrival.revision, arrival.dedupe_key, arrival.external_user_id,
            _json(arrival.contact), arrival.language, _json(payload), _json(arrival.parts), arrival.text, self._owner,
            LEASE_SECONDS,
        )  # fmt: skip

    async def _store(self, connection: Connection, arrival: Arrival) -> tuple[Any, ...]:
        cursor = connection.cursor(row_factory=tuple_row, binary=True)
        await cursor.execute(_RECEIVE, self._values(arrival))
        row = await cursor.fetchone()
        assert row is not None
        return row

    async def _store_all(self, connection: Connection, arrival: Arrival) -> tuple[Any, ...]:
        place = (arrival.workspace_id, arrival.channel_id)
        if arrival.begins_anew:
            anew = (*place, arrival.revision, arrival.dedupe_key, arrival.external_user_id)
            await connection.execute(_MAKE_WAY, anew)
        row = await self._store(connection, arrival)
        received = Received(*row[:7])
        if received.is_new and arrival.files:
            await file_fetches.note(connection, *place, (str(received.conversation_id), received.seq), arrival.files)
        if arrival.cursor is not None and received.problem in ("", "changed"):
            moved = await (await connection.execute(MOVE, (*place, arrival.epoch, arrival.cursor))).fetchone()
            if not moved or not moved["move_cursor"]:
                raise LeaseLost("Another process asks for the events of this channel now.")
        return row


def _sender(arrival: Arrival) -> tuple[str, str]:
    return arrival.channel_id, arrival.external_user_id


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=dumps_json)


_MAKE_WAY = "SELECT make_way(%s::uuid, %s::uuid, %s::integer, %s::text, %s::text)"
_TYPES = (
    "uuid", "uuid", "integer", "text", "text", "jsonb", "text", "jsonb", "jsonb", "text", "bigint", "integer",
)  # fmt: skip
_FOUND = "problem, conversation_id, inbox_id, seq, is_new, at, must_lease, (leased).*"
_RECEIVE = f"SELECT {_FOUND} FROM receive_message({', '.join(f'%s::{kind}' for kind in _TYPES)})"  # noqa: S608  # of constants
_LOCK_MS = 200
# The last value depends on the setting, so that it is set before the first event is stored.
_RECEIVE_MANY = (
    f"SELECT u.n, {_FOUND} FROM (SELECT set_config('lock_timeout', '{_LOCK_MS}ms', true) AS done) s,"  # noqa: S608
    f" unnest({', '.join(f'%s::{kind}[]' for kind in _TYPES)}) WITH ORDINALITY"
    f" u({', '.join(f'v{n}' for n in range(len(_TYPES)))}, n),"
    f" LATERAL receive_message({', '.join(f'u.v{n}' for n in range(len(_TYPES) - 1))},"
    f" CASE WHEN s.done <> '' THEN u.v{len(_TYPES) - 1} END)"
)
