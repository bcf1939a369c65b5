"""Running steps of chains: what is due, locking one enrollment, what the caps count, writing what a step came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import sql
from psycopg.rows import scalar_row, tuple_row
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row, dumps_json
from graph_runtime.storage.news import Direct

CHAINS_CHANNEL: Final = "patchcord_chains"


class ChainSweep:
    """Questions asked before any workspace is known. `now` None: the database's clock."""

    def __init__(self, database: Direct) -> None:
        self._database = database

    async def due(self, now: datetime | None, limit: int) -> list[tuple[str, str]]:
        """(workspace, enrollment) whose step is due and which nobody works on, the longest due first."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT * FROM due_steps(%s::timestamptz, %s)", (now, limit))
            return [(str(w), str(e)) for w, e in await cursor.fetchall()]

    async def seconds_to_next(self, most: float, now: datetime | None) -> float:
        """Until the next step is due; at most `most`."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute("SELECT seconds_to_next_step(%s::timestamptz, %s)", (now, most))
            seconds: float | None = await cursor.fetchone()
        return most if seconds is None else seconds

    async def signals(self, limit: int) -> list[tuple[str, int]]:
        """(workspace, signal) that nobody works on."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT * FROM waiting_signals(%s)", (limit,))
            return [(str(w), int(s)) for w, s in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Claim:
    """An enrollment that this transaction holds. `at`: now; `contact`: the row as JSON, with whatever columns it has."""

    id: str
    chain_id: str
    version_id: str
    contact_id: str
    state: str
    step_id: str
    due_at: datetime | None
    note: str
    tries: int
    failures: int
    enrolled_at: datetime
    previous_at: datetime
    document: dict[str, Any]
    contact: dict[str, Any]
    at: datetime


async def claim(
    connection: Connection, enrollment_id: str, now: datetime | None, *, is_due: bool = True
) -> Claim | None:  # fmt: skip
    """Lock an enrollment whose step is due (or any that goes on, to look at its stop rules); None: nothing to do."""
    cursor = connection.cursor()
    await cursor.execute(
        _CLAIM + ("AND e.state = 'active' AND e.due_at <= coalesce(%(now)s::timestamptz, clock_timestamp())" if is_due else
                  "AND e.state IN ('active', 'paused')") + " FOR UPDATE OF e SKIP LOCKED",
        {"id": enrollment_id, "now": now},
    )  # fmt: skip
    row = await cursor.fetchone()
    return None if row is None else Claim(**row)


_CLAIM = """
    SELECT e.id::text, e.chain_id::text, e.version_id::text, e.contact_id::text, e.state, e.step_id, e.due_at, e.note,
           e.try AS tries, e.failures, e.enrolled_at, e.previous_at, v.document, to_jsonb(k) AS contact,
           coalesce(%(now)s::timestamptz, clock_timestamp()) AS at
    FROM enrollment e JOIN chain_version v ON v.id = e.version_id JOIN contact k ON k.id = e.contact_id
    WHERE e.id = %(id)s
"""


async def alone_with(connection: Connection, *things: str) -> None:
    """Until this transaction ends, nobody else counts what was said to these contacts or on these channels."""
    for thing in sorted(things):
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('chain:' || %s, 3))", (thing,))


async def has_replied(connection: Connection, enrollment_id: str, contact_id: str) -> bool:
    """Whether the contact wrote since the enrollment; by ids, which the database's clock makes."""
    return bool(await _value(connection, _REPLIED, enrollment_id, contact_id))


_REPLIED = """
    SELECT EXISTS (SELECT FROM conversation c JOIN message m ON m.conversation_id = c.id
        WHERE c.contact_id = %(1)s AND NOT c.is_test AND m.role = 'contact' AND m.id > %(0)s
          AND m.created_at >= uuid_extract_timestamp(%(0)s) - interval '1 hour')
"""


async def had_result(connection: Connection, enrollment_id: str, contact_id: str, results: list[str]) -> bool:
    """Whether a conversation of the contact ended with one of the results since the enrollment."""
    return bool(await _value(connection, _RESULT, enrollment_id, contact_id, results))


_RESULT = """
    SELECT EXISTS (SELECT FROM conversation c WHERE c.contact_id = %(1)s AND NOT c.is_test AND c.result = ANY (%(2)s)
        AND c.ended_at >= uuid_extract_timestamp(%(0)s))
"""


async def said(connection: Connection, contact_id: str, since: datetime) -> tuple[int, datetime | None]:
    """How often chains spoke to the contact since then, and when they last did, ever."""
    cursor = await connection.execute(
        "SELECT count(*) FILTER (WHERE at >= %(since)s) AS n, max(at) AS last FROM chain_log"
        " WHERE contact_id = %(contact)s AND what IN ('done', 'called') AND kind IN ('message', 'flow', 'call')",
        {"contact": contact_id, "since": since},
    )
    row = await cursor.fetchone() or {"n": 0, "last": None}
    return row["n"], row["last"]


async def channel_said(connection: Connection, channel_id: str, since: datetime) -> tuple[int, datetime | None]:
    """How often chains spoke on the channel since then, and when that began."""
    cursor = await connection.execute(
        "SELECT count(*) AS n, min(at) AS first FROM chain_log"
        " WHERE channel_id = %(channel)s AND what = 'done' AND channel_id IS NOT NULL AND at > %(since)s",
        {"channel": channel_id, "since": since},
    )
    row = await cursor.fetchone() or {"n": 0, "first": None}
    return row["n"], row["first"]


async def ways_to(connection: Connection, contact_id: str) -> list[Row]:
    """Channels where the contact is known, the one last used first: {channel_id, agent_id, connector, recipient, is_on}."""
    cursor = await connection.execute(_WAYS, {"contact": contact_id})
    return await cursor.fetchall()


_WAYS = """
    SELECT h.id::text AS channel_id, h.agent_id::text, h.connector, x.external_user_id AS recipient, h.is_on AND a.is_on AS is_on
    FROM contact_identity x JOIN channel h ON h.id = x.source_id JOIN agent a ON a.id = h.agent_id
    WHERE x.contact_id = %(contact)s
    ORDER BY (SELECT max(c.updated_at) FROM conversation c WHERE c.contact_id = x.contact_id AND c.channel_id = h.id
              AND NOT c.is_test) DESC NULLS LAST, h.id
"""


async def say(
    connection: Connection, way: dict[str, Any], contact_id: str, key: str, message: dict[str, Any]
) -> Row | None:
    """{conversation_id, seq} of what is now on its way; None when the channel's agent has nothing published.

    `way`: {channel_id, recipient or None}; `message`: {parts, text, language}.
    """
    cursor = await connection.execute(
        "SELECT conversation_id::text, seq FROM say_outside_a_turn(current_setting('app.workspace_id')::uuid,"
        " %(channel_id)s, %(contact)s, %(recipient)s, %(key)s, %(parts)s, %(text)s, %(language)s)",
        {**way, "contact": contact_id, "key": key, **message, "parts": _json(message["parts"])},
    )
    return await cursor.fetchone()


async def start_flow(
    connection: Connection, way: dict[str, Any], flow_id: str, key: str, language: str | None
) -> Row | None:
    """{conversation_id, is_new, problem} of a conversation that begins with the contact; None: no such flow goes live."""
    version = None
    if flow_id:
        version = await _value(
            connection, "SELECT live_version_id::text FROM flow WHERE id::text = %(0)s AND agent_id = %(1)s", flow_id,
            way["agent_id"],
        )  # fmt: skip
        if version is None:
            return None
    cursor = await connection.execute(
        "SELECT conversation_id::text, is_new, problem FROM open_conversation(current_setting('app.workspace_id')::uuid,"
        " %(agent_id)s::uuid, %(channel_id)s::uuid, %(connector)s::text, %(recipient)s::text, '{}'::jsonb, %(key)s::text,"
        " %(version)s::uuid, false, %(language)s::text, NULL::bigint)",
        {**way, "key": key, "version": version, "language": language},
    )
    return await cursor.fetchone()


async def tell_subscription(
    connection: Connection, subscription_id: str, event_type: str, data: dict[str, Any]
) -> bool:
    """An event for one subscription, sent like every other; False when there is none that is on."""
    cursor = await connection.execute(
        "INSERT INTO event_delivery (workspace_id, subscription_id, event_id, type, line, payload)"
        " SELECT s.workspace_id, s.id, e.id, %(type)s, e.id, event_payload(%(type)s, now(), %(data)s)"
        " FROM event_subscription s, (SELECT uuidv7() AS id OFFSET 0) e WHERE s.id::text = %(id)s AND s.is_on RETURNING id",
        {"id": subscription_id, "type": event_type, "data": _json(data)},
    )
    return await cursor.fetchone() is not None


async def add_note(connection: Connection, claimed: Claim, member_id: str | None, text: str) -> None:
    """A note for a member; one who is gone leaves it to everybody."""
    await connection.execute(
        "INSERT INTO chain_note (workspace_id, enrollment_id, contact_id, member_id, text, created_at)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(enrollment)s, %(contact)s,"
        " (SELECT id FROM member WHERE id::text = %(member)s), %(text)s, %(at)s)",
        {"enrollment": claimed.id, "contact": claimed.contact_id, "member": member_id, "text": text, "at": claimed.at},
    )


async def change_contact(
    connection: Connection, contact_id: str, fields: dict[str, str], tags: list[str] | None
) -> None:  # fmt: skip
    """Set fields; `tags` None leaves them. Fields that are columns of the contact go there."""
    values: dict[str, Any] = {k: fields.pop(k) for k in ("name", "phone", "email") if k in fields}
    if tags is not None:
        values["tags"] = tags
    changes = sql.SQL("").join(sql.SQL(", {} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in values)
    await connection.execute(
        sql.SQL("UPDATE contact SET fields = fields || %(fields)s, updated_at = now(){} WHERE id = %(id)s").format(
            changes
        ),
        {**values, "id": contact_id, "fields": _json(fields)},
    )


async def call_result(connection: Connection, call_id: str) -> str | None:
    """How a call out went: "" while nobody knows; None: there is no such call."""
    found: str | None = await _value(connection, "SELECT result FROM phone_call WHERE id::text = %(0)s", call_id)
    return found


async def note_down(connection: Connection, claimed: Claim, what: str, **values: Any) -> bool:
    """A line of the log; False when this step has its end already."""
    row = {
        "chain": claimed.chain_id, "enrollment": claimed.id, "version": claimed.version_id, "contact": claimed.contact_id,
        "what": what, "at": claimed.at, "step_id": "", "kind": "", "reason": "", "wording": "", "channel_id": None,
        "conversation_id": None, "effect_key": "", **values, "data": _json(values.get("data", {})),
    }  # fmt: skip
    cursor = await connection.execute(_NOTE, row)
    return await cursor.fetchone() is not None


_NOTE = """
    INSERT INTO chain_log (workspace_id, chain_id, enrollment_id, version_id, contact_id, step_id, kind, what, reason, wording,
                           channel_id, conversation_id, effect_key, data, at)
    VALUES (current_setting('app.workspace_id')::uuid, %(chain)s, %(enrollment)s, %(version)s, %(contact)s, %(step_id)s,
            %(kind)s, %(what)s, %(reason)s, %(wording)s, %(channel_id)s, %(conversation_id)s, %(effect_key)s, %(data)s, %(at)s)
    ON CONFLICT (enrollment_id, step_id, version_id) WHERE what IN ('done', 'skipped', 'failed') DO NOTHING
    RETURNING id
"""


async def set_enrollment(connection: Connection, enrollment_id: str, **values: Any) -> None:
    """Change columns of an enrollment that this transaction holds."""
    parts = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in values)
    await connection.execute(
        sql.SQL("UPDATE enrollment SET {}, updated_at = now() WHERE id = %(id)s").format(parts),
        {**values, "id": enrollment_id},
    )


async def take_signal(connection: Connection, signal_id: int) -> Row | None:
    """Take a signal off the list with this transaction: {contact_id, kind, data}; None: somebody else has it."""
    cursor = await connection.execute(
        "DELETE FROM chain_signal WHERE id = (SELECT id FROM chain_signal WHERE id = %s FOR UPDATE SKIP LOCKED)"
        " RETURNING contact_id::text, kind, data",
        (signal_id,),
    )
    return await cursor.fetchone()


async def going_on(connection: Connection, contact_id: str) -> list[str]:
    """Enrollments of a contact that are not over."""
    cursor = await connection.execute(
        "SELECT id::text FROM enrollment WHERE contact_id = %s AND state IN ('active', 'paused') ORDER BY id",
        (contact_id,),
    )
    return [row["id"] for row in await cursor.fetchall()]


async def sent_step(connection: Connection, effect_key: str) -> Row | None:
    """The line of the log that a message of a chain belongs to: {id, enrollment_id, step_id, channel_id, data}."""
    cursor = await connection.execute(
        "SELECT l.id::text, l.enrollment_id::text, l.step_id, l.channel_id::text, l.data, l.wording, v.document,"
        " to_jsonb(k) AS contact, k.id::text AS contact_id FROM chain_log l JOIN chain_version v ON v.id = l.version_id"
        " JOIN contact k ON k.id = l.contact_id WHERE l.enrollment_id = %s AND l.effect_key = %s FOR UPDATE OF l",
        (effect_key.split(":")[1].split("/", maxsplit=1)[0], effect_key),
    )
    return await cursor.fetchone()


async def change_line(connection: Connection, line_id: str, **values: Any) -> None:
    """Change a line of the log: a message went another way, or nowhere."""
    if "data" in values:
        values["data"] = _json(values["data"])
    parts = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in values)
    await connection.execute(
        sql.SQL("UPDATE chain_log SET {} WHERE id = %(id)s").format(parts), {**values, "id": line_id}
    )


async def count_failure(connection: Connection, enrollment_id: str, seconds: float, now: datetime | None) -> int:
    """Another attempt later; how many have failed now."""
    return int(await _value(
        connection,
        "UPDATE enrollment SET failures = failures + 1, note = 'error',"
        " due_at = coalesce(%(2)s::timestamptz, clock_timestamp()) + make_interval(secs => %(1)s)"
        " WHERE id = %(0)s AND state = 'active' RETURNING failures", enrollment_id, seconds, now,
    ) or 0)  # fmt: skip


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=dumps_json)


async def _value(connection: Connection, statement: str, *values: Any) -> Any:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(statement, {str(n): v for n, v in enumerate(values)})
    return await cursor.fetchone()
