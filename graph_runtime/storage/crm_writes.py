"""Rows of writes to customer systems that were away: put aside once, claimed in order, and what they came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.news import Direct

CLAIM_SECONDS: Final = 180
"""Longer than a record, a note and a task may take."""
_FOUND: Final = """
    SELECT id::text, agent_id::text, conversation_id::text, turn_id::text, node_id, slot, key, write, made_under, attempts, at,
        credential_id::text, change_id::text, coalesce(revived_at, at) < clock_timestamp() - make_interval(secs => %s) AS is_too_old
    FROM crm_write WHERE id = %s AND state = 'waiting' AND attempts = %s
"""


class CrmWriteSweep:
    """Asked before any workspace is known."""

    def __init__(self, database: Direct) -> None:
        self._database = database

    async def claim(self, limit: int, seconds: int = CLAIM_SECONDS) -> list[tuple[str, str, int]]:
        """(workspace, write, attempt) that nobody else works on for so long."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT * FROM claim_crm_writes(%s, %s)", (limit, seconds))
            return [(str(w), str(i), int(a)) for w, i, a in await cursor.fetchall()]


async def add(connection: Connection, agent_id: str, slot: str, about: Mapping[str, Any]) -> None:
    """Put a write aside: key, conversation_id, turn_id, node_id, write, made_under. A key is put aside once."""
    values = {**about, "agent_id": agent_id, "slot": slot}
    values |= {name: Jsonb(values[name]) for name in ("write", "made_under")}
    await connection.execute(
        "INSERT INTO crm_write (workspace_id, agent_id, conversation_id, turn_id, node_id, slot, key, write, made_under,"
        " next_at)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(agent_id)s, %(conversation_id)s, %(turn_id)s, %(node_id)s, %(slot)s,"
        " %(key)s, %(write)s, %(made_under)s, clock_timestamp() + interval '5 seconds') ON CONFLICT (key) DO NOTHING",
        values,
    )


async def waits(connection: Connection, conversation_id: str) -> bool:
    """Whether something of a conversation still waits."""
    found = await connection.execute(
        "SELECT FROM crm_write WHERE conversation_id = %s AND state = 'waiting' LIMIT 1", (conversation_id,)
    )
    return await found.fetchone() is not None


async def add_of_contact(
    connection: Connection, agent_id: str, slot: str, key: str, contact_id: str, write: Mapping[str, Any]
) -> None:
    """A write that no conversation asks for; it is carried out as soon as somebody looks. A key is written down once.

    `key` begins with who asks, "chain:…" or "trigger:…", in whose log it stands when it fails.
    """
    await connection.execute(
        "INSERT INTO crm_write (workspace_id, agent_id, contact_id, node_id, slot, key, write) VALUES"
        " (current_setting('app.workspace_id')::uuid, %(agent)s, %(contact)s, %(by)s, %(slot)s, %(key)s, %(write)s)"
        " ON CONFLICT (key) DO NOTHING",
        {
            "agent": agent_id, "contact": contact_id, "by": key.partition(":")[0], "slot": slot, "key": key,
            "write": Jsonb(write),
        },
    )  # fmt: skip


async def add_change(connection: Connection, values: Mapping[str, Any]) -> None:
    """A write of an update rule: key, agent_id, conversation_id, turn_id, credential_id, change_id, write. It is due at once."""
    await connection.execute(
        "INSERT INTO crm_write (workspace_id, agent_id, conversation_id, turn_id, node_id, slot, key, write, credential_id, change_id)"
        " SELECT current_setting('app.workspace_id')::uuid, %(agent_id)s, %(conversation_id)s, %(turn_id)s, '', '', %(key)s,"
        " %(write)s, c.id, %(change_id)s FROM credential c WHERE c.id::text = %(credential_id)s ON CONFLICT (key) DO NOTHING",
        {**values, "write": Jsonb(values["write"])},
    )


async def drop_of_change(connection: Connection, change_id: str) -> bool:
    """Take back what was not written yet; whether there was nothing else to take back."""
    cursor = await connection.execute(
        "UPDATE crm_write SET state = 'dropped', write = '{}', done_at = clock_timestamp() WHERE change_id = %s"
        " AND (state = 'failed' OR state = 'waiting' AND attempts = 0) RETURNING id",
        (change_id,),
    )
    dropped = await cursor.fetchall()
    await connection.execute(
        "UPDATE dead_letter SET resolved_at = clock_timestamp(), resolved_how = 'discarded', resolved_by = 'system'"
        " WHERE source = 'crm' AND ref = ANY (%s::uuid[]) AND resolved_at IS NULL",
        ([row["id"] for row in dropped],),
    )
    left = await connection.execute(
        "SELECT FROM crm_write WHERE change_id = %s AND state <> 'dropped' LIMIT 1", (change_id,)
    )
    return await left.fetchone() is None


async def give_up(connection: Connection, row: Row, reason: str, error: str) -> None:
    """Show it with what is undelivered, until somebody decides; what a chain wrote is shown in the chain's log instead."""
    if row["conversation_id"] is None:
        return
    await connection.execute(
        "INSERT INTO dead_letter (workspace_id, source, ref, conversation_id, agent_id, channel_kind, reason, error, attempts,"
        " first_at, last_at) VALUES (current_setting('app.workspace_id')::uuid, 'crm', %s, %s, %s, 'crm', %s, %s, %s, %s,"
        " clock_timestamp()) ON CONFLICT DO NOTHING",
        (row["id"], row["conversation_id"], row["agent_id"], reason, error[:500], row["attempts"], row["at"]),
    )


async def revive(connection: Connection, write_id: str) -> bool:
    """Try once more what was given up; False when it is not there any more."""
    cursor = await connection.execute(
        "UPDATE crm_write SET state = 'waiting', next_at = clock_timestamp(), revived_at = clock_timestamp(), error = '',"
        " done_at = NULL WHERE id = %s AND state = 'failed' AND write <> '{}'",
        (write_id,),
    )
    return cursor.rowcount == 1


async def get(connection: Connection, write_id: str, attempt: int, oldest_seconds: float) -> Row | None:
    """A write that waits and is still in the hands of this attempt; None: it is not."""
    return await (await connection.execute(_FOUND, (oldest_seconds, write_id, attempt))).fetchone()


async def finish(connection: Connection, write_id: str, attempt: int, *, error: str = "") -> None:
    """Done, or given up. What was to be written is not kept once it is done."""
    await connection.execute(
        "UPDATE crm_write SET state = CASE WHEN %(error)s = '' THEN 'done' ELSE 'failed' END, error = %(error)s,"
        " write = CASE WHEN %(error)s = '' THEN '{}' ELSE write END, done_at = clock_timestamp(), leased_until = NULL"
        " WHERE id = %(id)s AND attempts = %(attempt)s",
        {"id": write_id, "attempt": attempt, "error": error[:500]},
    )


async def put_off(
    connection: Connection, write_id: str, attempt: int, rest: Mapping[str, Any], more: Mapping[str, Any]
) -> None:
    """What is left of it, at another attempt. `more`: seconds, error."""
    await connection.execute(
        "UPDATE crm_write SET leased_until = NULL, write = %(write)s, error = %(error)s,"
        " next_at = clock_timestamp() + make_interval(secs => %(seconds)s) WHERE id = %(id)s AND attempts = %(attempt)s",
        {
            "id": write_id,
            "attempt": attempt,
            "write": Jsonb(rest),
            "error": str(more["error"])[:500],
            "seconds": more["seconds"],
        },
    )


_FAILED_BY: Final = {
    "chain": "UPDATE chain_log SET what = 'failed', reason = %(reason)s WHERE enrollment_id::text = %(of)s"
    " AND effect_key = %(key)s AND what = 'done'",
    "trigger": "UPDATE trigger_run SET did = jsonb_set(did, ARRAY[%(action)s::text, 'reason'], '\"crm\"')"
    " WHERE id::text = %(of)s AND did -> %(action)s::integer ->> 'do' = 'write_crm'",
}


async def note(connection: Connection, row: Row, data: Mapping[str, Any]) -> None:
    """What became of it: among the events of its conversation, or in the log of the chain or trigger that asked for it."""
    if row["conversation_id"] is None:
        if data["outcome"] != "ok":
            by, _, place = row["key"].partition(":")
            of, _, action = place.partition("/")
            values = {"reason": f"crm:{data['outcome']}"[:100], "key": row["key"], "of": of, "action": action}
            await connection.execute(_FAILED_BY[by], values)
        return
    await connection.execute(
        "INSERT INTO event (workspace_id, conversation_id, turn_id, at, kind, node_id, data)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, clock_timestamp(), 'outside_called', %s, %s)",
        (row["conversation_id"], row["turn_id"], row["node_id"], Jsonb(data)),
    )
