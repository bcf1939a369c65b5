"""Rows of recorded calls and their sealed parts."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row


async def begin(connection: Connection, call_id: str, secrets: Row, version: int) -> None:
    """A recording with the sealed key of its sound; when there is one already it stays."""
    await connection.execute(
        "INSERT INTO call_recording (id, workspace_id, secrets, secrets_version)"
        " VALUES (%s, current_setting('app.workspace_id')::uuid, %s, %s) ON CONFLICT (id) DO NOTHING",
        (call_id, Jsonb(secrets), version),
    )


async def get(connection: Connection, call_id: str) -> Row | None:
    """The recording of a call: id, secrets, secrets_version, started_at."""
    cursor = await connection.execute(
        "SELECT id::text, secrets, secrets_version, started_at FROM call_recording WHERE id = %s", (call_id,)
    )
    return await cursor.fetchone()


async def add_part(connection: Connection, call_id: str, place: tuple[int, int], samples: int, sealed: bytes) -> bool:
    """Keep one part at (epoch, part); False when the recording was deleted meanwhile."""
    cursor = await connection.execute(
        "INSERT INTO call_recording_part (recording_id, epoch, part, workspace_id, samples, sealed)"
        " SELECT id, %s, %s, workspace_id, %s, %s FROM call_recording WHERE id = %s ON CONFLICT DO NOTHING",
        (*place, samples, sealed, call_id),
    )
    return cursor.rowcount > 0


async def parts(connection: Connection, call_id: str) -> list[tuple[int, int, int]]:
    """(epoch, part, samples of a side) in the order they were recorded."""
    cursor = await connection.execute(
        "SELECT epoch, part, samples FROM call_recording_part WHERE recording_id = %s ORDER BY epoch, part", (call_id,)
    )
    return [(row["epoch"], row["part"], row["samples"]) async for row in cursor]


async def part(connection: Connection, call_id: str, epoch: int, number: int) -> bytes | None:
    """One sealed part."""
    cursor = await connection.execute(
        "SELECT sealed FROM call_recording_part WHERE recording_id = %s AND epoch = %s AND part = %s",
        (call_id, epoch, number),
    )
    row = await cursor.fetchone()
    return bytes(row["sealed"]) if row else None


async def delete(connection: Connection, call_id: str) -> bool:
    """Whether there was one."""
    return (await connection.execute("DELETE FROM call_recording WHERE id = %s", (call_id,))).rowcount > 0


async def with_secrets(connection: Connection) -> list[Row]:
    """Every recording of the workspace, locked."""
    cursor = await connection.execute(
        "SELECT id::text, secrets, secrets_version FROM call_recording ORDER BY id FOR UPDATE"
    )
    return await cursor.fetchall()


async def change(connection: Connection, call_id: str, values: Row) -> None:
    """Keep the key sealed anew: `secrets`."""
    await connection.execute(
        "UPDATE call_recording SET secrets = %s WHERE id = %s", (Jsonb(values["secrets"]), call_id)
    )
