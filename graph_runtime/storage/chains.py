"""Rows of chains: drafts and their revisions, versions, who is inside, the log, figures, notes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

from graph_runtime.storage.chain_steps import CHAINS_CHANNEL
from graph_runtime.storage.database import Connection, Row, dumps_json

REVISIONS_KEPT: Final = 100

_CHAIN = """
    SELECT c.id::text, c.name, c.document, c.revision, c.is_on, c.live_version_id::text, v.number AS live_number,
           v.content_hash AS live_hash, c.created_at, c.updated_at
    FROM chain c LEFT JOIN chain_version v ON v.id = c.live_version_id
"""
_FIGURES = """
    SELECT e.chain_id::text, count(*) FILTER (WHERE e.state = 'active') AS active,
           count(*) FILTER (WHERE e.state = 'paused') AS paused, count(*) AS enrolled,
           count(*) FILTER (WHERE e.reason = 'replied') AS replied, count(*) FILTER (WHERE e.state = 'done') AS done,
           min(e.due_at) FILTER (WHERE e.state = 'active') AS next_at
    FROM enrollment e WHERE %(chain)s::uuid IS NULL OR e.chain_id = %(chain)s::uuid GROUP BY e.chain_id
"""


async def listed(connection: Connection) -> list[Row]:
    """All chains, the last changed first."""
    return await (await connection.execute(_CHAIN + " ORDER BY c.updated_at DESC, c.id DESC LIMIT 500")).fetchall()


async def get(connection: Connection, chain_id: str, *, for_update: bool = False) -> Row | None:
    """One chain."""
    lock = " FOR UPDATE OF c" if for_update else ""
    return await (await connection.execute(_CHAIN + " WHERE c.id::text = %s" + lock, (chain_id,))).fetchone()


async def figures(connection: Connection, chain_id: str | None = None) -> dict[str, Row]:
    """By chain: active, paused, enrolled (ever), replied, done, next_at, sent."""
    found = {row["chain_id"]: row for row in await (await connection.execute(_FIGURES, {"chain": chain_id})).fetchall()}
    cursor = await connection.execute(
        "SELECT chain_id::text, count(*) AS sent FROM chain_log WHERE what = 'done' AND kind IN ('message', 'flow', 'call')"
        " AND step_id <> '' AND (%(chain)s::uuid IS NULL OR chain_id = %(chain)s::uuid) GROUP BY chain_id",
        {"chain": chain_id},
    )
    for row in await cursor.fetchall():
        found.get(row["chain_id"], {})["sent"] = row["sent"]
    return found


async def insert(connection: Connection, name: str, document: dict[str, Any]) -> str:
    """A new chain; its id."""
    cursor = await connection.execute(
        "INSERT INTO chain (workspace_id, name, document) VALUES (current_setting('app.workspace_id')::uuid, %s, %s)"
        " RETURNING id::text",
        (name, _json(document)),
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def save(connection: Connection, row: Row, document: dict[str, Any], *, keep: bool = True) -> None:
    """A new draft; the one before it is kept for undo, unless this is an undo."""
    if keep:
        await connection.execute(
            "INSERT INTO chain_revision (chain_id, revision, workspace_id, document)"
            " VALUES (%s, %s, current_setting('app.workspace_id')::uuid, %s) ON CONFLICT DO NOTHING",
            (row["id"], row["revision"], _json(row["document"])),
        )
        await connection.execute(
            "DELETE FROM chain_revision WHERE chain_id = %s AND revision <= %s",
            (row["id"], row["revision"] - REVISIONS_KEPT),
        )
    await change(connection, row["id"], document=document, revision=row["revision"] + 1)


async def take_back(connection: Connection, chain_id: str) -> Row | None:
    """The newest earlier draft, which is then no longer kept."""
    cursor = await connection.execute(
        "DELETE FROM chain_revision WHERE chain_id = %(id)s AND revision ="
        " (SELECT max(revision) FROM chain_revision WHERE chain_id = %(id)s) RETURNING document, revision",
        {"id": chain_id},
    )
    return await cursor.fetchone()


async def can_undo(connection: Connection, chain_id: str) -> bool:
    """Whether an earlier draft is kept."""
    cursor = await connection.execute("SELECT 1 FROM chain_revision WHERE chain_id::text = %s LIMIT 1", (chain_id,))
    return await cursor.fetchone() is not None


async def change(connection: Connection, chain_id: str, **values: Any) -> None:
    """Change columns of a chain."""
    if "document" in values:
        values["document"] = _json(values["document"])
    parts = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in values)
    await connection.execute(
        sql.SQL("UPDATE chain SET {}, updated_at = now() WHERE id = %(id)s").format(parts), {**values, "id": chain_id}
    )


async def delete(connection: Connection, chain_id: str) -> None:
    """Delete a chain with everybody inside and its log."""
    await connection.execute("UPDATE chain SET live_version_id = NULL WHERE id = %s", (chain_id,))
    await connection.execute("DELETE FROM enrollment WHERE chain_id = %s", (chain_id,))
    await connection.execute("DELETE FROM chain WHERE id = %s", (chain_id,))


async def add_version(
    connection: Connection, chain_id: str, document: dict[str, Any], content_hash: str, by: str
) -> str:
    """A version that is live from now on; its id."""
    cursor = await connection.execute(
        "INSERT INTO chain_version (workspace_id, chain_id, number, document, content_hash, created_by)"
        " SELECT current_setting('app.workspace_id')::uuid, %(chain)s, coalesce(max(number), 0) + 1, %(document)s, %(hash)s,"
        " %(by)s FROM chain_version WHERE chain_id = %(chain)s RETURNING id::text",
        {"chain": chain_id, "document": _json(document), "hash": content_hash, "by": by},
    )
    row = await cursor.fetchone()
    assert row is not None
    await change(connection, chain_id, live_version_id=row["id"])
    return str(row["id"])


async def versions(connection: Connection, chain_id: str) -> list[Row]:
    """{id, number, document, created_by, created_at, inside}, the newest first."""
    cursor = await connection.execute(
        "SELECT v.id::text, v.number, v.document, v.created_by, v.created_at, (SELECT count(*) FROM enrollment e"
        " WHERE e.version_id = v.id AND e.state IN ('active', 'paused')) AS inside"
        " FROM chain_version v WHERE v.chain_id::text = %s ORDER BY v.number DESC LIMIT 200",
        (chain_id,),
    )
    return await cursor.fetchall()


async def hold(connection: Connection, chain_id: str, *, is_on: bool) -> int:
    """Everybody inside waits while the chain is off, and goes on when it is on again; how many."""
    cursor = await connection.execute(
        "UPDATE enrollment SET state = 'active', reason = '', updated_at = now()"
        " WHERE chain_id = %s AND state = 'paused' AND reason = 'chain_off'"
        if is_on
        else "UPDATE enrollment SET state = 'paused', reason = 'chain_off', updated_at = now()"
        " WHERE chain_id = %s AND state = 'active'",
        (chain_id,),
    )
    await wake(connection)
    return cursor.rowcount


async def live(connection: Connection, chain_id: str, now: datetime | None) -> Row | None:
    """{id, is_on, version_id, document, at} of a chain that somebody is to be put into; it stays as it is meanwhile."""
    cursor = await connection.execute(
        "SELECT c.id::text, c.is_on, v.id::text AS version_id, v.document,"
        " coalesce(%(now)s::timestamptz, clock_timestamp()) AS at FROM chain c"
        " LEFT JOIN chain_version v ON v.id = c.live_version_id WHERE c.id::text = %(id)s FOR SHARE OF c",
        {"id": chain_id, "now": now},
    )
    return await cursor.fetchone()


async def contact(connection: Connection, contact_id: str) -> Row | None:
    """{contact (as JSON), new_id} (of one that was merged, whom they became); the id is for an enrollment to come."""
    cursor = await connection.execute(
        "SELECT to_jsonb(k) AS contact, uuidv7()::text AS new_id FROM contact k WHERE k.merged_into IS NULL AND k.id ="
        " (SELECT coalesce(m.merged_into, m.id) FROM contact m WHERE m.id = %s)",
        (contact_id,),
    )
    return await cursor.fetchone()


async def insert_enrollment(
    connection: Connection, values: dict[str, Any], passed: Sequence[tuple[str, str, str]]
) -> bool:
    """Put a contact in; False when they are inside already. `passed`: steps that can never be due, with the reason."""
    cursor = await connection.execute(
        "INSERT INTO enrollment (id, workspace_id, chain_id, version_id, contact_id, step_id, due_at, source, enrolled_at,"
        " previous_at) VALUES (%(id)s, current_setting('app.workspace_id')::uuid, %(chain)s, %(version)s, %(contact)s,"
        " %(step_id)s, %(due_at)s, %(source)s, %(at)s, %(at)s)"
        " ON CONFLICT (chain_id, contact_id) WHERE state IN ('active', 'paused') DO NOTHING RETURNING id",
        values,
    )
    if await cursor.fetchone() is None:
        return False
    lines = [("", "", "enrolled", values["source"]), *((step, kind, "skipped", why) for step, kind, why in passed)]
    for step_id, kind, what, reason in lines:
        await connection.execute(
            "INSERT INTO chain_log (workspace_id, chain_id, enrollment_id, version_id, contact_id, what, step_id, kind,"
            " reason, at) VALUES (current_setting('app.workspace_id')::uuid, %(chain)s, %(id)s, %(version)s, %(contact)s,"
            " %(what)s, %(step)s, %(kind)s, %(reason)s, %(at)s)",
            {**values, "what": what, "step": step_id, "kind": kind, "reason": reason},
        )
    # Workers sleep until the next step; only an earlier one is news.
    await connection.execute(
        "SELECT pg_notify(%(channel)s, '') WHERE NOT EXISTS (SELECT FROM enrollment WHERE state = 'active'"
        " AND due_at <= %(due)s AND id <> %(id)s)",
        {"channel": CHAINS_CHANNEL, "due": values["due_at"], "id": values["id"]},
    )
    return True


async def contacts(connection: Connection, ids: Sequence[str]) -> list[Row]:
    """As `contact`, of many: {asked, contact (as JSON), new_id}."""
    cursor = await connection.execute(
        # One look-up each: joined, the planner compares everybody with everybody as long as it has no statistics.
        "SELECT m.asked, k.contact, uuidv7()::text AS new_id FROM jsonb_array_elements_text(%s) i (id)"
        " CROSS JOIN LATERAL (SELECT id::text AS asked, coalesce(merged_into, id) AS now_id FROM contact"
        " WHERE id = i.id::uuid LIMIT 1) m CROSS JOIN LATERAL (SELECT to_jsonb(c) AS contact FROM contact c"
        " WHERE c.id = m.now_id AND c.merged_into IS NULL LIMIT 1) k",
        (_json([*ids]),),
        prepare=False,  # planned anew: files bring in very many while the connection stays
    )
    return await cursor.fetchall()


async def insert_enrollments(
    connection: Connection, values: Sequence[dict[str, Any]], passed: Sequence[tuple[str, str, str, str]]
) -> set[str]:
    """Put many into one version of a chain; the ids of those who were not inside already.

    `values` as for `insert_enrollment`; `passed`: (enrollment, step, kind, reason) of steps that can never be due.
    """
    if not values:
        return set()
    first = values[0]
    shared = {k: first[k] for k in ("chain", "version", "source", "at")}
    people = [{k: v[k] for k in ("id", "contact", "step_id")} | {"due_at": v["due_at"].isoformat()} for v in values]
    cursor = await connection.execute(_INSERT_MANY, shared | {"people": _json(people)})
    inside = {row["id"] for row in await cursor.fetchall()}
    if skipped := [dict(zip(("id", "step", "kind", "reason"), p, strict=True)) for p in passed if p[0] in inside]:
        await connection.execute(_SKIPPED_MANY, shared | {"lines": _json(skipped)}, prepare=False)
    await wake(connection)
    return inside


_INSERT_MANY = """
    WITH entered AS (
        INSERT INTO enrollment (id, workspace_id, chain_id, version_id, contact_id, step_id, due_at, source, enrolled_at, previous_at)
        SELECT n.id, current_setting('app.workspace_id')::uuid, %(chain)s, %(version)s, n.contact, n.step_id, n.due_at, %(source)s,
               %(at)s, %(at)s
        FROM jsonb_to_recordset(%(people)s) n (id uuid, contact uuid, step_id text, due_at timestamptz) ORDER BY n.contact
        ON CONFLICT (chain_id, contact_id) WHERE state IN ('active', 'paused') DO NOTHING
        RETURNING id, workspace_id, chain_id, version_id, contact_id
    ), logged AS (
        INSERT INTO chain_log (workspace_id, chain_id, enrollment_id, version_id, contact_id, what, reason, at)
        SELECT workspace_id, chain_id, id, version_id, contact_id, 'enrolled', %(source)s, %(at)s FROM entered
    ) SELECT id::text FROM entered
"""
_SKIPPED_MANY = """
    INSERT INTO chain_log (workspace_id, chain_id, enrollment_id, version_id, contact_id, what, step_id, kind, reason, at)
    SELECT e.workspace_id, e.chain_id, e.id, e.version_id, e.contact_id, 'skipped', n.step, n.kind, n.reason, %(at)s
    FROM ROWS FROM (jsonb_to_recordset(%(lines)s) AS (id uuid, step text, kind text, reason text))
        WITH ORDINALITY n (id, step, kind, reason, place) JOIN enrollment e ON e.id = n.id ORDER BY n.place
"""


async def wake(connection: Connection) -> None:
    """Let the workers look after the commit."""
    await connection.execute("SELECT pg_notify(%s, '')", (CHAINS_CHANNEL,))


async def stop(
    connection: Connection, *, reason: str, contact_id: str | None = None, chain_id: str | None = None,
    ids: Sequence[str] | None = None, now: datetime | None = None,
) -> int:  # fmt: skip
    """End enrollments that go on: of a contact, of a chain, or those named."""
    cursor = await connection.execute(
        """
        WITH ended AS (
            UPDATE enrollment SET state = 'stopped', reason = %(reason)s, due_at = NULL, note = '', updated_at = now(),
                ended_at = coalesce(%(now)s::timestamptz, clock_timestamp())
            WHERE state IN ('active', 'paused')
              AND (%(contact)s::text IS NULL OR contact_id::text = %(contact)s)
              AND (%(chain)s::text IS NULL OR chain_id::text = %(chain)s)
              AND (%(ids)s::text[] IS NULL OR id::text = ANY (%(ids)s::text[]))
            RETURNING *
        ) INSERT INTO chain_log (workspace_id, chain_id, enrollment_id, version_id, contact_id, what, reason, data, at)
            SELECT workspace_id, chain_id, id, version_id, contact_id, 'stopped', %(reason)s,
                   jsonb_build_object('step_id', step_id), ended_at FROM ended
        """,
        {"reason": reason, "contact": contact_id, "chain": chain_id, "ids": ids, "now": now},
    )
    return cursor.rowcount


async def pause(connection: Connection, chain_id: str, ids: Sequence[str], *, is_on: bool) -> int:
    """Hold enrollments, or let them go on where they were; how many."""
    old, new, what = ("paused", "active", "resumed") if is_on else ("active", "paused", "paused")
    cursor = await connection.execute(
        """
        WITH changed AS (
            UPDATE enrollment SET state = %(new)s, reason = '', failures = 0, ended_at = NULL, updated_at = now(),
                due_at = coalesce(due_at, clock_timestamp())
            WHERE chain_id::text = %(chain)s AND id::text = ANY (%(ids)s) AND (state = %(old)s OR state = 'failed' AND %(new)s = 'active')
            RETURNING *
        ) INSERT INTO chain_log (workspace_id, chain_id, enrollment_id, version_id, contact_id, what)
            SELECT workspace_id, chain_id, id, version_id, contact_id, %(what)s FROM changed
        """,
        {"old": old, "new": new, "what": what, "chain": chain_id, "ids": [*ids]},
    )
    await wake(connection)
    return cursor.rowcount


async def enrollments(connection: Connection, wanted: dict[str, Any]) -> list[Row]:
    """`wanted`: chain, state, search, before (id), limit; None does not filter. The newest first."""
    return await (await connection.execute(_ENROLLMENTS, wanted)).fetchall()


_ENROLLMENTS = """
    SELECT e.id::text, e.chain_id::text, e.version_id::text, v.number AS version, e.contact_id::text, k.name AS contact_name,
           k.phone, k.email, e.state, e.reason, e.step_id, e.due_at, e.note, e.source, e.enrolled_at, e.ended_at
    FROM enrollment e JOIN contact k ON k.id = e.contact_id JOIN chain_version v ON v.id = e.version_id
    WHERE e.chain_id = %(chain)s AND (%(state)s::text IS NULL OR e.state = %(state)s)
      AND (%(before)s::text IS NULL OR e.id < %(before)s::uuid)
      AND (%(id)s::text IS NULL OR e.id::text = %(id)s)
      AND (%(search)s::text IS NULL OR k.name ILIKE %(search)s OR k.phone ILIKE %(search)s OR k.email ILIKE %(search)s)
    ORDER BY e.id DESC LIMIT %(limit)s
"""


async def log_of(connection: Connection, enrollment_id: str) -> list[Row]:
    """What happened to one contact, in order."""
    cursor = await connection.execute(
        "SELECT what, step_id, kind, reason, wording, conversation_id::text, data, at FROM chain_log"
        " WHERE enrollment_id = %s ORDER BY id LIMIT 1000",
        (enrollment_id,),
    )
    return await cursor.fetchall()


async def step_figures(connection: Connection, chain_id: str) -> list[Row]:
    """By step and wording: done, delivered, skipped, failed; `replied`: enrollments whose reply came after this step."""
    return await (await connection.execute(_STEP_FIGURES, {"chain": chain_id})).fetchall()


_STEP_FIGURES = """
    WITH l AS (SELECT * FROM chain_log WHERE chain_id = %(chain)s AND step_id <> '' AND what IN ('done', 'skipped', 'failed')),
    last AS (SELECT DISTINCT ON (enrollment_id) enrollment_id, step_id, wording FROM l
             WHERE what = 'done' AND kind IN ('message', 'flow', 'call') ORDER BY enrollment_id, id DESC)
    SELECT l.step_id, l.wording, count(*) FILTER (WHERE l.what = 'done') AS done,
        count(*) FILTER (WHERE l.what = 'done' AND (l.kind <> 'message' OR o.state = 'sent' OR o.id IS NULL)) AS delivered,
        count(*) FILTER (WHERE l.what = 'skipped') AS skipped, count(*) FILTER (WHERE l.what = 'failed') AS failed,
        count(*) FILTER (WHERE e.reason = 'replied' AND last.step_id = l.step_id) AS replied,
        count(*) FILTER (WHERE e.state = 'stopped' AND e.reason <> 'replied' AND last.step_id = l.step_id) AS stopped
    FROM l JOIN enrollment e ON e.id = l.enrollment_id LEFT JOIN last ON last.enrollment_id = l.enrollment_id
    LEFT JOIN outbox o ON o.effect_key = l.effect_key AND l.effect_key <> ''
    GROUP BY l.step_id, l.wording
"""


async def upcoming(connection: Connection, chain_id: str, until: datetime, limit: int) -> list[Row]:
    """Everybody whose next step is due by then: {id, contact (JSON), document, step_id, due_at, enrolled_at, previous_at}."""
    cursor = await connection.execute(
        "SELECT e.id::text, to_jsonb(k) AS contact, v.document, e.version_id::text, e.step_id, e.due_at, e.enrolled_at,"
        " e.previous_at FROM enrollment e JOIN contact k ON k.id = e.contact_id JOIN chain_version v ON v.id = e.version_id"
        " WHERE e.chain_id = %s AND e.state = 'active' AND e.due_at <= %s ORDER BY e.due_at, e.id LIMIT %s",
        (chain_id, until, limit),
    )
    return await cursor.fetchall()


async def lock_inside(connection: Connection, chain_id: str, ids: Sequence[str]) -> list[Row]:
    """Those of the enrollments that go on, locked: {id, step_id}."""
    cursor = await connection.execute(
        "SELECT id::text, step_id FROM enrollment WHERE chain_id = %s AND id::text = ANY (%s)"
        " AND state IN ('active', 'paused') ORDER BY id FOR UPDATE",
        (chain_id, [*ids]),
    )
    return await cursor.fetchall()


async def done_steps(connection: Connection, enrollment_id: str) -> list[str]:
    """Ids of the steps that have ended, in any version, in order."""
    cursor = await connection.execute(
        "SELECT step_id FROM chain_log WHERE enrollment_id = %s AND what IN ('done', 'skipped', 'failed') ORDER BY id",
        (enrollment_id,),
    )
    return [row["step_id"] for row in await cursor.fetchall()]


async def in_other_versions(
    connection: Connection, chain_id: str, version_id: str, ids: Sequence[str] | None, after: str, limit: int
) -> list[str]:
    """Enrollments that go on in another version, by id and behind `after`, locked; `ids` None: of everybody."""
    cursor = await connection.execute(
        "SELECT id::text FROM enrollment WHERE chain_id = %(chain)s AND version_id <> %(version)s AND id > %(after)s"
        " AND state IN ('active', 'paused') AND (%(ids)s::text[] IS NULL OR id::text = ANY (%(ids)s::text[]))"
        " ORDER BY id LIMIT %(limit)s FOR UPDATE",
        {
            "chain": chain_id, "version": version_id, "after": after, "limit": limit, "ids": None if ids is None else [*ids],
        },
    )  # fmt: skip
    return [row["id"] for row in await cursor.fetchall()]


async def notes(connection: Connection, member_id: str | None, limit: int = 100) -> list[Row]:
    """Open notes of chains for a member, and for everybody."""
    cursor = await connection.execute(
        "SELECT n.id::text, n.text, n.created_at, n.contact_id::text, k.name AS contact_name, k.phone, c.name AS chain"
        " FROM chain_note n JOIN contact k ON k.id = n.contact_id JOIN enrollment e ON e.id = n.enrollment_id"
        " JOIN chain c ON c.id = e.chain_id WHERE n.done_at IS NULL AND (n.member_id IS NULL OR n.member_id::text = %s)"
        " ORDER BY n.id DESC LIMIT %s",
        (member_id, limit),
    )
    return await cursor.fetchall()


async def close_note(connection: Connection, note_id: str) -> bool:
    """The note is dealt with; False when it was, or is not there."""
    cursor = await connection.execute(
        "UPDATE chain_note SET done_at = clock_timestamp() WHERE id::text = %s AND done_at IS NULL", (note_id,)
    )
    return cursor.rowcount == 1


async def choices(connection: Connection, lines: Sequence[str], crms: Sequence[str]) -> list[Row]:
    """{kind, id, name} of what steps may name: channel, line, agent, flow (agent/flow), crm (agent/slot), member,
    subscription.

    `lines`: connectors whose channels are phone lines; `crms`: those of customer systems.
    """
    return await (await connection.execute(_CHOICES, {"lines": [*lines], "crms": [*crms]})).fetchall()


_CHOICES = """
    SELECT CASE WHEN h.connector = ANY (%(lines)s) THEN 'line' ELSE 'channel' END AS kind, h.id::text,
           a.name || ' · ' || coalesce(nullif(h.label, ''), h.connector) AS name
        FROM channel h JOIN agent a ON a.id = h.agent_id WHERE h.connector NOT IN ('api', 'test')
    UNION ALL SELECT 'agent', id::text, name FROM agent
    UNION ALL SELECT 'flow', a.id::text || '/' || f.id::text, a.name || ' · ' || f.name FROM flow f JOIN agent a ON a.id = f.agent_id
        WHERE f.live_version_id IS NOT NULL AND f.id IS DISTINCT FROM a.main_flow_id
    UNION ALL SELECT 'crm', a.id::text || '/' || b.slot, c.label || ' · ' || a.name FROM agent_connection b
        JOIN agent a ON a.id = b.agent_id JOIN credential c ON c.id = b.credential_id WHERE c.connector = ANY (%(crms)s)
    UNION ALL SELECT 'member', id::text, name FROM member
    UNION ALL SELECT 'subscription', id::text, coalesce(nullif(description, ''), url) FROM event_subscription WHERE is_on
    ORDER BY 1, 3 LIMIT 2000
"""


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=dumps_json)
