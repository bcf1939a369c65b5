"""Rows of access granted by OAuth, and of the visits to vendors' pages that grant it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row


async def begin(connection: Connection, values: Mapping[str, Any], *, seconds: int) -> None:
    """Keep a visit: state_hash, credential_id, member_id, id, secrets, redirect_uri. Visits that are over are forgotten."""
    await connection.execute("DELETE FROM oauth_attempt WHERE expires_at < now()")
    await connection.execute(
        "INSERT INTO oauth_attempt (state_hash, workspace_id, credential_id, member_id, id, secrets, redirect_uri, expires_at)"
        " VALUES (%(state_hash)s, current_setting('app.workspace_id')::uuid, %(credential_id)s, %(member_id)s, %(id)s,"
        " %(secrets)s, %(redirect_uri)s, now() + make_interval(secs => %(seconds)s))",
        {**values, "secrets": Jsonb(values["secrets"]), "seconds": seconds},
    )


async def take(connection: Connection, state_hash: bytes, member_id: str) -> Row | None:
    """The visit this member began, once: it is gone afterwards."""
    cursor = await connection.execute(
        "DELETE FROM oauth_attempt WHERE state_hash = %s AND member_id = %s AND expires_at > now()"
        " RETURNING credential_id::text, id::text, secrets, secrets_version, redirect_uri",
        (state_hash, member_id),
    )
    return await cursor.fetchone()


async def get(connection: Connection, credential_id: str, *, for_update: bool = False) -> Row | None:
    """The access of a credential, with `at`, the database's clock."""
    return await (await connection.execute(_LOCKED if for_update else _ACCESS, (credential_id,))).fetchone()


async def grant(connection: Connection, values: Mapping[str, Any]) -> None:
    """New access in place of any earlier: id, credential_id, secrets, redirect_uri, life, fresh (seconds or None)."""
    await connection.execute("DELETE FROM oauth_access WHERE credential_id = %s", (values["credential_id"],))
    await connection.execute(
        "INSERT INTO oauth_access (id, workspace_id, credential_id, secrets, redirect_uri, expires_at, refresh_after)"
        " VALUES (%(id)s, current_setting('app.workspace_id')::uuid, %(credential_id)s, %(secrets)s, %(redirect_uri)s,"
        " clock_timestamp() + make_interval(secs => %(life)s), clock_timestamp() + make_interval(secs => %(fresh)s))",
        {**values, "secrets": Jsonb(values["secrets"])},
    )


async def renew(connection: Connection, access_id: str, values: Mapping[str, Any]) -> None:
    """Tokens that replace the present ones: secrets, version, life, fresh."""
    await connection.execute(
        "UPDATE oauth_access SET secrets = %(secrets)s, secrets_version = %(version)s, state = 'ready', problem = '',"
        " expires_at = clock_timestamp() + make_interval(secs => %(life)s),"
        " refresh_after = clock_timestamp() + make_interval(secs => %(fresh)s),"
        " refreshes = refreshes + 1, updated_at = now() WHERE id = %(id)s",
        {**values, "secrets": Jsonb(values["secrets"]), "id": access_id},
    )


async def lose(connection: Connection, access_id: str, problem: str) -> None:
    """The access is over: somebody has to connect again."""
    await connection.execute(
        "UPDATE oauth_access SET state = 'needs_reconnect', problem = %s, updated_at = now() WHERE id = %s",
        (problem[:500], access_id),
    )


async def drop(connection: Connection, credential_id: str) -> None:
    """Forget the access of a credential whose settings changed."""
    await connection.execute("DELETE FROM oauth_access WHERE credential_id = %s", (credential_id,))


async def with_secrets(connection: Connection) -> list[Row]:
    """Every access of the workspace, locked."""
    cursor = await connection.execute(
        "SELECT id::text, secrets, secrets_version FROM oauth_access ORDER BY id FOR UPDATE"
    )
    return await cursor.fetchall()


async def change(connection: Connection, access_id: str, values: Row) -> None:
    """Change columns."""
    plain = {k: Jsonb(v) if k == "secrets" else v for k, v in values.items()}
    columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in plain)
    await connection.execute(
        sql.SQL("UPDATE oauth_access SET {} WHERE id = %(id)s").format(columns), {**plain, "id": access_id}
    )


async def due(system: Connection, limit: int) -> list[tuple[str, str]]:
    """(workspace, credential) of access that should be renewed."""
    cursor = await system.execute("SELECT workspace_id::text, credential_id::text FROM due_access(%s)", (limit,))
    return [(row["workspace_id"], row["credential_id"]) async for row in cursor]


_ACCESS = (
    "SELECT id::text, secrets, secrets_version, redirect_uri, state, problem, refresh_after, expires_at, refreshes,"
    " clock_timestamp() AS at FROM oauth_access WHERE credential_id = %s"
)
_LOCKED = _ACCESS + " FOR UPDATE"
