"""Rows of what agents said and somebody has to approve: what waits, what became of it, and deciding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Database, Row, dumps_json


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of deciding; `problem` as in 0022_approval.sql. `is_pushed`: a sender has to be woken."""

    problem: str
    holder: str
    conversation_id: Any
    seq: int
    is_pushed: bool


@dataclass(frozen=True, slots=True)
class TimedOut:
    """What the time decided: "send", "discard", "hand_off"; "" nothing, somebody was quicker."""

    outcome: str
    conversation_id: Any
    seq: int
    is_pushed: bool


class ApprovalRows:
    """Each of these is one statement and one commit; the caller has authorised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def decide(
        self, workspace_id: str, held_id: str, member_id: str, how: str, said: tuple[list[Any], str], *, is_any: bool
    ) -> Decided:
        """`how`: "send", "edit", "replace", "reject". `said`: (parts, text) of what goes out instead."""
        parts, text = said
        values = (workspace_id, held_id, member_id, is_any, how, Jsonb(parts, dumps=dumps_json), text)
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(Decided))
            await cursor.execute(_DECIDE, values)
            decided = await cursor.fetchone()
        assert decided is not None
        return decided

    async def due(self, now: datetime | None, limit: int) -> list[tuple[str, str]]:
        """(workspace, held message) whose time is over. `now` None: the database's clock."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT * FROM due_approvals(%s::timestamptz, %s)", (now, limit))
            return [(str(workspace), str(held)) for workspace, held in await cursor.fetchall()]

    async def time_out(self, workspace_id: str, held_id: str, now: datetime | None) -> TimedOut:
        """The time decides about one."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(TimedOut))
            await cursor.execute(_TIME_OUT, (workspace_id, held_id, now))
            timed_out = await cursor.fetchone()
        assert timed_out is not None
        return timed_out


async def of_conversation(connection: Connection, conversation_id: str) -> list[Row]:
    """All that was held in a conversation, in order, with the name of whoever decided."""
    return await (await connection.execute(_OF_CONVERSATION, (conversation_id,))).fetchall()


async def one(connection: Connection, held_id: str) -> Row | None:
    """One held message."""
    return await (await connection.execute(_ONE, (held_id,))).fetchone()


async def waiting(connection: Connection, member_id: str | None, *, is_any: bool, limit: int) -> list[Row]:
    """The first of each conversation that waits for this member's approval, longest waiting first."""
    cursor = await connection.execute(_WAITING, {"me": member_id, "any": is_any, "limit": limit})
    return await cursor.fetchall()


_DECIDE = "SELECT * FROM decide_held(%s::uuid, %s::uuid, %s::uuid, %s::boolean, %s::text, %s::jsonb, %s::text)"
_TIME_OUT = "SELECT * FROM time_out_held(%s::uuid, %s::uuid, %s::timestamptz)"
_COLUMNS = """
    h.id::text, h.conversation_id::text, h.parts, h.text, h.node_id, h.turn_id::text, h.needs_approval, h.due_at,
    h.on_timeout, h.state, h.decided_by, coalesce(m.name, '') AS member_name, h.decided_at, h.sent_parts, h.sent_text,
    h.seq, h.created_at
"""
_OF_CONVERSATION = f"""SELECT {_COLUMNS} FROM held_message h LEFT JOIN member m ON m.id = h.member_id
    WHERE h.conversation_id = %s ORDER BY h.place LIMIT 500"""  # noqa: S608  # constants of this module
_ONE = f"SELECT {_COLUMNS} FROM held_message h LEFT JOIN member m ON m.id = h.member_id WHERE h.id = %s"  # noqa: S608  # as above
_WAITING = f"""SELECT {_COLUMNS}, k.fields AS contact, a.id::text AS agent_id, a.name AS agent_name, c.channel_kind,
        coalesce(q.name, '') AS queue_name, a.settings #>> '{{answering,approval,instead}}' AS instead
    FROM held_message h LEFT JOIN member m ON m.id = h.member_id JOIN conversation c ON c.id = h.conversation_id
    JOIN contact k ON k.id = c.contact_id JOIN agent a ON a.id = c.agent_id LEFT JOIN queue q ON q.id = h.queue_id
    WHERE h.state = 'waiting' AND h.needs_approval AND (%(any)s OR answers_queue(%(me)s::uuid, h.queue_id))
      AND NOT EXISTS (SELECT FROM held_message e WHERE e.conversation_id = h.conversation_id AND e.state = 'waiting'
        AND e.place < h.place)
    ORDER BY h.place LIMIT %(limit)s"""  # noqa: S608  # as above
