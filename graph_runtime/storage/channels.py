"""Rows of channels, found by the public id that is in an address."""

from __future__ import annotations

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
