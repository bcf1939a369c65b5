"""Taking in what vendors send: one call and one commit per event; and what it means that the database is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from graph_runtime.contract.errors import BuilderError
from graph_runtime.storage.database import Connection, dumps_json
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
    """One event of a contact, as it is stored. `language` None: not one of ours; `body_hash` tells a changed body."""

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
        self._statement = _RECEIVE if takes else _RECEIVE_FOR_OTHERS
        self._owner = owner
        self._news = news

    async def receive(
        self, arrival: Arrival, connection: Connection | None = None
    ) -> tuple[Received, LeasedTurn | None]:
        """Store an event and, when its conversation is free, take that at once. Raises: DatabaseAway.

        `connection`: of a transaction that this is a part of.
        """
        payload = {"reply": arrival.reply, "hash": arrival.body_hash}
        values = (
            arrival.workspace_id, arrival.channel_id, arrival.revision, arrival.dedupe_key, arrival.external_user_id,
            _json(arrival.contact), arrival.language, _json(payload), _json(arrival.parts), arrival.text, self._owner,
            LEASE_SECONDS,
        )  # fmt: skip
        with or_away():
            async with nullcontext(connection) if connection else self._database.direct() as used:
                cursor = used.cursor(row_factory=tuple_row, binary=True)
                await cursor.execute(self._statement, values)
                row = await cursor.fetchone()
        assert row is not None
        received, turn = Received(*row[:7]), row[7:]
        if received.is_new and received.seq:
            self._news.tell(arrival.workspace_id, str(received.conversation_id), received.seq)
        return received, None if turn[0] is None else LeasedTurn(*turn)


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=dumps_json)


_RECEIVE = (
    "SELECT problem, conversation_id, inbox_id, seq, is_new, at, must_lease, (leased).* FROM receive_message(%s::uuid, "
    "%s::uuid, %s::integer, %s::text, %s::text, %s::jsonb, %s::text, %s::jsonb, %s::jsonb, %s::text, %s::bigint, "
    "%s::integer)"
)
_RECEIVE_FOR_OTHERS = _RECEIVE.replace("receive_message", "receive_for_others")
