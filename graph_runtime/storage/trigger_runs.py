"""Occasions of triggers: what is due, claiming one, whom it is about, what the limits count, and what it came to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.rows import scalar_row, tuple_row

from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.news import Direct
from graph_runtime.storage.triggers import json

NOT_WRITABLE: Final = ("phone", "test")
"""A conversation begun there would be seen by nobody."""


class TriggerSweep:
    """Questions asked before any workspace is known. `now` None: the database's clock."""

    def __init__(self, database: Direct) -> None:
        self._database = database

    async def ticks(self, now: datetime | None, limit: int) -> list[tuple[str, str]]:
        """(workspace, trigger) whose time has come."""
        return await self._pairs("SELECT * FROM due_ticks(%s::timestamptz, %s)", now, limit)

    async def runs(self, now: datetime | None, limit: int) -> list[tuple[str, str]]:
        """(workspace, occasion) that nobody works on, the longest waiting first."""
        return await self._pairs("SELECT * FROM waiting_runs(%s::timestamptz, %s)", now, limit)

    async def seconds_to_next(self, most: float, now: datetime | None) -> float:
        """Until the next time is due; at most `most`."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute("SELECT seconds_to_next_trigger(%s::timestamptz, %s)", (now, most))
            found: float | None = await cursor.fetchone()
        return most if found is None else found

    async def _pairs(self, statement: str, *values: Any) -> list[tuple[str, str]]:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(statement, values)
            return [(str(workspace_id), str(other_id)) for workspace_id, other_id in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Occasion:
    """One that this transaction holds. `now`: the clock it goes by."""

    id: str
    trigger_id: str
    key: str
    source: str
    contact_id: str | None
    cause_id: str | None
    spreads: bool
    position: str | None
    at: datetime
    data: dict[str, Any]
    depth: int
    attempts: int
    now: datetime


async def claim_tick(connection: Connection, trigger_id: str, now: datetime | None) -> Row | None:
    """Lock a time that is due: {due_at, now}; None: somebody else has it, or it is not due any more."""
    cursor = await connection.execute(
        "SELECT due_at, coalesce(%(now)s::timestamptz, clock_timestamp()) AS now FROM trigger_tick WHERE trigger_id = %(id)s"
        " AND due_at <= coalesce(%(now)s::timestamptz, clock_timestamp()) FOR UPDATE SKIP LOCKED",
        {"id": trigger_id, "now": now},
    )
    return await cursor.fetchone()


async def claim(connection: Connection, run_id: str, now: datetime | None) -> Occasion | None:
    """Lock an occasion that waits; None: somebody else has it, or it is done."""
    cursor = await connection.execute(
        "SELECT id::text, trigger_id::text, key, source, contact_id::text, cause_id::text, spreads, position::text, at, data,"
        " depth, attempts, coalesce(%(now)s::timestamptz, clock_timestamp()) AS now FROM trigger_run"
        " WHERE id = %(id)s AND state = 'waiting' AND next_at <= coalesce(%(now)s::timestamptz, clock_timestamp())"
        " FOR UPDATE SKIP LOCKED",
        {"id": run_id, "now": now},
    )
    row = await cursor.fetchone()
    return None if row is None else Occasion(**row)


async def add(connection: Connection, trigger_id: str, key: str, source: str, **values: Any) -> str | None:
    """An occasion: contact_id, data, depth, spreads, at, state, reason, conversation_id; None when the key is known."""
    row: dict[str, Any] = {
        "contact_id": None, "data": {}, "depth": 0, "spreads": False, "at": None, "state": "waiting", "reason": "",
        "conversation_id": None, "did": [], "next_at": None, **values,
    }  # fmt: skip
    row |= {
        "trigger": trigger_id,
        "key": key[:300],
        "source": source,
        "data": json(row["data"]),
        "did": json(row["did"]),
    }
    cursor = await connection.execute(_ADD, row)
    found = await cursor.fetchone()
    return None if found is None else str(found["id"])


_ADD = """
    INSERT INTO trigger_run (workspace_id, trigger_id, key, source, contact_id, data, depth, spreads, at, state, reason, did,
                             conversation_id, next_at, done_at)
    VALUES (current_setting('app.workspace_id')::uuid, %(trigger)s, %(key)s, %(source)s, %(contact_id)s, %(data)s, %(depth)s,
            %(spreads)s, coalesce(%(at)s, clock_timestamp()), %(state)s, %(reason)s, %(did)s, %(conversation_id)s,
            coalesce(%(next_at)s, now()), CASE WHEN %(state)s <> 'waiting' THEN coalesce(%(at)s, clock_timestamp()) END)
    ON CONFLICT (trigger_id, key) DO NOTHING RETURNING id
"""


async def known(connection: Connection, trigger_id: str, key: str) -> str | None:
    """The occasion that this key became before."""
    cursor = await connection.execute(
        "SELECT id::text FROM trigger_run WHERE trigger_id = %s AND key = %s", (trigger_id, key[:300])
    )
    row = await cursor.fetchone()
    return None if row is None else str(row["id"])


async def finish(connection: Connection, run_id: str, state: str, reason: str, **values: Any) -> None:
    """What it came to: did, conversation_id, at."""
    await connection.execute(
        "UPDATE trigger_run SET state = %(state)s, reason = %(reason)s, did = %(did)s, conversation_id = %(conversation_id)s,"
        " done_at = %(at)s WHERE id = %(id)s",
        {"id": run_id, "state": state, "reason": reason, "conversation_id": values.get("conversation_id"),
         "did": json(values.get("did", [])), "at": values["at"]},
    )  # fmt: skip


async def put_off(connection: Connection, run_id: str, seconds: float, now: datetime | None) -> int:
    """It broke: another attempt later; how many there were."""
    cursor = await connection.execute(
        "UPDATE trigger_run SET attempts = attempts + 1, next_at = coalesce(%(now)s::timestamptz, clock_timestamp())"
        " + make_interval(secs => %(seconds)s) WHERE id = %(id)s AND state = 'waiting' RETURNING attempts",
        {"id": run_id, "seconds": seconds, "now": now},
    )
    row = await cursor.fetchone()
    return int(row["attempts"]) if row else 0


async def move(connection: Connection, run_id: str, position: str, data: dict[str, Any]) -> None:
    """An occasion about everybody has come this far."""
    await connection.execute(
        "UPDATE trigger_run SET position = %s, data = %s WHERE id = %s", (position, json(data), run_id)
    )


async def alone_with(connection: Connection, *things: str) -> None:
    """Until this transaction ends, nobody else counts what these limits count."""
    for thing in sorted(things):
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('trigger:' || %s, 4))", (thing,))


async def counted(connection: Connection, trigger_id: str, contact_id: str | None, wanted: dict[str, Any]) -> Row:
    """{for_contact, in_all, lately} that fired. `wanted`: now, contact_hours and total_hours (0: ever)."""
    statement = _COUNTED if contact_id is not None else _COUNTED_OF_NOBODY
    cursor = await connection.execute(statement, {"trigger": trigger_id, "contact": contact_id, **wanted})
    row = await cursor.fetchone()
    assert row is not None
    return row


_COUNTED = """
    SELECT
        (SELECT count(*) FROM trigger_run r WHERE r.trigger_id = %(trigger)s AND r.state = 'fired' AND r.contact_id = %(contact)s
            AND (%(contact_hours)s = 0 OR r.done_at > %(now)s - make_interval(hours => %(contact_hours)s))) AS for_contact,
        (SELECT count(*) FROM trigger_run r WHERE r.trigger_id = %(trigger)s AND r.state = 'fired' AND NOT r.spreads
            AND (%(total_hours)s = 0 OR r.done_at > %(now)s - make_interval(hours => %(total_hours)s))) AS in_all,
        (SELECT count(*) FROM trigger_run r WHERE r.trigger_id = %(trigger)s AND r.state = 'fired' AND r.contact_id = %(contact)s
            AND r.done_at > %(now)s - interval '1 hour') AS lately
"""


_COUNTED_OF_NOBODY: Final = _COUNTED.replace("r.contact_id = %(contact)s", "r.contact_id IS NULL AND NOT r.spreads")


async def set_depth(connection: Connection, depth: int) -> None:
    """What this transaction does from here on is done by a trigger with so many behind it."""
    await connection.execute("SELECT set_config('app.trigger_depth', %s, true)", (str(depth),))


async def only_tested(connection: Connection, contact_id: str) -> bool:
    """Whether all the contact ever did was to speak in the tester."""
    cursor = await connection.execute(
        "SELECT coalesce(bool_and(is_test), false) AS only FROM conversation WHERE contact_id = %s", (contact_id,)
    )
    row = await cursor.fetchone()
    return bool(row and row["only"])


async def ways_to(
    connection: Connection, contact_id: str, agent_id: str, *, unread: Collection[str] = ()
) -> list[Row]:  # fmt: skip
    """Channels of the agent where the contact is known and can be written to, the one last used first, pulling ones last.

    `unread`: connectors besides the product's own where nobody reads what is written.
    """
    values = {"contact": contact_id, "agent": agent_id, "not": [*NOT_WRITABLE, *unread]}
    cursor = await connection.execute(_WAYS, values)
    return await cursor.fetchall()


_WAYS = """
    SELECT h.id::text AS channel_id, h.connector, x.external_user_id, (
        SELECT c.id::text FROM conversation c WHERE c.contact_id = x.contact_id AND c.channel_id = h.id AND NOT c.is_test
            AND c.status <> 'ended' ORDER BY c.id DESC LIMIT 1) AS open_id
    FROM contact_identity x JOIN channel h ON h.id = x.source_id
    WHERE x.contact_id = %(contact)s AND h.agent_id = %(agent)s AND h.is_on AND NOT h.connector = ANY (%(not)s)
    ORDER BY h.connector IN ('web_chat', 'api'), (
        SELECT max(c.updated_at) FROM conversation c WHERE c.contact_id = x.contact_id AND c.channel_id = h.id AND NOT c.is_test
    ) DESC NULLS LAST, h.id
"""


async def live_version(connection: Connection, agent_id: str, flow_id: str) -> tuple[bool, str | None]:
    """(whether there is such a flow of the agent, its live version); "" is the main flow."""
    cursor = await connection.execute(
        "SELECT f.live_version_id::text AS version FROM flow f JOIN agent a ON a.id = f.agent_id WHERE a.id = %(agent)s"
        " AND f.id::text = coalesce(nullif(%(flow)s, ''), a.main_flow_id::text)",
        {"agent": agent_id, "flow": flow_id},
    )
    row = await cursor.fetchone()
    return row is not None, row["version"] if row else None


async def open_conversation(
    connection: Connection, agent_id: str, way: Row, key: str, version: str, payload: dict[str, Any]
) -> Row:
    """{conversation_id, is_new, problem}; the first turn knows the values of `payload`."""
    values = {
        "agent": agent_id, "channel": way["channel_id"], "kind": way["connector"], "external": way["external_user_id"],
        "key": key, "version": version, "payload": json(payload),
    }  # fmt: skip
    cursor = await connection.execute(
        "SELECT conversation_id::text, is_new, problem FROM open_conversation(current_setting('app.workspace_id')::uuid,"
        " %(agent)s::uuid, %(channel)s::uuid, %(kind)s::text, %(external)s::text, '{}'::jsonb, %(key)s::text,"
        " %(version)s::uuid, false, (SELECT nullif(k.language, '') FROM contact_identity x JOIN contact k ON k.id = x.contact_id"
        " WHERE x.source_id = %(channel)s::uuid AND x.external_user_id = %(external)s::text)::text, NULL::bigint)",
        values,
    )
    row = await cursor.fetchone()
    assert row is not None
    if row["is_new"] and payload:
        await connection.execute(
            "UPDATE inbox SET payload = payload || %(payload)s WHERE source_id = %(channel)s AND dedupe_key = %(key)s",
            values,
        )
    return row


async def end_conversation(connection: Connection, conversation_id: str) -> None:
    """It is over because something else begins."""
    await connection.execute(
        "SELECT end_conversation(current_setting('app.workspace_id')::uuid, %s::uuid, 'interrupted', NULL::bigint)",
        (conversation_id,),
    )


async def silent(connection: Connection, agent_id: str, after: datetime, until: datetime, *, ended: bool) -> list[Row]:
    """Conversations whose last word lies after one moment and not after another: {id, contact_id, updated_at}."""
    cursor = await connection.execute(
        "SELECT c.id::text, c.contact_id::text, c.updated_at, c.status, c.result FROM conversation c WHERE c.agent_id = %(agent)s"
        " AND c.updated_at > %(after)s AND c.updated_at <= %(until)s AND NOT c.is_test AND (%(ended)s OR c.status <> 'ended')"
        " AND c.pending_since IS NULL AND NOT EXISTS (SELECT FROM conversation n WHERE n.contact_id = c.contact_id"
        " AND n.updated_at > c.updated_at AND n.agent_id = c.agent_id AND NOT n.is_test)"
        " ORDER BY c.updated_at, c.id LIMIT 2000",
        {"agent": agent_id, "after": after, "until": until, "ended": ended},
    )
    return await cursor.fetchall()


async def tell_subscription(connection: Connection, subscription_id: str, kind: str, data: dict[str, Any]) -> bool:
    """An event for one subscription, sent like every other; False when there is none that is on."""
    cursor = await connection.execute(
        "INSERT INTO event_delivery (workspace_id, subscription_id, event_id, type, line, payload)"
        " SELECT s.workspace_id, s.id, e.id, %(type)s, e.id, event_payload(%(type)s, now(), %(data)s)"
        " FROM event_subscription s, (SELECT uuidv7() AS id OFFSET 0) e WHERE s.id::text = %(id)s AND s.is_on RETURNING id",
        {"id": subscription_id, "type": kind, "data": json(data)},
    )
    return await cursor.fetchone() is not None


async def log(connection: Connection, wanted: dict[str, Any]) -> list[Row]:
    """Occasions of a trigger, newest first. `wanted`: trigger, state, source, search, before, limit."""
    return await (await connection.execute(_LOG, wanted)).fetchall()


_LOG = """
    SELECT r.id::text, r.source, r.contact_id::text, coalesce(nullif(k.name, ''), nullif(k.phone, ''), nullif(k.email, ''), '')
        AS contact, r.at, r.state, r.reason, r.did, r.data, r.depth, r.attempts, r.done_at, r.conversation_id::text,
        r.cause_id::text, r.spreads
    FROM trigger_run r LEFT JOIN contact k ON k.id = r.contact_id
    WHERE r.trigger_id = %(trigger)s AND (%(state)s::text IS NULL OR r.state = %(state)s)
      AND (%(id)s::uuid IS NULL OR r.id = %(id)s::uuid)
      AND (%(search)s::text IS NULL OR k.name ILIKE %(search)s OR k.phone ILIKE %(search)s OR k.email ILIKE %(search)s)
      AND (%(before)s::uuid IS NULL OR r.id < %(before)s::uuid)
    ORDER BY r.id DESC LIMIT %(limit)s
"""
