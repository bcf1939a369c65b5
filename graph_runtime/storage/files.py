"""Files that contacts sent, under names of our own; their bytes lie here or where the settings say."""

from __future__ import annotations

from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.objects import Kept, settle


async def add(connection: Connection, conversation_id: str | None, name: str, mime: str, kept: Kept) -> str:
    """The id of the new file."""
    await settle(connection, kept)
    cursor = await connection.execute(
        "INSERT INTO file (workspace_id, conversation_id, name, mime, size, content, place)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s, %s, %s, %s) RETURNING id::text",
        (conversation_id, name, mime, kept.size, kept.content, kept.place),
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


async def content(connection: Connection, file_id: str) -> Row | None:
    """Where the bytes of a file are: content, place; for `FileBytes.read`."""
    return await (await connection.execute("SELECT content, place FROM file WHERE id = %s", (file_id,))).fetchone()


async def sound(connection: Connection, conversation_id: str, file_id: str) -> tuple[Row | None, bool]:
    """(what `FileBytes.read` needs, with mime and transcript; whether it is still to come)."""
    cursor = await connection.execute(
        "SELECT content, place, mime, transcript FROM file WHERE id = %s AND conversation_id = %s",
        (file_id, conversation_id),
    )
    row = await cursor.fetchone()
    if row is not None:
        return row, False
    cursor = await connection.execute("SELECT 1 FROM file_fetch WHERE id = %s AND state <> 'failed'", (file_id,))
    return None, await cursor.fetchone() is not None


async def set_transcript(connection: Connection, conversation_id: str, file_id: str, text: str) -> None:
    """What was heard in it, once: from now on these are words of its message."""
    cursor = await connection.execute(
        "UPDATE file SET transcript = %s WHERE id = %s AND transcript IS NULL", (text, file_id)
    )
    if not cursor.rowcount or not text:
        return
    await connection.execute(
        "UPDATE message SET text = concat_ws(E'\\n', nullif(text, ''), %s::text), flags = flags || '{\"from_speech\": true}'"
        " WHERE conversation_id = %s AND role = 'contact' AND parts @> jsonb_build_array(jsonb_build_object('file_id', %s::text))",
        (text, conversation_id, file_id),
    )
    await connection.execute(
        "UPDATE conversation SET preview = left(%s, 140) WHERE id = %s AND preview = ''", (text, conversation_id)
    )


async def used_bytes(connection: Connection, conversation_id: str) -> int:
    """How much a conversation's files take."""
    cursor = await connection.execute(
        "SELECT coalesce(sum(size), 0)::bigint AS total FROM file WHERE conversation_id = %s", (conversation_id,)
    )
    row = await cursor.fetchone()
    return int(row["total"]) if row else 0
