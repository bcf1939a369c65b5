"""Rows of what customer systems tell: their addresses, records that are to be read again, and what we wrote ourselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.news import Direct

CLAIM_SECONDS: Final = 120
"""Longer than reading a record and whom it is about may take."""
OWN_MINUTES: Final = 10
"""For a record that was never read: so long a write of ours explains what is heard of it."""


class CrmHookSweep:
    """Asked before any workspace is known."""

    def __init__(self, database: Direct) -> None:
        self._database = database

    async def records(self, limit: int) -> list[tuple[str, str]]:
        """(workspace, record) to be read, that nobody else works on for a while."""
        return await self._pairs("SELECT * FROM claim_crm_records(%s, %s)", (limit, CLAIM_SECONDS))

    async def links(self, limit: int) -> list[tuple[str, str]]:
        """(workspace, credential) of addresses that are to be looked after; the same one not again for ten minutes."""
        return await self._pairs("SELECT * FROM due_crm_links(%s)", (limit,))

    async def _pairs(self, statement: str, values: tuple[int, ...]) -> list[tuple[str, str]]:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(statement, values)
            return [(str(a), str(b)) for a, b in await cursor.fetchall()]


async def find(system: Connection, public_id: str) -> Row | None:
    """Whose address it is: {workspace_id, credential_id, connector, is_signed}."""
    cursor = await system.execute(
        "SELECT workspace_id::text, credential_id::text, connector, is_signed FROM find_crm_link(%s)", (public_id,)
    )
    return await cursor.fetchone()


async def hear(connection: Connection, public_id: str, hints: Sequence[Mapping[str, Any]]) -> bool:
    """Keep what came; False when there is no such address (any more)."""
    cursor = await connection.execute("SELECT hear_crm(%s, %s) AS n", (public_id, Jsonb([*hints])))
    row = await cursor.fetchone()
    return row is not None and row["n"] is not None


async def link(connection: Connection, credential_id: str) -> Row | None:
    """The address of a credential, with `now`, the database's clock."""
    cursor = await connection.execute(
        "SELECT credential_id::text, public_id, is_signed, state, problem, address, heard_at, clock_timestamp() AS now"
        " FROM crm_link WHERE credential_id = %s",
        (credential_id,),
    )
    return await cursor.fetchone()


async def open_link(connection: Connection, credential_id: str, values: Mapping[str, Any]) -> None:
    """An address for a credential, unless it has one: connector, public_id, is_signed."""
    await connection.execute(
        "INSERT INTO crm_link (workspace_id, credential_id, connector, public_id, is_signed, state)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(id)s, %(connector)s, %(public_id)s, %(is_signed)s, 'by_hand')"
        " ON CONFLICT (credential_id) DO NOTHING",
        {**values, "id": credential_id},
    )


async def set_link(connection: Connection, credential_id: str, values: Mapping[str, Any]) -> None:
    """state, problem, address; `seconds` until it is looked after again."""
    await connection.execute(
        "UPDATE crm_link SET state = %(state)s, problem = %(problem)s, address = %(address)s,"
        " look_at = clock_timestamp() + make_interval(secs => %(seconds)s) WHERE credential_id = %(id)s",
        {**values, "problem": str(values["problem"])[:500], "id": credential_id},
    )


async def close_link(connection: Connection, credential_id: str) -> None:
    """The address is no more; what was seen of records is forgotten, since nobody follows them now."""
    await connection.execute("DELETE FROM crm_link WHERE credential_id = %s", (credential_id,))
    await connection.execute("DELETE FROM crm_record WHERE credential_id = %s", (credential_id,))


async def record(connection: Connection, record: str, *, for_update: bool = False) -> Row | None:
    """A record that is due, with `now`, the label of its connection, and what we wrote since it was last read."""
    lock = " FOR UPDATE OF r" if for_update else ""
    return await (await connection.execute(_RECORD + lock, {"id": record, "minutes": OWN_MINUTES})).fetchone()


_RECORD = """
    SELECT r.id::text, r.credential_id::text, r.entity, r.record_id, r.contact_id::text, r.actions, r.heard, r.attempts, r.seen,
        r.seen_at, r.stage, r.stage_id, r.is_known, r.told, r.told_lately, r.lately_at, r.heard_at,
        c.label AS crm, clock_timestamp() AS now
    FROM crm_record r JOIN credential c ON c.id = r.credential_id WHERE r.id = %(id)s AND r.due_at IS NOT NULL
"""


async def own_writes(connection: Connection, row: Row, refs: Sequence[str], seconds: float) -> Row:
    """{fields, stages, made} that we wrote since the last reading, or a few seconds before it."""
    cursor = await connection.execute(
        "SELECT coalesce(array_agg(DISTINCT f) FILTER (WHERE f IS NOT NULL), '{}') AS fields,"
        " coalesce(array_agg(DISTINCT o.stage_id) FILTER (WHERE o.stage_id <> ''), '{}') AS stages,"
        " coalesce(bool_or(o.ref LIKE 'pc-%%'), false) AS made"
        " FROM crm_own_write o LEFT JOIN LATERAL unnest(o.fields) f ON true"
        " WHERE o.credential_id = %(credential)s AND o.entity = %(entity)s AND o.ref = ANY (%(refs)s)"
        " AND o.at >= coalesce(%(seen)s::timestamptz - make_interval(secs => %(seconds)s),"
        " clock_timestamp() - make_interval(mins => %(minutes)s))",
        {
            "credential": row["credential_id"], "entity": row["entity"], "refs": [*refs], "seen": row["seen_at"],
            "seconds": seconds, "minutes": OWN_MINUTES,
        },
    )  # fmt: skip
    found = await cursor.fetchone()
    assert found is not None  # aggregates
    return found


async def keep(connection: Connection, row: Row, values: Mapping[str, Any]) -> None:
    """What was read. It is done unless more was heard meanwhile: that is looked at in its own turn."""
    await connection.execute(
        "UPDATE crm_record SET seen = %(seen)s, seen_at = %(seen_at)s, stage = %(stage)s, stage_id = %(stage_id)s,"
        " stage_at = CASE WHEN %(moved)s THEN clock_timestamp() ELSE stage_at END,"
        " contact_id = %(contact_id)s, is_known = true, told = told + %(told)s, told_lately = %(told_lately)s,"
        " lately_at = %(lately_at)s, leased_until = NULL, attempts = 0,"
        " actions = CASE WHEN heard = %(heard)s THEN '{}' ELSE actions END,"
        " due_at = CASE WHEN heard = %(heard)s THEN NULL ELSE clock_timestamp() END WHERE id = %(id)s",
        {**values, "seen": Jsonb(values["seen"]), "id": row["id"], "heard": row["heard"]},
    )


async def put_off(connection: Connection, record: str, seconds: float) -> None:
    """The system is away: another attempt later."""
    await connection.execute(
        "UPDATE crm_record SET leased_until = NULL, due_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        (seconds, record),
    )


async def drop(connection: Connection, record: str) -> None:
    """There is no such record (any more), or it was heard of too long ago."""
    await connection.execute("DELETE FROM crm_record WHERE id = %s", (record,))


async def raise_event(
    connection: Connection, event: str, contact_id: str | None, key: str, data: Mapping[str, Any]
) -> None:
    """For the triggers that listen, for flows that wait for it, and for the chains the contact is in."""
    await connection.execute(
        "SELECT hear_triggers(current_setting('app.workspace_id')::uuid, NULL, %s, %s::uuid, NULL, %s, %s)",
        (event, contact_id, key, Jsonb(dict(data))),
    )
    if contact_id is not None:
        await connection.execute(
            "SELECT signal_chains(current_setting('app.workspace_id')::uuid, %(c)s::uuid, 'look', '{}')"
            " WHERE is_in_a_chain(%(c)s::uuid)",
            {"c": contact_id},
        )


async def is_listened_to(connection: Connection, event: str) -> bool:
    """Whether a trigger or a flow of the workspace waits for it."""
    cursor = await connection.execute(
        "SELECT triggers_listen(current_setting('app.workspace_id')::uuid, ARRAY[%s]) AS listens", (event,)
    )
    row = await cursor.fetchone()
    return bool(row and row["listens"])


async def note_own(connection: Connection, credential_id: str, values: Mapping[str, Any]) -> None:
    """What is about to be written: entity, ref, fields, stage_id. Nothing is noted where nobody listens to the system."""
    await connection.execute(
        "INSERT INTO crm_own_write (workspace_id, credential_id, entity, ref, fields, stage_id)"
        " SELECT l.workspace_id, l.credential_id, %(entity)s, %(ref)s, %(fields)s, %(stage_id)s FROM crm_link l"
        " WHERE l.credential_id = %(credential)s",
        {**values, "credential": credential_id},
    )


async def had_stage(connection: Connection, enrollment_id: str, contact_id: str, stages: Sequence[str]) -> bool:
    """Whether a deal of the contact came to one of these stages (names or numbers) since the enrollment."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM crm_record r WHERE r.contact_id = %(contact)s AND r.entity = 'lead'"
        " AND r.stage_at >= uuid_extract_timestamp(%(enrollment)s)"
        " AND (lower(r.stage) = ANY (%(stages)s) OR r.stage_id = ANY (%(stages)s))) AS had",
        {"contact": contact_id, "enrollment": enrollment_id, "stages": [s.lower() for s in stages]},
    )
    row = await cursor.fetchone()
    return bool(row and row["had"])
