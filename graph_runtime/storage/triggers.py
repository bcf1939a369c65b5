"""Rows of triggers: their documents, times, samples, notes, and what they may name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Json, Jsonb

from graph_runtime.storage.database import Connection, Row, dumps_json

TRIGGERS_CHANNEL: Final = "patchcord_triggers"

_ROW = """
    SELECT t.id::text, t.agent_id::text, t.name, t.is_on, t.kind, t.event, t.document, t.public_id, t.secrets,
        t.secrets_version, t.sample, t.sample_at, t.captures, t.heard_until, t.created_at, t.updated_at,
        clock_timestamp() AS now, a.name AS agent, a.is_on AS agent_is_on,
        (SELECT k.due_at FROM trigger_tick k WHERE k.trigger_id = t.id) AS due_at,
        (SELECT max(r.done_at) FROM trigger_run r WHERE r.trigger_id = t.id AND r.state = 'fired') AS fired_at,
        (SELECT count(*) FROM trigger_run r WHERE r.trigger_id = t.id AND r.state = 'fired' AND NOT r.spreads
            AND r.done_at > now() - interval '7 days') AS fired
    FROM agent_trigger t JOIN agent a ON a.id = t.agent_id
"""


async def get(connection: Connection, trigger_id: str, *, for_update: bool = False) -> Row | None:
    """One trigger; `now` is the database's clock."""
    lock = " FOR UPDATE OF t" if for_update else ""
    return await (await connection.execute(_ROW + " WHERE t.id = %s" + lock, (trigger_id,))).fetchone()


async def listed(connection: Connection, agent_id: str | None) -> list[Row]:
    """Those of an agent (None: of the workspace), oldest first."""
    cursor = await connection.execute(
        _ROW + " WHERE %(agent)s::uuid IS NULL OR t.agent_id = %(agent)s::uuid ORDER BY t.id LIMIT 1000",
        {"agent": agent_id},
    )
    return await cursor.fetchall()


async def of_messages(connection: Connection) -> list[Row]:
    """Triggers that listen to messages and are on, oldest first: {id, agent_id, document}."""
    cursor = await connection.execute(
        "SELECT id::text, agent_id::text, document FROM agent_trigger WHERE kind = 'message' AND is_on ORDER BY id"
    )
    return await cursor.fetchall()


async def insert(connection: Connection, values: dict[str, Any]) -> None:
    """A new trigger: id, agent_id, name, kind, event, document, public_id, secrets."""
    await connection.execute(
        "INSERT INTO agent_trigger (id, workspace_id, agent_id, name, kind, event, document, public_id, secrets)"
        " VALUES (%(id)s, current_setting('app.workspace_id')::uuid, %(agent_id)s, %(name)s, %(kind)s, %(event)s,"
        " %(document)s, %(public_id)s, %(secrets)s)",
        {**values, "document": json(values["document"]), "secrets": json(values["secrets"])},
    )


async def change(
    connection: Connection, trigger_id: str, values: Mapping[str, Any] | None = None, **more: Any
) -> None:  # fmt: skip
    """Change columns of a trigger."""
    values = {**(values or {}), **more}
    plain = {k: json(v) if k in ("document", "secrets") else v for k, v in values.items()}
    if plain.get("sample") is not None:
        plain["sample"] = Json(plain["sample"], dumps=dumps_json)
    columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in plain)
    await connection.execute(
        sql.SQL("UPDATE agent_trigger SET {}, updated_at = now() WHERE id = %(id)s").format(columns),
        {**plain, "id": trigger_id},
    )


async def with_secrets(connection: Connection) -> list[Row]:
    """Every trigger of the workspace that has a secret, locked."""
    cursor = await connection.execute(
        "SELECT id::text, secrets, secrets_version FROM agent_trigger WHERE secrets <> '{}' ORDER BY id FOR UPDATE"
    )
    return await cursor.fetchall()


async def delete(connection: Connection, trigger_id: str) -> None:
    """Delete a trigger with its times, occasions and notes."""
    await connection.execute("DELETE FROM agent_trigger WHERE id = %s", (trigger_id,))


async def set_tick(connection: Connection, trigger_id: str, due_at: datetime | None) -> None:
    """When the trigger's next time is; None: it has none."""
    if due_at is None:
        await connection.execute("DELETE FROM trigger_tick WHERE trigger_id = %s", (trigger_id,))
        return
    await connection.execute(
        "INSERT INTO trigger_tick (trigger_id, workspace_id, due_at) VALUES (%s, current_setting('app.workspace_id')::uuid, %s)"
        " ON CONFLICT (trigger_id) DO UPDATE SET due_at = excluded.due_at",
        (trigger_id, due_at),
    )


async def wake(connection: Connection) -> None:
    """Wake the workers after the commit; for what people and programs do, never for what turns do."""
    await connection.execute("SELECT pg_notify(%s, '')", (TRIGGERS_CHANNEL,))


async def find(connection: Connection, public_id: str) -> Row | None:
    """{workspace_id, trigger_id} by the id in its address; works before a workspace is known."""
    cursor = await connection.execute(
        "SELECT workspace_id::text, trigger_id::text FROM find_trigger(%s)", (public_id,)
    )  # fmt: skip
    return await cursor.fetchone()


async def surroundings(connection: Connection, agent_id: str, crms: Collection[str] = ()) -> dict[str, list[Row]]:
    """What a trigger of this agent may name: flows, chains, subscriptions, members, segments, channels, crms (slots).

    `crms`: connectors of customer systems.
    """
    found: dict[str, list[Row]] = {}
    for name, statement in _AROUND.items():
        found[name] = await (await connection.execute(statement, {"agent": agent_id, "crms": [*crms]})).fetchall()
    exists = await (await connection.execute("SELECT to_regclass('public.chain') IS NOT NULL AS has")).fetchone()
    if exists and exists["has"]:
        found["chains"] = await (await connection.execute(_CHAINS)).fetchall()
    return found


_AROUND: Final = {
    "flows": "SELECT f.id::text, f.name, f.live_version_id IS NOT NULL AS is_on, f.id = a.main_flow_id AS is_main"
    " FROM flow f JOIN agent a ON a.id = f.agent_id WHERE f.agent_id = %(agent)s ORDER BY f.kind, f.id",
    "subscriptions": "SELECT id::text, coalesce(nullif(description, ''), url) AS name, is_on FROM event_subscription ORDER BY id",
    "members": "SELECT id::text, name FROM member ORDER BY name, id",
    "segments": "SELECT id::text, name FROM segment ORDER BY lower(name), id",
    "channels": "SELECT id::text, connector, coalesce(nullif(label, ''), connector) AS name, is_on FROM channel"
    " WHERE agent_id = %(agent)s AND connector NOT IN ('test') ORDER BY id",
    "crms": "SELECT b.slot AS id, c.label AS name FROM agent_connection b JOIN credential c ON c.id = b.credential_id"
    " WHERE b.agent_id = %(agent)s AND c.connector = ANY (%(crms)s) ORDER BY lower(c.label), b.slot",
}
_CHAINS = "SELECT id::text, name, is_on AND live_version_id IS NOT NULL AS is_on FROM chain ORDER BY lower(name), id LIMIT 500"


async def add_note(connection: Connection, trigger_id: str, contact_id: str | None, member_id: str, text: str) -> None:
    """A note for a member; one who is gone, or "", leaves it to everybody."""
    await connection.execute(
        "INSERT INTO trigger_note (workspace_id, trigger_id, contact_id, member_id, text)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, (SELECT id FROM member WHERE id::text = %s), %s)",
        (trigger_id, contact_id, member_id, text),
    )


async def notes(connection: Connection, agent_id: str, member_id: str | None) -> list[Row]:
    """Open notes of an agent's triggers for a member and for everybody, the newest first."""
    cursor = await connection.execute(
        "SELECT n.id::text, n.trigger_id::text, t.name AS trigger, n.contact_id::text, coalesce(k.name, '') AS contact, n.text,"
        " n.created_at FROM trigger_note n JOIN agent_trigger t ON t.id = n.trigger_id LEFT JOIN contact k ON k.id = n.contact_id"
        " WHERE t.agent_id = %s AND n.closed_at IS NULL AND (n.member_id IS NULL OR n.member_id = %s) ORDER BY n.id DESC LIMIT 100",
        (agent_id, member_id),
    )
    return await cursor.fetchall()


async def close_note(connection: Connection, note_id: str) -> bool:
    """It is dealt with; False when it was already."""
    cursor = await connection.execute(
        "UPDATE trigger_note SET closed_at = now() WHERE id = %s AND closed_at IS NULL", (note_id,)
    )
    return cursor.rowcount == 1


def json(value: Any) -> Jsonb:
    """As PostgreSQL can keep it."""
    return Jsonb(value, dumps=dumps_json)
