"""Rows of queues with who answers them, of ready replies, and of who is here."""

from __future__ import annotations

from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row


class NameTaken(Exception):
    """Another one in this workspace has the name; the transaction cannot go on."""


async def _saved(connection: Connection, statement: str, values: dict[str, Any]) -> Row | None:
    try:
        return await (await connection.execute(statement, values)).fetchone()
    except UniqueViolation as error:
        raise NameTaken from error


async def listed(connection: Connection) -> list[Row]:
    """By name, with the ids of their members and how many wait."""
    return await (await connection.execute(_LIST)).fetchall()


async def save(connection: Connection, queue_id: str | None, values: dict[str, Any]) -> str | None:
    """Make or change a queue; its id, None when there is no such queue. Raises: NameTaken."""
    row = await _saved(connection, _CHANGE if queue_id else _ADD, values | {"id": queue_id})
    if row is None:
        return None
    await connection.execute("DELETE FROM queue_member WHERE queue_id = %s", (row["id"],))
    await connection.execute(_MEMBERS, {"id": row["id"], "members": values["member_ids"]})
    return str(row["id"])


async def delete(connection: Connection, queue_id: str) -> bool:
    """What waits in it is then everybody's."""
    return (await connection.execute("DELETE FROM queue WHERE id = %s", (queue_id,))).rowcount == 1


async def people(connection: Connection) -> list[Row]:
    """Members who may answer, with whether they are here."""
    return await (await connection.execute(_PEOPLE)).fetchall()


async def set_presence(connection: Connection, member_id: str, is_online: bool | None) -> None:
    """None: only that they were seen."""
    await connection.execute(_PRESENCE, {"member": member_id, "online": is_online})


async def replies(connection: Connection) -> list[Row]:
    """By shortcut."""
    cursor = await connection.execute("SELECT id, shortcut, texts FROM canned_reply ORDER BY lower(shortcut)")
    return await cursor.fetchall()


async def save_reply(connection: Connection, reply_id: str | None, shortcut: str, texts: dict[str, str]) -> str | None:
    """Its id, None when there is no such reply. Raises: NameTaken."""
    values = {"id": reply_id, "shortcut": shortcut, "texts": Jsonb(texts)}
    row = await _saved(connection, _CHANGE_REPLY if reply_id else _ADD_REPLY, values)
    return str(row["id"]) if row else None


async def delete_reply(connection: Connection, reply_id: str) -> bool:
    return (await connection.execute("DELETE FROM canned_reply WHERE id = %s", (reply_id,))).rowcount == 1


_HERE = "current_setting('app.workspace_id')::uuid"
_LIST = """
    SELECT q.id, q.name, q.number, q.goal_seconds,
        ARRAY(SELECT m.member_id FROM queue_member m WHERE m.queue_id = q.id ORDER BY m.member_id)::text[] AS member_ids,
        (SELECT count(*) FROM hand_off h WHERE h.queue_id = q.id AND h.closed_at IS NULL AND h.state = 'waiting') AS waiting
    FROM queue q ORDER BY lower(q.name)
"""
_ADD = f"""
    INSERT INTO queue (workspace_id, name, number, goal_seconds)
    VALUES ({_HERE}, %(name)s, %(number)s, %(goal_seconds)s) RETURNING id
"""  # noqa: S608 (a constant)
_CHANGE = """
    UPDATE queue SET name = %(name)s, number = %(number)s, goal_seconds = %(goal_seconds)s WHERE id = %(id)s RETURNING id
"""
_MEMBERS = """
    INSERT INTO queue_member (queue_id, member_id, workspace_id)
    SELECT %(id)s, m.id, m.workspace_id FROM member m WHERE m.id::text = ANY (%(members)s)
"""
_PEOPLE = """
    SELECT m.id, m.name, m.role,
        coalesce(p.is_online AND p.seen_at > clock_timestamp() - interval '2 minutes', false) AS is_online,
        (SELECT count(*) FROM hand_off h WHERE h.member_id = m.id AND h.state = 'accepted' AND h.closed_at IS NULL) AS talks
    FROM member m LEFT JOIN presence p ON p.member_id = m.id WHERE m.role <> 'viewer' ORDER BY lower(m.name)
"""
_PRESENCE = """
    INSERT INTO presence (member_id, workspace_id, is_online)
    SELECT m.id, m.workspace_id, coalesce(%(online)s::boolean, true) FROM member m WHERE m.id = %(member)s
    ON CONFLICT (member_id) DO UPDATE
        SET is_online = coalesce(%(online)s::boolean, presence.is_online), seen_at = clock_timestamp()
"""
_ADD_REPLY = f"""
    INSERT INTO canned_reply (workspace_id, shortcut, texts) VALUES ({_HERE}, %(shortcut)s, %(texts)s) RETURNING id
"""  # noqa: S608 (a constant)
_CHANGE_REPLY = """
    UPDATE canned_reply SET shortcut = %(shortcut)s, texts = %(texts)s WHERE id = %(id)s RETURNING id
"""
