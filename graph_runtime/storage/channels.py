"""Rows of channels, found by the public id that is in an address."""

from __future__ import annotations

from psycopg import sql
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row


async def find(connection: Connection, public_id: str, connector: str) -> Row | None:
    """The channel by its own public id or its agent's; works before a workspace is known."""
    cursor = await connection.execute(
        "SELECT workspace_id::text, agent_id::text, channel_id::text, connector, is_on FROM find_channel(%s, %s)",
        (public_id, connector),
    )
    return await cursor.fetchone()


async def about(connection: Connection, channel_id: str) -> Row | None:
    """What a visitor sees of the agent behind a channel."""
    cursor = await connection.execute(
        "SELECT a.name, a.language, a.settings AS agent_settings, c.settings AS channel_settings,"
        " f.live_version_id IS NOT NULL AS has_live_version, v.document ->> 'locale' AS locale,"
        " ARRAY(SELECT jsonb_object_keys(v.document -> 'i18n')"
        "       WHERE jsonb_typeof(v.document -> 'i18n') = 'object') AS translations"
        " FROM channel c JOIN agent a ON a.id = c.agent_id LEFT JOIN flow f ON f.id = a.main_flow_id"
        " LEFT JOIN version v ON v.id = f.live_version_id"
        " WHERE c.id = %s",
        (channel_id,),
    )
    return await cursor.fetchone()


_ROW = (
    "SELECT id, agent_id, connector, public_id, label, settings, secrets, secrets_version, previous_until, revision,"
    " is_on, paused_until, created_at, updated_at, clock_timestamp() AS at FROM channel"
)


async def get(connection: Connection, channel_id: str, *, for_update: bool = False) -> Row | None:
    """One channel with its sealed secrets; `at` is the database's clock."""
    lock = " FOR UPDATE" if for_update else ""
    return await (await connection.execute(_ROW + " WHERE id = %s" + lock, (channel_id,))).fetchone()


async def of_agent(connection: Connection, agent_id: str, connectors: list[str]) -> list[Row]:
    """An agent's channels of these connectors, oldest first."""
    cursor = await connection.execute(
        _ROW + " WHERE agent_id = %s AND connector = ANY (%s) ORDER BY id", (agent_id, connectors)
    )
    return await cursor.fetchall()


async def with_secrets(connection: Connection) -> list[Row]:
    """Every channel of the workspace that has secrets, locked."""
    cursor = await connection.execute(_ROW + " WHERE secrets <> '{}' ORDER BY id FOR UPDATE")
    return await cursor.fetchall()


async def agent_exists(connection: Connection, agent_id: str) -> bool:
    """Whether the workspace has this agent."""
    return await (await connection.execute("SELECT FROM agent WHERE id = %s", (agent_id,))).fetchone() is not None


async def insert(connection: Connection, values: Row) -> None:
    """A new channel: id, agent_id, connector, public_id, label, settings, secrets, secrets_version."""
    await connection.execute(
        "INSERT INTO channel (id, workspace_id, agent_id, connector, public_id, label, settings, secrets, secrets_version)"
        " VALUES (%(id)s, current_setting('app.workspace_id')::uuid, %(agent_id)s, %(connector)s, %(public_id)s,"
        " %(label)s, %(settings)s, %(secrets)s, %(secrets_version)s)",
        {**values, "settings": Jsonb(values["settings"]), "secrets": Jsonb(values["secrets"])},
    )


async def change(connection: Connection, channel_id: str, values: Row) -> None:
    """Change label, settings, is_on, secrets, secrets_version or previous_until; its revision grows."""
    plain = {k: Jsonb(v) if k in ("settings", "secrets") else v for k, v in values.items()}
    columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in plain)
    await connection.execute(
        sql.SQL("UPDATE channel SET {}, revision = revision + 1, updated_at = now() WHERE id = %(id)s").format(columns),
        {**plain, "id": channel_id},
    )


async def delete(connection: Connection, channel_id: str) -> int:
    """Delete a channel; how many messages it had still to send, which become dead letters."""
    cursor = await connection.execute("SELECT give_up_channel(%s) AS given_up", (channel_id,))
    row = await cursor.fetchone() or {"given_up": 0}
    await connection.execute("DELETE FROM channel WHERE id = %s", (channel_id,))
    return int(row["given_up"])
