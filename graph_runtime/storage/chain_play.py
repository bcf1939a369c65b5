"""What a play of a chain needs in its transaction: a copy of a contact, a version that nobody sees, answers, calls on paper."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.storage import contacts
from graph_runtime.storage.database import Connection, Row, dumps_json


async def free_id(connection: Connection, wanted: str | None) -> str:
    """An id for an enrollment: the wanted one, unless it is taken."""
    cursor = await connection.execute(
        "SELECT CASE WHEN %(id)s::uuid IS NULL OR EXISTS (SELECT FROM enrollment WHERE id = %(id)s::uuid)"
        " THEN uuidv7() ELSE %(id)s::uuid END::text AS id",
        {"id": wanted},
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def add_version(connection: Connection, chain_id: str, document: dict[str, Any]) -> str:
    """The draft as a version; its number is none that publishing could give, so neither waits for the other."""
    cursor = await connection.execute(
        "INSERT INTO chain_version (workspace_id, chain_id, number, document, content_hash)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s, '') RETURNING id::text",
        (chain_id, -1 - secrets.randbelow(2**31 - 1), Jsonb(document, dumps=dumps_json)),
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def copy_contact(connection: Connection, contact_id: str) -> str | None:
    """Another contact with the same values, known at the same channels, who last wrote where the first one did."""
    row = await (await connection.execute(_COPY, {"id": contact_id})).fetchone()
    if row is None:
        return None
    values = {"from": contact_id, "to": row["id"]}
    await connection.execute(_COPY_IDENTITIES, values)
    await connection.execute(_COPY_TALKS, values)
    return str(row["id"])


_COPY = """
    INSERT INTO contact (workspace_id, name, phone, email, tags, time_zone, country, language, fields, variables, opted_out_at)
    SELECT workspace_id, name, phone, email, tags, time_zone, country, language, fields, variables, opted_out_at
    FROM contact WHERE merged_into IS NULL AND id = (SELECT coalesce(m.merged_into, m.id) FROM contact m WHERE m.id = %(id)s)
    RETURNING id::text
"""
_COPY_IDENTITIES = """
    INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id)
    SELECT source_id, left('play:' || external_user_id, 200), workspace_id, %(to)s FROM contact_identity WHERE contact_id = %(from)s
"""
_COPY_TALKS = """
    INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language, status, result,
                              created_at, updated_at, ended_at)
    SELECT DISTINCT ON (channel_id) workspace_id, agent_id, channel_id, %(to)s, version_id, channel_kind, language, 'ended', 'play',
           created_at, updated_at, updated_at
    FROM conversation WHERE contact_id = %(from)s AND NOT is_test AND channel_id IS NOT NULL ORDER BY channel_id, updated_at DESC
"""


async def describe_contact(connection: Connection, values: Mapping[str, Any], lines: Sequence[str]) -> str:
    """Somebody who is known on every channel that is on, except the connectors of phone `lines`."""
    contact_id = await contacts.insert(connection, values)
    await connection.execute(
        "INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id)"
        " SELECT h.id, 'play:' || %(contact)s::text, h.workspace_id, %(contact)s::uuid FROM channel h JOIN agent a ON a.id = h.agent_id"
        " WHERE h.is_on AND a.is_on AND NOT h.connector = ANY (%(lines)s)",
        {"contact": contact_id, "lines": [*lines]},
    )
    return contact_id


async def state(connection: Connection, enrollment_id: str) -> Row:
    """{state, reason, due_at}."""
    cursor = await connection.execute("SELECT state, reason, due_at FROM enrollment WHERE id = %s", (enrollment_id,))
    row = await cursor.fetchone()
    assert row is not None
    return row


async def add_reply(connection: Connection, contact_id: str, text: str) -> None:
    """The contact writes, where they were last written to. Raises: InputInvalid when they are known nowhere."""
    row = await (await connection.execute(_TALK, {"contact": contact_id})).fetchone()
    if row is None:
        row = await (await connection.execute(_NEW_TALK, {"contact": contact_id})).fetchone()
    if row is None:
        raise InputInvalid(
            "This contact is on no channel on which they could answer. Connect a channel to an agent that is published.",
            field="answer",
        )
    await connection.execute(
        "INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, 'contact', %s, %s)",
        (row["id"], row["seq"], Jsonb([{"kind": "text", "text": text[:4000]}], dumps=dumps_json), text[:4000]),
    )


_TALK = """
    UPDATE conversation SET message_seq = message_seq + 1 WHERE id = (
        SELECT id FROM conversation WHERE contact_id = %(contact)s ORDER BY id DESC LIMIT 1)
    RETURNING id::text, message_seq AS seq
"""
_NEW_TALK = """
    INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language, status, result,
                              ended_at, message_seq)
    SELECT h.workspace_id, h.agent_id, h.id, %(contact)s, f.live_version_id, h.connector, 'en', 'ended', 'play', now(), 1
    FROM contact_identity x JOIN channel h ON h.id = x.source_id JOIN agent a ON a.id = h.agent_id
    JOIN flow f ON f.id = a.main_flow_id WHERE x.contact_id = %(contact)s AND f.live_version_id IS NOT NULL ORDER BY h.id LIMIT 1
    RETURNING id::text, message_seq AS seq
"""


async def add_call(connection: Connection, channel_id: str, number: str, result: str) -> dict[str, Any]:
    """A call that has ended so, as `PlacedCall` wants it."""
    cursor = await connection.execute(
        "INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, did, direction, state, result, ended_at)"
        " SELECT uuidv7(), h.workspace_id, h.agent_id, h.id, left(%(number)s, 80), 'out', 'ended', %(result)s, now()"
        " FROM channel h WHERE h.id = %(channel)s RETURNING id::text, started_at, ended_at",
        {"channel": channel_id, "number": number, "result": result},
    )
    row = await cursor.fetchone()
    if row is None:
        raise InputInvalid("The phone line of a step is gone. Choose another one.", field="channel")
    return {
        "id": row["id"], "number": number, "state": "ended", "result": result, "conversation_id": "",
        "started_at": row["started_at"], "answered_at": None, "ended_at": row["ended_at"],
    }  # fmt: skip


async def log(connection: Connection, enrollment_id: str) -> list[Row]:
    """What happened, in order: {what, step_id, kind, reason, data, at, text (of a message)}."""
    cursor = await connection.execute(
        "SELECT l.what, l.step_id, l.kind, l.reason, l.data, l.at, m.text FROM chain_log l"
        " LEFT JOIN message m ON m.conversation_id = l.conversation_id AND m.key = left(l.effect_key, 200) AND l.effect_key <> ''"
        " WHERE l.enrollment_id = %s ORDER BY l.id",
        (enrollment_id,),
    )
    return await cursor.fetchall()
