"""Rows of event subscriptions and of their deliveries: setting up, the log, sending again."""

from __future__ import annotations

from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row

EVENTS_CHANNEL = "patchcord_events"

_ROW = """
    SELECT s.id, s.description, s.url, s.allow_private_host, s.types, s.agent_ids, s.is_on, s.off_reason, s.off_at, s.secrets,
        s.secrets_version, s.previous_until, s.revision, s.paused_until, s.failing_since, s.last_ok_at, s.created_at,
        clock_timestamp() AS at
    FROM event_subscription s
"""
_DELIVERY = """
    SELECT d.id, d.subscription_id, 'evt_' || d.event_id AS key, d.type, d.conversation_id, d.state, d.attempt AS attempts,
        d.status, d.ms, d.answer, d.reason, d.error, d.payload, d.created_at, d.sent_at, d.expires_at,
        CASE WHEN d.state = 'pending' THEN d.next_attempt_at END AS next_attempt_at, d.send_started_at AS last_at
    FROM event_delivery d
"""
_AGAIN = """
    UPDATE event_delivery SET state = 'pending', attempt = 0, next_attempt_at = clock_timestamp(), reason = '', error = '',
        expires_at = clock_timestamp() + interval '72 hours'
"""
_ONE_AGAIN = _AGAIN + " WHERE id = %s AND state IN ('pending', 'sent', 'failed') RETURNING id"
_FAILED_AGAIN = f"""{_AGAIN} WHERE id = ANY (ARRAY(
        SELECT id FROM event_delivery WHERE subscription_id = %s AND state = 'failed' AND created_at >= %s
        ORDER BY id LIMIT %s))
"""  # noqa: S608 (two constants)


async def get(connection: Connection, subscription_id: str, *, for_update: bool = False) -> Row | None:
    """One subscription with its sealed secrets; `at` is the database's clock."""
    lock = " FOR UPDATE" if for_update else ""
    return await (await connection.execute(_ROW + " WHERE s.id = %s" + lock, (subscription_id,))).fetchone()


async def listed(connection: Connection) -> list[Row]:
    """All of the workspace, oldest first."""
    return await (await connection.execute(_ROW + " ORDER BY s.id")).fetchall()


async def counts(connection: Connection, days: int) -> dict[str, dict[str, int]]:
    """Subscription → state → events of the last days."""
    cursor = await connection.execute(
        "SELECT subscription_id, state, count(*) AS events FROM event_delivery"
        " WHERE workspace_id = current_setting('app.workspace_id')::uuid AND created_at > now() - make_interval(days => %s)"
        " GROUP BY 1, 2",
        (days,),
    )
    found: dict[str, dict[str, int]] = {}
    async for row in cursor:
        found.setdefault(row["subscription_id"], {})[row["state"]] = row["events"]
    return found


async def with_secrets(connection: Connection) -> list[Row]:
    """Every subscription of the workspace, locked."""
    return await (await connection.execute(_ROW + " ORDER BY s.id FOR UPDATE")).fetchall()


async def insert(connection: Connection, values: Row) -> None:
    """A new subscription: id, description, url, allow_private_host, types, agent_ids, secrets."""
    await connection.execute(
        "INSERT INTO event_subscription (id, workspace_id, description, url, allow_private_host, types, agent_ids, secrets)"
        " VALUES (%(id)s, current_setting('app.workspace_id')::uuid, %(description)s, %(url)s, %(allow_private_host)s,"
        " %(types)s, %(agent_ids)s::uuid[], %(secrets)s)",
        {**values, "secrets": Jsonb(values["secrets"])},
    )


async def change(connection: Connection, subscription_id: str, values: Row) -> None:
    """Change columns; its revision grows."""
    plain = {k: Jsonb(v) if k == "secrets" else v for k, v in values.items()}
    casts = {"agent_ids": sql.SQL("::uuid[]")}
    columns = sql.SQL(", ").join(
        sql.SQL("{} = {}{}").format(sql.Identifier(k), sql.Placeholder(k), casts.get(k, sql.SQL(""))) for k in plain
    )
    await connection.execute(
        sql.SQL(
            "UPDATE event_subscription SET {}, revision = revision + 1, updated_at = now() WHERE id = %(id)s"
        ).format(columns),
        {**plain, "id": subscription_id},
    )


async def delete(connection: Connection, subscription_id: str) -> None:
    """Delete it, and what it still had to send."""
    await connection.execute("DELETE FROM event_subscription WHERE id = %s", (subscription_id,))


async def known_agents(connection: Connection, agent_ids: list[str]) -> set[str]:
    """Those of the ids that are agents of the workspace."""
    cursor = await connection.execute("SELECT id FROM agent WHERE id = ANY (%s::uuid[])", (agent_ids,))
    return {row["id"] async for row in cursor}


async def deliveries(connection: Connection, filters: dict[str, Any]) -> list[Row]:
    """Newest first. `filters`: subscription, state, type, before, limit; None does not filter."""
    cursor = await connection.execute(
        _DELIVERY
        + """
        WHERE d.subscription_id = %(subscription)s AND (%(state)s::text IS NULL OR d.state = %(state)s)
          AND (%(type)s::text IS NULL OR d.type = %(type)s) AND (%(before)s::uuid IS NULL OR d.id < %(before)s)
        ORDER BY d.id DESC LIMIT %(limit)s
        """,
        filters,
    )
    return await cursor.fetchall()


async def delivery(connection: Connection, subscription_id: str, delivery_id: str) -> Row | None:
    """One event of a subscription's log."""
    cursor = await connection.execute(
        _DELIVERY + " WHERE d.subscription_id = %s AND d.id = %s", (subscription_id, delivery_id)
    )
    return await cursor.fetchone()


async def send_again(connection: Connection, delivery_id: str) -> bool:
    """Send an event that is not on its way again, under the id it had; False when it is being sent or held."""
    cursor = await connection.execute(_ONE_AGAIN, (delivery_id,))
    return await cursor.fetchone() is not None


async def failed_again(connection: Connection, subscription_id: str, since: Any, limit: int) -> int:
    """Send what was given up since a moment again, the oldest first; how many."""
    cursor = await connection.execute(_FAILED_AGAIN, (subscription_id, since, limit))
    return cursor.rowcount


async def add_test(connection: Connection, subscription_id: str, event_type: str, data: dict[str, Any]) -> str:
    """An event for this subscription alone; the id of its delivery."""
    cursor = await connection.execute(
        "INSERT INTO event_delivery (workspace_id, subscription_id, event_id, type, line, payload)"
        " SELECT current_setting('app.workspace_id')::uuid, %(subscription)s, e.id, %(type)s, e.id,"
        " event_payload(%(type)s, now(), %(data)s) FROM (SELECT uuidv7() AS id OFFSET 0) e RETURNING id",
        {"subscription": subscription_id, "type": event_type, "data": Jsonb(data)},
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def wake(connection: Connection) -> None:
    """Wake the senders after the commit; for what a person does, never for what turns do."""
    await connection.execute("SELECT pg_notify(%s, '')", (EVENTS_CHANNEL,))
