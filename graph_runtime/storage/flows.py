"""Rows of flows: drafts with their edit log, and versions that never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row

KEPT_EDITS = 500
"""Edits of a draft that are remembered, for two tabs and repeated saves."""

_FLOW = (
    "SELECT f.id::text, f.agent_id::text, f.kind, f.name, f.document, f.revision, f.live_version_id::text, f.updated_at,"
    " v.number AS live_version FROM flow f LEFT JOIN version v ON v.id = f.live_version_id "
)


async def get_flow(connection: Connection, flow_id: str, *, lock: bool = False) -> Row | None:
    """One draft; `lock` keeps other writers out until the transaction ends."""
    cursor = await connection.execute(_FLOW + "WHERE f.id = %s" + (" FOR UPDATE OF f" if lock else ""), (flow_id,))
    return await cursor.fetchone()


async def flows_of_agent(connection: Connection, agent_id: str) -> list[Row]:
    """Main flow first, then sub-flows by name."""
    cursor = await connection.execute(_FLOW + "WHERE f.agent_id = %s ORDER BY f.kind, lower(f.name), f.id", (agent_id,))
    return await cursor.fetchall()


async def insert_flow(
    connection: Connection, *, flow_id: str, agent_id: str, kind: str, name: str, document: Any
) -> None:
    """A new draft at revision 1; a main flow becomes the agent's."""
    await connection.execute(
        "INSERT INTO flow (id, workspace_id, agent_id, kind, name, document)"
        " VALUES (%s, current_setting('app.workspace_id')::uuid, %s, %s, %s, %s)",
        (flow_id, agent_id, kind, name, Jsonb(document)),
    )
    if kind == "main":
        await connection.execute("UPDATE agent SET main_flow_id = %s WHERE id = %s", (flow_id, agent_id))


async def save_draft(connection: Connection, flow_id: str, *, revision: int, name: str, document: Any) -> None:
    """Write a draft at its new revision; the agent moves up in the list."""
    await connection.execute(
        "WITH f AS (UPDATE flow SET document = %s, revision = %s, name = %s, updated_at = now() WHERE id = %s"
        " RETURNING agent_id) UPDATE agent SET updated_at = now() FROM f WHERE agent.id = f.agent_id",
        (Jsonb(document), revision, name, flow_id),
    )


async def delete_flow(connection: Connection, flow_id: str) -> None:
    """Take a sub-flow away, with its versions and edits."""
    await connection.execute("DELETE FROM flow WHERE id = %s", (flow_id,))


async def log_edit(connection: Connection, flow_id: str, entry: Mapping[str, Any]) -> None:
    """Remember one saved batch, and forget the oldest ones."""
    await connection.execute(
        "INSERT INTO flow_edit (workspace_id, flow_id, revision, client, seq, member_id, edits, paths)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(flow_id)s, %(revision)s, %(client)s, %(seq)s, %(member_id)s,"
        " %(edits)s, %(paths)s)",
        {**entry, "flow_id": flow_id, "edits": Jsonb(entry["edits"])},
    )
    await connection.execute(
        "DELETE FROM flow_edit WHERE flow_id = %s AND revision <= %s", (flow_id, entry["revision"] - KEPT_EDITS)
    )


async def saved_batch(connection: Connection, flow_id: str, client: str, seq: int) -> int | None:
    """The revision a batch was saved at, None when it was not."""
    cursor = await connection.execute(
        "SELECT revision FROM flow_edit WHERE flow_id = %s AND client = %s AND seq = %s", (flow_id, client, seq)
    )
    row = await cursor.fetchone()
    return None if row is None else int(row["revision"])


async def edits_since(connection: Connection, flow_id: str, revision: int) -> list[Row]:
    """Batches after a revision, oldest first; a gap at the beginning means that they are no longer known."""
    cursor = await connection.execute(
        "SELECT e.revision, e.client, e.seq, e.edits, e.paths, coalesce(m.name, '') AS by"
        " FROM flow_edit e LEFT JOIN member m ON m.id = e.member_id"
        " WHERE e.flow_id = %s AND e.revision > %s ORDER BY e.revision",
        (flow_id, revision),
    )
    return await cursor.fetchall()


_VERSION = (
    "SELECT v.id::text, v.flow_id::text, v.number, v.document, v.bundle, v.content_hash, v.comment, v.created_at,"
    " coalesce(m.name, '') AS author FROM version v LEFT JOIN member m ON m.id = v.author_id "
)


async def get_version(connection: Connection, version_id: str) -> Row | None:
    """One version by id."""
    cursor = await connection.execute(_VERSION + "WHERE v.id = %s", (version_id,))
    return await cursor.fetchone()


async def numbered_version(connection: Connection, flow_id: str, number: int) -> Row | None:
    """One version by its number."""
    cursor = await connection.execute(_VERSION + "WHERE v.flow_id = %s AND v.number = %s", (flow_id, number))
    return await cursor.fetchone()


async def list_versions(connection: Connection, flow_id: str, limit: int) -> list[Row]:
    """Published versions without their documents, newest first."""
    cursor = await connection.execute(
        "SELECT v.id::text, v.number, v.comment, v.created_at, v.content_hash, coalesce(m.name, '') AS author"
        " FROM version v LEFT JOIN member m ON m.id = v.author_id"
        " WHERE v.flow_id = %s AND v.number IS NOT NULL ORDER BY v.number DESC LIMIT %s",
        (flow_id, limit),
    )
    return await cursor.fetchall()


async def snapshot(connection: Connection, flow_id: str, content_hash: str) -> str | None:
    """The id of the test snapshot with this content."""
    cursor = await connection.execute(
        "SELECT id::text FROM version WHERE flow_id = %s AND content_hash = %s AND number IS NULL",
        (flow_id, content_hash),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row["id"])


async def insert_version(connection: Connection, values: Mapping[str, Any]) -> Row:
    """A new version; `number` None makes a test snapshot. The caller holds the flow's lock."""
    cursor = await connection.execute(
        "INSERT INTO version (workspace_id, flow_id, number, document, bundle, content_hash, comment, author_id)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(flow_id)s, %(number)s, %(document)s, %(bundle)s,"
        " %(content_hash)s, %(comment)s, %(author_id)s) RETURNING id::text, number, comment, created_at",
        {**values, "document": Jsonb(values["document"]), "bundle": Jsonb(values["bundle"])},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def next_number(connection: Connection, flow_id: str) -> int:
    """The number the next version will have."""
    cursor = await connection.execute(
        "SELECT coalesce(max(number), 0) + 1 AS number FROM version WHERE flow_id = %s", (flow_id,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["number"])


async def make_live(connection: Connection, flow_id: str, version_id: str) -> None:
    """New conversations start with this version."""
    await connection.execute("UPDATE flow SET live_version_id = %s WHERE id = %s", (version_id, flow_id))


async def open_conversations(connection: Connection, agent_id: str) -> int:
    """Conversations that go on with the version they began with."""
    cursor = await connection.execute(
        "SELECT count(*) AS n FROM conversation WHERE agent_id = %s AND status = 'open' AND NOT is_test", (agent_id,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["n"])
