"""Queries over what the recorder stored."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from graph_runtime.storage.conversations import Workspaces


class EventRows:
    """Events of one conversation; the caller has authorised."""

    def __init__(self, database: Workspaces) -> None:
        self._database = database

    async def of_conversation(self, workspace_id: str, conversation_id: str) -> list[dict[str, Any]]:
        """In the order they happened: {turn_id, at, kind, node_id, data}."""
        async with self._database.workspace(workspace_id) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(
                "SELECT turn_id::text, at, kind, node_id, data FROM event WHERE conversation_id = %s ORDER BY id",
                (conversation_id,),
            )
            return await cursor.fetchall()
