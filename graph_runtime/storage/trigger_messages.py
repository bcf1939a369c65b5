"""What has to be known of a message before a trigger may choose its flow, and pinning the conversation to that."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.turns import LeasedTurn


async def alone_with_sender(connection: Connection, channel_id: str, dedupe_key: str, external: str) -> None:
    """The same event twice at once, and two first messages of one contact, wait here as in `receive_message`."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s || ' ' || %s, 1))", (channel_id, dedupe_key)
    )  # fmt: skip
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s || ' ' || %s, 2))", (channel_id, external)
    )  # fmt: skip


async def is_known(connection: Connection, source_id: str, dedupe_key: str) -> bool:
    """Whether the message came before."""
    cursor = await connection.execute(
        "SELECT FROM inbox WHERE source_id = %s AND dedupe_key = %s", (source_id, dedupe_key)
    )  # fmt: skip
    return await cursor.fetchone() is not None


async def sender(connection: Connection, channel_id: str, external: str) -> Row | None:
    """{contact_id, open_id: the conversation that goes on, or None}; None: nobody knows them."""
    cursor = await connection.execute(
        "SELECT x.contact_id::text, (SELECT c.id::text FROM conversation c WHERE c.contact_id = x.contact_id"
        " AND c.channel_id = x.source_id AND c.status <> 'ended' ORDER BY c.id DESC LIMIT 1) AS open_id"
        " FROM contact_identity x WHERE x.source_id = %s AND x.external_user_id = %s",
        (channel_id, external),
    )
    return await cursor.fetchone()


async def head(connection: Connection, conversation_id: str, contact: tuple[str, str] | None) -> Row | None:
    """{agent_id, channel_kind, contact_id, source_id, has_written} of a conversation that goes on, locked.

    None: it is over, a test, not there, or not that contact's (external user, source).
    """
    external, source = contact or (None, None)
    cursor = await connection.execute(_HEAD, {"id": conversation_id, "external": external, "source": source})
    return await cursor.fetchone()


_HEAD = """
    SELECT c.agent_id::text, c.channel_kind, c.contact_id::text, coalesce(c.channel_id, c.agent_id)::text AS source_id,
        EXISTS (SELECT FROM message m WHERE m.conversation_id = c.id AND m.role = 'contact') AS has_written
    FROM conversation c WHERE c.id::text = %(id)s AND NOT c.is_test AND c.status = 'open'
      AND (%(external)s::text IS NULL OR coalesce(c.channel_id, c.agent_id) = %(source)s::uuid AND EXISTS (
        SELECT FROM contact_identity x WHERE x.source_id = %(source)s::uuid AND x.external_user_id = %(external)s
            AND x.contact_id = c.contact_id))
    FOR UPDATE
"""


async def contact_of(connection: Connection, conversation_id: str) -> str | None:
    """Whose a conversation is."""
    cursor = await connection.execute("SELECT contact_id::text FROM conversation WHERE id = %s", (conversation_id,))
    row = await cursor.fetchone()
    return None if row is None else str(row["contact_id"])


async def pin(connection: Connection, conversation_id: str, version_id: str) -> None:
    """Let a conversation that is about to begin be one of this version."""
    await connection.execute("UPDATE conversation SET version_id = %s WHERE id = %s", (version_id, conversation_id))


def with_version(turn: LeasedTurn | None, version_id: str) -> LeasedTurn | None:
    """A turn that was leased before its conversation was pinned."""
    return None if turn is None else replace(turn, version_id=UUID(version_id))
