"""Questions about everybody inside a chain at once: grouped by what decides when their steps are due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from graph_runtime.storage.database import Connection, Row


async def inside_documents(connection: Connection, chain_id: str) -> dict[str, dict[str, Any]] | None:
    """Version → document of those that people are in; None when there is no such chain."""
    cursor = await connection.execute(
        "SELECT v.id::text, v.document FROM chain_version v WHERE v.chain_id = %s AND EXISTS"
        " (SELECT FROM enrollment e WHERE e.version_id = v.id AND e.state = 'active')",
        (chain_id,),
    )
    found = {row["id"]: row["document"] for row in await cursor.fetchall()}
    if not found:
        known = await (await connection.execute("SELECT 1 FROM chain WHERE id = %s", (chain_id,))).fetchone()
        return None if known is None else {}
    return found


async def groups(
    connection: Connection, chain_id: str, until: datetime, *, fields: Sequence[str], by_entry: bool
) -> list[Row]:
    """People whose next step is due by then, counted together when they have the step, the quarter of an hour, the zone
    (or the first digits of the number) and the named fields in common; `by_entry`: and when they entered.

    {id (of one of them), version_id, step_id, due_at, enrolled_at, time_zone, phone (of one of them), fields, people}
    """
    cursor = await connection.execute(
        _GROUPS, {"chain": chain_id, "until": until, "fields": [*fields], "by_entry": by_entry}
    )
    return await cursor.fetchall()


# Offsets of time zones are whole quarters of an hour, so no quarter lies in two days.
_GROUPS = """
    SELECT min(e.id::text) AS id, e.version_id::text, e.step_id, min(e.due_at) AS due_at, min(e.enrolled_at) AS enrolled_at,
           k.time_zone, coalesce(min(k.phone), '') AS phone, g.fields, count(*)::int AS people
    FROM enrollment e JOIN contact k ON k.id = e.contact_id
    CROSS JOIN LATERAL (SELECT CASE WHEN cardinality(%(fields)s::text[]) > 0 THEN (
        SELECT jsonb_object_agg(f, coalesce(k.fields -> f, k.variables -> f)) FROM unnest(%(fields)s::text[]) f) END AS fields) g
    WHERE e.chain_id = %(chain)s AND e.state = 'active' AND e.due_at <= %(until)s
    GROUP BY e.version_id, e.step_id, k.time_zone, CASE WHEN k.time_zone = '' THEN left(k.phone, 7) END, g.fields,
        date_bin('15 minutes', e.due_at, '2000-01-01Z'),
        CASE WHEN %(by_entry)s THEN date_bin('15 minutes', e.enrolled_at, '2000-01-01Z') END
"""
