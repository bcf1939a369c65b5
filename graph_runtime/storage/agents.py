"""Rows of agents, their channels and the models bound to their connection slots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row

_LIST = """
SELECT a.id::text, a.name, a.description, a.is_on, a.main_flow_id::text, a.language, a.public_id, a.settings, a.template,
       a.created_at, v.number AS live_version,
       (SELECT count(*) FROM flow f WHERE f.agent_id = a.id) AS flows,
       (SELECT count(*) FROM conversation c WHERE c.agent_id = a.id AND NOT c.is_test AND c.created_at >= %(today)s)
           AS conversations_today,
       (SELECT max(c.updated_at) FROM conversation c WHERE c.agent_id = a.id AND NOT c.is_test) AS last_activity
FROM agent a
LEFT JOIN flow m ON m.id = a.main_flow_id
LEFT JOIN version v ON v.id = m.live_version_id
"""


async def list_agents(connection: Connection, *, today: datetime, search: str, limit: int, offset: int) -> list[Row]:
    """Newest activity first."""
    cursor = await connection.execute(
        _LIST + "WHERE %(search)s = '' OR a.name ILIKE '%%' || %(search)s || '%%'"
        " ORDER BY a.updated_at DESC, a.id DESC LIMIT %(limit)s OFFSET %(offset)s",
        {"today": today, "search": search, "limit": limit, "offset": offset},
    )
    return await cursor.fetchall()


async def get_agent(connection: Connection, agent_id: str, *, today: datetime) -> Row | None:
    """One agent with the figures of the list."""
    cursor = await connection.execute(_LIST + "WHERE a.id = %(id)s", {"today": today, "id": agent_id})
    return await cursor.fetchone()


async def insert_agent(connection: Connection, values: Mapping[str, Any]) -> str:
    """The id of the new agent; its web chat and API channels are made with it."""
    cursor = await connection.execute(
        "INSERT INTO agent (workspace_id, name, description, is_on, language, public_id, settings, template)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(name)s, %(description)s, %(is_on)s, %(language)s,"
        " %(public_id)s, %(settings)s, %(template)s) RETURNING id::text",
        {**values, "settings": Jsonb(values["settings"])},
    )
    row = await cursor.fetchone()
    assert row is not None
    for connector, public_id in values["channels"].items():
        await connection.execute(
            "INSERT INTO channel (workspace_id, agent_id, connector, public_id)"
            " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s)",
            (row["id"], connector, public_id),
        )
    return str(row["id"])


async def update_agent(connection: Connection, agent_id: str, values: Mapping[str, Any]) -> bool:
    """Change the given columns; False when there is no such agent."""
    plain = {k: Jsonb(v) if k == "settings" else v for k, v in values.items()}
    columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in plain)
    cursor = await connection.execute(
        sql.SQL("UPDATE agent SET {}, updated_at = now() WHERE id = %(id)s").format(columns), {**plain, "id": agent_id}
    )
    return cursor.rowcount > 0


async def delete_agent(connection: Connection, agent_id: str) -> bool:
    """Everything of the agent goes with it."""
    cursor = await connection.execute("DELETE FROM agent WHERE id = %s", (agent_id,))
    return cursor.rowcount > 0


async def affected(connection: Connection, agent_id: str) -> Row:
    """What deleting the agent takes along."""
    cursor = await connection.execute(
        "SELECT (SELECT count(*) FROM conversation WHERE agent_id = %(id)s AND status = 'open' AND NOT is_test)"
        " AS open_conversations,"
        " (SELECT count(*) FROM conversation WHERE agent_id = %(id)s AND NOT is_test) AS conversations,"
        " (SELECT count(*) FROM flow WHERE agent_id = %(id)s) AS flows,"
        " (SELECT count(*) FROM version v JOIN flow f ON f.id = v.flow_id WHERE f.agent_id = %(id)s"
        "  AND v.number IS NOT NULL) AS versions",
        {"id": agent_id},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def bindings(connection: Connection, agent_id: str) -> list[Row]:
    """Models bound to the slots of an agent."""
    cursor = await connection.execute(
        "SELECT slot, credential_id::text, connector, model FROM agent_connection WHERE agent_id = %s ORDER BY slot",
        (agent_id,),
    )
    return await cursor.fetchall()


async def bound_slots(connection: Connection, agent_id: str) -> frozenset[str]:
    """Slots with a model of their own; "*" when the workspace's default model answers for all others."""
    cursor = await connection.execute(
        "SELECT slot FROM agent_connection WHERE agent_id = %s"
        " UNION SELECT '*' FROM setting s JOIN credential c ON c.id::text = s.value->>'credential_id'"
        " WHERE s.key = 'default_model'",
        (agent_id,),
    )
    return frozenset(row["slot"] for row in await cursor.fetchall())


async def takes_calls(connection: Connection, agent_id: str, phones: list[str]) -> bool:
    """Whether the agent has a phone line, which is a channel of one of these connectors."""
    cursor = await connection.execute(
        "SELECT FROM channel WHERE agent_id = %s AND connector = ANY (%s) AND is_on LIMIT 1", (agent_id, phones)
    )
    return await cursor.fetchone() is not None


async def answering(connection: Connection, agent_id: str) -> dict[str, Any] | None:
    """How the agent answers, as it is stored; None when there is no such agent."""
    cursor = await connection.execute(
        "SELECT coalesce(settings -> 'answering', '{}') AS answering FROM agent WHERE id = %s", (agent_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else dict(row["answering"])


async def set_answering(connection: Connection, agent_id: str, answering: Mapping[str, Any]) -> None:
    """How the agent answers from now on."""
    await connection.execute(
        "UPDATE agent SET settings = settings || jsonb_build_object('answering', %s::jsonb), updated_at = now()"
        " WHERE id = %s",
        (Jsonb(dict(answering)), agent_id),
    )


async def bind(connection: Connection, agent_id: str, slot: str, values: Mapping[str, Any]) -> None:
    """Bind a model to a slot, or free the slot when `connector` is ""."""
    if not values["connector"]:
        await connection.execute("DELETE FROM agent_connection WHERE agent_id = %s AND slot = %s", (agent_id, slot))
        return
    await connection.execute(
        "INSERT INTO agent_connection (workspace_id, agent_id, slot, credential_id, connector, model)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(agent_id)s, %(slot)s, %(credential_id)s, %(connector)s,"
        " %(model)s) ON CONFLICT (agent_id, slot) DO UPDATE SET credential_id = EXCLUDED.credential_id,"
        " connector = EXCLUDED.connector, model = EXCLUDED.model",
        {**values, "agent_id": agent_id, "slot": slot},
    )


async def copy_bindings(connection: Connection, source: str, target: str) -> None:
    """Give one agent the bindings of another, but for credentials that serve named agents only."""
    await connection.execute(
        "INSERT INTO agent_connection (workspace_id, agent_id, slot, credential_id, connector, model)"
        " SELECT workspace_id, %s, slot, credential_id, connector, model FROM agent_connection b WHERE agent_id = %s"
        " AND NOT EXISTS (SELECT FROM credential c WHERE c.id = b.credential_id AND c.only_agents IS NOT NULL)",
        (target, source),
    )


async def connector_of(connection: Connection, credential_id: str) -> str | None:
    """The connector a credential is for."""
    cursor = await connection.execute("SELECT connector FROM credential WHERE id = %s", (credential_id,))
    row = await cursor.fetchone()
    return None if row is None else str(row["connector"])
