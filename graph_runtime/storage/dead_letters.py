"""Rows of dead letters: reading them with what they were about, and bringing them back."""

from __future__ import annotations

from typing import Any

from graph_runtime.storage.database import Connection, Row

_FROM = """
    FROM dead_letter d JOIN conversation c ON c.id = d.conversation_id JOIN contact k ON k.id = c.contact_id
    JOIN agent a ON a.id = d.agent_id
    LEFT JOIN channel h ON h.id = d.channel_id
    LEFT JOIN inbox i ON d.source = 'inbox' AND i.id = d.ref
    LEFT JOIN outbox o ON d.source = 'outbox' AND o.id = d.ref
    LEFT JOIN crm_write w ON d.source = 'crm' AND w.id = d.ref
"""
_COLUMNS = """
    d.id, d.source, d.ref, d.conversation_id, d.agent_id, a.name AS agent, d.channel_id, d.channel_kind,
    coalesce(h.label, '') AS channel_label, d.reason, d.error, d.attempts, d.first_at, d.last_at,
    d.resolved_at, d.resolved_how, k.fields AS contact,
    coalesce(i.kind, 'message') AS kind, coalesce(i.payload -> 'reply', '{}'::jsonb) AS reply, coalesce(o.parts, '[]'::jsonb) AS parts,
    w.write,
    CASE d.source WHEN 'inbox' THEN i.id IS NOT NULL WHEN 'crm' THEN w.state = 'failed' ELSE o.id IS NOT NULL AND h.id IS NOT NULL END AS can_replay
"""
_OPEN = """
    WHERE d.resolved_at IS NULL AND (%(reason)s::text IS NULL OR d.reason = %(reason)s)
      AND (%(agent)s::uuid IS NULL OR d.agent_id = %(agent)s)
      AND (%(channel)s::uuid IS NULL OR d.channel_id = %(channel)s)
"""


async def listed(connection: Connection, filters: dict[str, Any]) -> list[Row]:
    """Open letters, newest first. `filters`: reason, agent, channel, before, limit; None does not filter."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} {_FROM} {_OPEN} AND (%(before)s::uuid IS NULL OR d.id < %(before)s)"
        " ORDER BY d.id DESC LIMIT %(limit)s",
        filters,
    )
    return await cursor.fetchall()


async def groups(connection: Connection) -> list[Row]:
    """How many open letters have the same reason and channel, since when, the largest group first."""
    cursor = await connection.execute(
        "SELECT d.source, d.reason, d.channel_id, d.channel_kind, coalesce(h.label, '') AS channel_label,"
        " count(*) AS letters, min(d.first_at) AS since FROM dead_letter d LEFT JOIN channel h ON h.id = d.channel_id"
        " WHERE d.resolved_at IS NULL GROUP BY 1, 2, 3, 4, 5 ORDER BY letters DESC, since"
    )
    return await cursor.fetchall()


async def get(connection: Connection, letter_id: str) -> Row | None:
    """One open letter, locked."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE d.id = %s AND d.resolved_at IS NULL FOR UPDATE OF d", (letter_id,)
    )
    return await cursor.fetchone()


async def alike(connection: Connection, letter: Row, limit: int) -> list[Row]:
    """Open letters with the same source, reason and channel, oldest first, locked."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE d.resolved_at IS NULL AND d.source = %(source)s AND d.reason = %(reason)s"  # noqa: S608
        " AND d.channel_id IS NOT DISTINCT FROM %(channel_id)s AND d.channel_kind = %(channel_kind)s"
        " ORDER BY d.id LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED",
        {k: letter[k] for k in ("source", "reason", "channel_id", "channel_kind")} | {"limit": limit},
    )
    return await cursor.fetchall()


async def resolve(connection: Connection, letter_id: str, how: str, by: str) -> None:
    """Note what became of a letter."""
    await connection.execute(
        "UPDATE dead_letter SET resolved_at = clock_timestamp(), resolved_how = %s, resolved_by = %s WHERE id = %s",
        (how, by, letter_id),
    )


async def revive_trigger(connection: Connection, inbox_id: str) -> bool:
    """Let a trigger that was put aside run again, and its conversation out of quarantine."""
    cursor = await connection.execute(
        "UPDATE inbox SET state = 'pending', attempts = 0, first_run_at = NULL, done_at = NULL"
        " WHERE id = %s AND state = 'dead' RETURNING conversation_id",
        (inbox_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    await connection.execute(
        "UPDATE conversation SET pending_since = coalesce(pending_since, now()),"
        " status = CASE WHEN status = 'quarantined' THEN 'open' ELSE status END WHERE id = %s",
        (row["conversation_id"],),
    )
    return True


async def requeue_message(connection: Connection, outbox_id: str) -> bool:
    """Send a message again, under the key it had; one that may have arrived is then marked as possibly a duplicate."""
    cursor = await connection.execute(
        "UPDATE outbox SET state = 'pending', attempt = 0, next_attempt_at = clock_timestamp(), error_class = '', error = '',"
        " expires_at = clock_timestamp() + interval '24 hours', on_unknown = 'at_least_once',"
        " unknown_since = CASE WHEN state = 'unknown' THEN coalesce(unknown_since, send_started_at) ELSE unknown_since END"
        " WHERE id = %s AND state IN ('failed', 'unknown') RETURNING conversation_id, ordinal",
        (outbox_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    await connection.execute(
        "UPDATE message SET flags = flags - 'undelivered' WHERE conversation_id = %s AND seq = %s",
        (row["conversation_id"], row["ordinal"]),
    )
    await connection.execute("SELECT pg_notify('patchcord_outbox', '')")
    return True
