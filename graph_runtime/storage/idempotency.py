"""Answers given to repeatable API requests, kept for 48 hours."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row


async def claim(connection: Connection, workspace_id: str, api_key_id: str, key: str, request_hash: bytes) -> bool:
    """Take the key for this request; False when it is taken. A claim left by a dead process is free after 2 minutes."""
    await connection.execute(
        "DELETE FROM idempotency WHERE api_key_id = %s AND created_at < now() - interval '48 hours'", (api_key_id,)
    )
    cursor = await connection.execute(
        "INSERT INTO idempotency AS i (api_key_id, key, workspace_id, request_hash) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (api_key_id, key) DO UPDATE SET created_at = now()"
        " WHERE i.status IS NULL AND i.request_hash = EXCLUDED.request_hash AND i.created_at < now() - interval '2 minutes'"
        " RETURNING key",
        (api_key_id, key, workspace_id, request_hash),
    )
    return await cursor.fetchone() is not None


async def find(connection: Connection, api_key_id: str, key: str) -> Row | None:
    """The claim: `request_hash`, and `status` and `response` once it is answered."""
    cursor = await connection.execute(
        "SELECT request_hash, status, response FROM idempotency WHERE api_key_id = %s AND key = %s", (api_key_id, key)
    )
    return await cursor.fetchone()


async def finish(connection: Connection, api_key_id: str, key: str, status: int, response: Any) -> None:
    """Keep the answer; `response` is what its body said, as JSON values."""
    await connection.execute(
        "UPDATE idempotency SET status = %s, response = %s WHERE api_key_id = %s AND key = %s",
        (status, Jsonb(response), api_key_id, key),
    )


async def drop(connection: Connection, api_key_id: str, key: str) -> None:
    """Give an unanswered claim up."""
    await connection.execute(
        "DELETE FROM idempotency WHERE api_key_id = %s AND key = %s AND status IS NULL", (api_key_id, key)
    )
