"""Rows of conversations that people have or are to have: taking and letting go, what is listed, notes, how far is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Database, Row, dumps_json


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of taking a conversation; `problem` as in 0018_people.sql. `waited` in seconds."""

    problem: str
    holder: str
    hand_off_id: str | None
    is_new: bool
    must_run: bool
    seq: int
    waited: float


@dataclass(frozen=True, slots=True)
class LetGo:
    """What became of letting a conversation go."""

    problem: str
    holder: str
    must_run: bool
    seq: int


@dataclass(frozen=True, slots=True)
class MemberSaid:
    """What became of a member's message. `is_pushed`: a sender has to be woken."""

    problem: str
    holder: str
    seq: int
    is_new: bool
    at: datetime
    is_pushed: bool


class HandOffRows:
    """Each of these is one statement and one commit; the caller has authorised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _one(self, kind: type[Any], statement: str, values: tuple[Any, ...]) -> Any:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(kind))
            await cursor.execute(statement, values)
            return await cursor.fetchone()

    async def take(
        self, workspace_id: str, conversation_id: str, member_id: str, *, is_any: bool, from_member: str | None = None
    ) -> Taken:
        """A member takes a conversation. `from_member`: from whom, when somebody has it."""
        values = (workspace_id, conversation_id, member_id, is_any, from_member)
        taken: Taken = await self._one(Taken, _TAKE, values)
        return taken

    async def let_go(
        self, workspace_id: str, conversation_id: str, member_id: str, how: str, about: tuple[bool, str, str, int]
    ) -> LetGo:
        """`how`: "return", "release". `about`: (also somebody else's, note, outcome, the last seq that was read)."""
        is_any, note, outcome, seen = about
        gone: LetGo = await self._one(
            LetGo, _LET_GO, (workspace_id, conversation_id, member_id, is_any, how, note, outcome, seen)
        )
        return gone

    async def say(
        self, workspace_id: str, conversation_id: str, member_id: str, client_id: str, said: tuple[list[Any], str]
    ) -> MemberSaid:
        """`said`: (parts, text)."""
        parts, text = said
        values = (workspace_id, conversation_id, member_id, client_id, Jsonb(parts, dumps=dumps_json), text)
        result: MemberSaid = await self._one(MemberSaid, _SAY, values)
        return result


async def waiting(connection: Connection, member_id: str | None, *, is_any: bool) -> Row:
    """{count, newest, to_approve, is_online}: how many wait for this member, the id of the newest, how many of them only
    to be approved, whether the member is here."""
    cursor = await connection.execute(_WAITING, {"me": member_id, "any": is_any})
    return await cursor.fetchone() or {"count": 0, "newest": None, "to_approve": 0, "is_online": True}


async def listed(connection: Connection, view: str, filters: dict[str, Any]) -> list[Row]:
    """`view`: "waiting", "approve", "mine", "all". `filters`: me, any, queue, agent, search, limit."""
    return await (await connection.execute(_VIEWS[view], filters)).fetchall()


async def one(connection: Connection, conversation_id: str, member_id: str | None) -> Row | None:
    """One conversation as the list has it, with the contact's fields and variables and its state."""
    cursor = await connection.execute(_ONE, {"id": conversation_id, "me": member_id})
    return await cursor.fetchone()


async def past(connection: Connection, conversation_id: str) -> list[Row]:
    """The conversation's hand-offs, newest first."""
    return await (await connection.execute(_PAST, (conversation_id,))).fetchall()


async def sendings(connection: Connection, conversation_id: str, after_seq: int) -> dict[int, str]:
    """seq → state of what a channel sends: "pending", "sending", "sent", "failed", "unknown", "held"."""
    cursor = await connection.execute(_SENDINGS, (conversation_id, after_seq))
    return {row["ordinal"]: row["state"] async for row in cursor}


async def read_until(connection: Connection, conversation_id: str, member_id: str, seq: int) -> None:
    await connection.execute(_READ, (member_id, seq, conversation_id))


async def notes(connection: Connection, conversation_id: str) -> list[Row]:
    """Oldest first."""
    return await (await connection.execute(_NOTES, (conversation_id,))).fetchall()


async def add_note(connection: Connection, conversation_id: str, member_id: str, text: str) -> bool:
    """False: there is no such conversation."""
    cursor = await connection.execute(_ADD_NOTE, {"id": conversation_id, "member": member_id, "text": text})
    return cursor.rowcount == 1


_TAKE = "SELECT * FROM take_conversation(%s::uuid, %s::uuid, %s::uuid, %s::boolean, %s::uuid)"
_LET_GO = "SELECT * FROM let_go_conversation(%s::uuid, %s::uuid, %s::uuid, %s::boolean, %s::text, %s::text, %s::text, %s::integer)"
_SAY = "SELECT * FROM member_says(%s::uuid, %s::uuid, %s::uuid, %s::text, %s::jsonb, %s::text)"
_COLUMNS = """
    c.id, c.agent_id, a.name AS agent_name, c.contact_id, k.fields AS contact, c.channel_kind, c.status, c.language,
    c.preview, c.message_seq, c.holds, c.is_test, c.created_at, c.updated_at, h.id AS hand_off_id, coalesce(h.state, '') AS state,
    coalesce(h.priority, 1) AS priority, coalesce(h.summary, '') AS summary, h.queue_id, coalesce(q.name, '') AS queue_name,
    coalesce(q.goal_seconds, 120) AS goal_seconds, h.member_id, coalesce(m.name, '') AS member_name, h.requested_at,
    h.accepted_at, coalesce(h.return_by, 'queue') AS return_by, coalesce(h.node_id, '') AS node_id, clock_timestamp() AS at,
    CASE WHEN h.member_id = %(me)s::uuid THEN (SELECT count(*) FROM message x WHERE x.conversation_id = c.id AND x.role = 'contact'
        AND x.seq > coalesce((SELECT r.seq FROM read_mark r WHERE r.conversation_id = c.id AND r.member_id = %(me)s::uuid), 0)
    ) ELSE 0 END AS unread
"""
_JOINS = """
    JOIN contact k ON k.id = c.contact_id JOIN agent a ON a.id = c.agent_id
    LEFT JOIN queue q ON q.id = h.queue_id LEFT JOIN member m ON m.id = h.member_id
"""
_NARROWED = """
    AND (%(queue)s::uuid IS NULL OR h.queue_id = %(queue)s) AND (%(agent)s::uuid IS NULL OR c.agent_id = %(agent)s)
    AND (%(search)s::text IS NULL OR c.preview ILIKE %(search)s OR k.fields::text ILIKE %(search)s
         OR h.summary ILIKE %(search)s)
"""
_FIRST_HELD = """h.state = 'waiting' AND h.needs_approval AND NOT EXISTS (SELECT FROM held_message e
        WHERE e.conversation_id = h.conversation_id AND e.state = 'waiting' AND e.place < h.place)"""
_OPEN_HAND_OFFS = "FROM hand_off h JOIN conversation c ON c.id = h.conversation_id AND NOT c.is_test"
_MINE_TO_SEE = "(%(any)s OR answers_queue(%(me)s::uuid, h.queue_id))"
_VIEWS = {
    "waiting": f"""SELECT {_COLUMNS} {_OPEN_HAND_OFFS} {_JOINS}
        WHERE h.closed_at IS NULL AND h.state = 'waiting' AND {_MINE_TO_SEE} {_NARROWED}
        ORDER BY h.priority DESC, h.requested_at LIMIT %(limit)s""",
    "mine": f"""SELECT {_COLUMNS} {_OPEN_HAND_OFFS} {_JOINS}
        WHERE h.closed_at IS NULL AND h.state = 'accepted' AND h.member_id = %(me)s::uuid {_NARROWED}
        ORDER BY c.updated_at DESC LIMIT %(limit)s""",
    "approve": f"""SELECT {_COLUMNS}, held.text AS held_text, held.created_at AS held_since
        FROM (SELECT h.conversation_id, h.text, h.created_at, h.place, h.queue_id FROM held_message h WHERE {_FIRST_HELD}
            AND {_MINE_TO_SEE}) held
        JOIN conversation c ON c.id = held.conversation_id LEFT JOIN hand_off h ON h.id = c.hand_off_id {_JOINS}
        WHERE (%(queue)s::uuid IS NULL OR held.queue_id = %(queue)s) AND (%(agent)s::uuid IS NULL OR c.agent_id = %(agent)s)
          AND (%(search)s::text IS NULL OR held.text ILIKE %(search)s OR k.fields::text ILIKE %(search)s)
        ORDER BY held.place LIMIT %(limit)s""",  # noqa: S608  # constants of this module
    "all": f"""SELECT {_COLUMNS} FROM conversation c LEFT JOIN hand_off h ON h.id = c.hand_off_id {_JOINS}
        WHERE NOT c.is_test AND c.status <> 'ended' AND c.channel_kind <> 'phone' {_NARROWED}
        ORDER BY c.updated_at DESC, c.id DESC LIMIT %(limit)s""",  # noqa: S608  # constants of this module
}
_ONE = f"""SELECT {_COLUMNS}, k.variables AS contact_variables, c.checkpoint, c.version_id
    FROM conversation c LEFT JOIN hand_off h ON h.id = c.hand_off_id {_JOINS} WHERE c.id = %(id)s"""  # noqa: S608  # constants of this module
_WAITING = f"""SELECT count(*) AS count, max(w.id) AS newest, count(*) FILTER (WHERE w.is_held) AS to_approve,
        coalesce((SELECT p.is_online FROM presence p WHERE p.member_id = %(me)s::uuid), true) AS is_online
    FROM (SELECT h.id::text, false AS is_held {_OPEN_HAND_OFFS} WHERE h.closed_at IS NULL AND h.state = 'waiting' AND {_MINE_TO_SEE}
        UNION ALL SELECT h.id::text, true FROM held_message h WHERE {_FIRST_HELD} AND {_MINE_TO_SEE}) w"""  # noqa: S608  # constants of this module
_PAST = """
    SELECT h.id, h.state, h.summary, h.requested_at, h.accepted_at, h.closed_at, h.note, h.outcome,
        coalesce(m.name, '') AS member_name
    FROM hand_off h LEFT JOIN member m ON m.id = h.member_id WHERE h.conversation_id = %s ORDER BY h.id DESC LIMIT 20
"""
_SENDINGS = "SELECT ordinal, state FROM outbox WHERE conversation_id = %s AND ordinal > %s"
_READ = """
    INSERT INTO read_mark (workspace_id, conversation_id, member_id, seq)
    SELECT c.workspace_id, c.id, %s, %s FROM conversation c WHERE c.id = %s
    ON CONFLICT (conversation_id, member_id) DO UPDATE SET seq = greatest(read_mark.seq, excluded.seq)
"""
_NOTES = """
    SELECT n.id, n.text, n.created_at, coalesce(m.name, '') AS member_name
    FROM conversation_note n LEFT JOIN member m ON m.id = n.member_id WHERE n.conversation_id = %s ORDER BY n.id
"""
_ADD_NOTE = """
    INSERT INTO conversation_note (workspace_id, conversation_id, member_id, text)
    SELECT c.workspace_id, c.id, %(member)s, %(text)s FROM conversation c WHERE c.id = %(id)s
"""
