"""Files that contacts sent: kept in the database under a name of our own."""

from __future__ import annotations

from graph_runtime.storage.database import Connection, Row


async def add(connection: Connection, conversation_id: str | None, name: str, mime: str, content: bytes) -> str:
    """The id of the new file."""
    cursor = await connection.execute(
        "INSERT INTO file (workspace_id, conversation_id, name, mime, size, content)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s, %s, %s) RETURNING id::text",
        (conversation_id, name, mime, len(content), content),
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def about(connection: Connection, file_id: str) -> Row | None:
    """Everything about a file but its content."""
    cursor = await connection.execute(
        "SELECT id::text, conversation_id::text, name, mime, size FROM file WHERE id = %s", (file_id,)
    )
    return await cursor.fetchone()


async def content(connection: Connection, file_id: str) -> bytes | None:
    """What is in a file."""
    cursor = await connection.execute("SELECT content FROM file WHERE id = %s", (file_id,))
    row = await cursor.fetchone()
    return None if row is None else bytes(row["content"])


async def used_bytes(connection: Connection, conversation_id: str) -> int:
    """How much a conversation's files take."""
    cursor = await connection.execute(
        "SELECT coalesce(sum(size), 0)::bigint AS total FROM file WHERE conversation_id = %s", (conversation_id,)
    )
    row = await cursor.fetchone()
    return int(row["total"]) if row else 0
