"""Members, their sessions and API keys: rows and look-ups."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row


async def has_owner(system: Connection) -> bool:
    row = await (await system.execute("SELECT installation_has_owner() AS yes")).fetchone()
    return bool(row and row["yes"])


async def create_first_owner(system: Connection, *, workspace: str, member: dict[str, str]) -> Row | None:
    """`workspace_id` and `member_id`; None when somebody was first."""
    cursor = await system.execute(
        "SELECT * FROM create_first_owner(%s, %s, %s, %s, %s)",
        (workspace, member["name"], member["email"], member["password_hash"], member["language"]),
    )
    return await cursor.fetchone()


async def find_member(system: Connection, email: str) -> Row | None:
    return await (await system.execute("SELECT * FROM find_member(%s)", (email,))).fetchone()


async def take_sign_in(
    system: Connection, limits: dict[bytes, int], now: datetime, *, free: int, pause_seconds: float
) -> datetime | None:
    """Take one attempt under every limit (key → most per hour), or none: then the moment to try again."""
    cursor = await system.execute(
        "SELECT take_sign_in(%s, %s, %s, %s, %s) AS wait_until",
        (list(limits), list(limits.values()), now, free, pause_seconds),
    )
    row = await cursor.fetchone()
    return row["wait_until"] if row else None


async def forget_sign_ins(system: Connection, key: bytes) -> None:
    await system.execute("SELECT forget_sign_ins(%s)", (key,))


async def find_session(system: Connection, token_hash: bytes, now: datetime) -> Row | None:
    return await (await system.execute("SELECT * FROM find_session(%s, %s)", (token_hash, now))).fetchone()


async def add_session(connection: Connection, row: dict[str, Any]) -> str:
    cursor = await connection.execute(
        "INSERT INTO session (workspace_id, member_id, token_hash, created_at, used_at, expires_at)"
        " VALUES (%(workspace_id)s, %(member_id)s, %(token_hash)s, %(now)s, %(now)s, %(expires_at)s) RETURNING id",
        row,
    )
    return str((await cursor.fetchone() or {})["id"])


async def use_session(connection: Connection, session_id: str, now: datetime, expires_at: datetime) -> None:
    await connection.execute(
        "UPDATE session SET used_at = %s, expires_at = %s WHERE id = %s", (now, expires_at, session_id)
    )


async def drop_sessions(connection: Connection, member_id: str, *, but: str | None = None) -> None:
    await connection.execute(
        "DELETE FROM session WHERE member_id = %s AND id IS DISTINCT FROM %s::uuid", (member_id, but)
    )


async def drop_session(connection: Connection, session_id: str) -> None:
    await connection.execute("DELETE FROM session WHERE id = %s", (session_id,))


async def drop_expired_sessions(connection: Connection, now: datetime) -> None:
    await connection.execute("DELETE FROM session WHERE expires_at <= %s", (now,))


async def member(connection: Connection, member_id: str) -> Row | None:
    cursor = await connection.execute(
        "SELECT m.*, w.name AS workspace FROM member m JOIN workspace w ON w.id = m.workspace_id WHERE m.id = %s",
        (member_id,),
    )
    return await cursor.fetchone()


async def update_member(connection: Connection, member_id: str, changes: dict[str, str | None]) -> None:
    """Only the values that are given change."""
    given = {"name": None, "language": None, "theme": None, "password_hash": None} | changes | {"id": member_id}
    await connection.execute(
        "UPDATE member SET name = coalesce(%(name)s, name), language = coalesce(%(language)s, language),"
        " theme = coalesce(%(theme)s, theme), password_hash = coalesce(%(password_hash)s, password_hash)"
        " WHERE id = %(id)s",
        given,
    )


async def find_api_key(system: Connection, secret_hash: bytes, now: datetime) -> Row | None:
    return await (await system.execute("SELECT * FROM find_api_key(%s, %s)", (secret_hash, now))).fetchone()


async def add_api_key(connection: Connection, row: dict[str, Any]) -> Row:
    cursor = await connection.execute(
        "INSERT INTO api_key (workspace_id, name, shown, secret_hash, scopes, created_by, created_at, expires_at)"
        " VALUES (%(workspace_id)s, %(name)s, %(shown)s, %(secret_hash)s, %(scopes)s, %(created_by)s, %(now)s,"
        " %(expires_at)s) RETURNING *",
        row,
    )
    return await cursor.fetchone() or {}


async def api_keys(connection: Connection) -> list[Row]:
    cursor = await connection.execute(
        "SELECT k.*, m.name AS creator FROM api_key k LEFT JOIN member m ON m.id = k.created_by"
        " WHERE revoked_at IS NULL ORDER BY k.created_at DESC"
    )
    return await cursor.fetchall()


async def use_api_key(connection: Connection, api_key_id: str, now: datetime) -> None:
    await connection.execute("UPDATE api_key SET used_at = %s WHERE id = %s", (now, api_key_id))


async def revoke_api_key(connection: Connection, api_key_id: str, now: datetime) -> bool:
    cursor = await connection.execute(
        "UPDATE api_key SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL", (now, api_key_id)
    )
    return cursor.rowcount == 1


async def settings(connection: Connection) -> dict[str, Any]:
    """The workspace's settings by key, its name among them."""
    cursor = await connection.execute("SELECT key, value FROM setting")
    values = {row["key"]: row["value"] async for row in cursor}
    name = await (await connection.execute("SELECT name FROM workspace")).fetchone()
    return values | {"name": name["name"] if name else ""}


async def set_setting(connection: Connection, workspace_id: str, key: str, value: Any) -> None:
    if key == "name":
        await connection.execute("UPDATE workspace SET name = %s", (value,))
        return
    await connection.execute(
        "INSERT INTO setting (workspace_id, key, value) VALUES (%s, %s, %s)"
        " ON CONFLICT (workspace_id, key) DO UPDATE SET value = excluded.value",
        (workspace_id, key, Jsonb(value)),
    )
