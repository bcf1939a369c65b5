"""The audit log of a workspace: lines of ids in a hash chain, so that a changed line shows."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row

_BEGINNING = bytes(32)


async def append(connection: Connection, actor: str, action: str, ids: dict[str, Any], at: datetime) -> None:
    """Add a line in the caller's transaction. `ids` hold ids and numbers, never names or texts."""
    cursor = await connection.execute(
        "SELECT current_setting('app.workspace_id') AS workspace_id,"
        " pg_advisory_xact_lock(hashtextextended('audit:' || current_setting('app.workspace_id'), 0))"
    )
    workspace_id = (await cursor.fetchone() or {})["workspace_id"]
    cursor = await connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    last = await cursor.fetchone() or {"seq": 0, "hash": _BEGINNING}
    row = {"workspace_id": workspace_id, "seq": last["seq"] + 1, "at": at, "actor": actor, "action": action, "ids": ids}
    await connection.execute(
        "INSERT INTO audit (workspace_id, seq, at, actor, action, ids, hash) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (workspace_id, row["seq"], at, actor, action, Jsonb(ids), _hash(last["hash"], row)),
    )


async def first_tampered(connection: Connection) -> int | None:
    """The number of the first line that does not fit its chain; None when all do."""
    before, expected = _BEGINNING, 1
    cursor = await connection.execute("SELECT workspace_id, seq, at, actor, action, ids, hash FROM audit ORDER BY seq")
    async for row in cursor:
        if row["seq"] != expected or row["hash"] != _hash(before, row):
            return expected
        before, expected = row["hash"], expected + 1
    return None


def _hash(before: bytes, row: Row) -> bytes:
    line = {k: row[k] for k in ("workspace_id", "seq", "actor", "action", "ids")}
    line["at"] = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(before + text.encode()).digest()
