"""Files of contacts on their way in: rows, problems, progress; each batch is one transaction with its progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Database, Row, dumps_json

LEASE_SECONDS: Final = 60
_ABOUT = """
    id::text, file_name, mapping, state, total, position, created, updated, broken, enrolled, error, created_at, finished_at
"""


async def add(connection: Connection, values: Mapping[str, Any]) -> str:
    """A new draft: file_name, content, total, actor; its id. Drafts that a day has forgotten go."""
    await connection.execute(
        "DELETE FROM contact_import WHERE state = 'draft' AND created_at < now() - interval '1 day'"
    )
    cursor = await connection.execute(
        "INSERT INTO contact_import (workspace_id, file_name, content, mapping, total, actor, state)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(file_name)s, %(content)s, '[]', %(total)s, %(actor)s, 'draft')"
        " RETURNING id::text",
        dict(values),
    )
    return str((await cursor.fetchone() or {})["id"])


async def draft(connection: Connection, import_id: str) -> bytes | None:
    """The content of a draft."""
    cursor = await connection.execute(
        "SELECT content FROM contact_import WHERE id = %s AND state = 'draft'", (import_id,)
    )
    row = await cursor.fetchone()
    return bytes(row["content"]) if row else None


async def begin(connection: Connection, import_id: str, mapping: Sequence[str], chain_id: str | None) -> bool:
    """Let workers have a draft; `chain_id`: where they put everybody."""
    cursor = await connection.execute(
        "UPDATE contact_import SET state = 'waiting', mapping = %s, chain_id = %s WHERE id = %s AND state = 'draft'",
        (Jsonb(list(mapping)), chain_id, import_id),
    )
    return cursor.rowcount == 1


async def get(connection: Connection, import_id: str) -> Row | None:
    """How far it is, without the file."""
    statement = f"SELECT {_ABOUT} FROM contact_import WHERE id = %s"  # noqa: S608 (a constant of this module)
    return await (await connection.execute(statement, (import_id,))).fetchone()


async def newest(connection: Connection, limit: int = 10) -> list[Row]:
    """The newest imports."""
    statement = f"SELECT {_ABOUT} FROM contact_import WHERE state <> 'draft' ORDER BY id DESC LIMIT %s"  # noqa: S608 (as above)
    return await (await connection.execute(statement, (limit,))).fetchall()


async def problems(connection: Connection, import_id: str, limit: int) -> list[Row]:
    """Rows that were not taken in: {row (2 is the first below the names), problem {field, message}}."""
    cursor = await connection.execute(
        "SELECT row, problem FROM contact_import_problem WHERE import_id = %s ORDER BY row LIMIT %s", (import_id, limit)
    )
    return await cursor.fetchall()


async def cancel(connection: Connection, import_id: str) -> bool:
    """Take in no more of it; what is in stays."""
    cursor = await connection.execute(
        "UPDATE contact_import SET state = 'canceled', finished_at = now(), content = NULL"
        " WHERE id = %s AND state = 'waiting'",
        (import_id,),
    )
    return cursor.rowcount == 1


async def claim(database: Database, seconds: int = LEASE_SECONDS) -> tuple[str, str, int] | None:
    """The oldest file that nobody works on: (workspace, import, attempts)."""
    async with database.system() as connection:
        row = await (await connection.execute("SELECT * FROM claim_contact_import(%s)", (seconds,))).fetchone()
    return (str(row["workspace_id"]), str(row["import_id"]), row["attempts"]) if row else None


async def content(connection: Connection, import_id: str) -> Row | None:
    """{content, mapping, position, actor, chain_id}, None when it is not waiting any more."""
    cursor = await connection.execute(
        "SELECT content, mapping, position, actor, chain_id::text FROM contact_import"
        " WHERE id = %s AND state = 'waiting'",
        (import_id,),
    )
    return await cursor.fetchone()


async def go_on(connection: Connection, import_id: str, position: int, seconds: int = LEASE_SECONDS) -> bool:
    """Lock it for one batch and keep it; False: it was canceled, or somebody else is further."""
    cursor = await connection.execute(
        "UPDATE contact_import SET leased_until = clock_timestamp() + make_interval(secs => %s), attempts = 1"
        " WHERE id = %s AND state = 'waiting' AND position = %s",
        (seconds, import_id, position),
    )
    return cursor.rowcount == 1


async def advance(connection: Connection, import_id: str, position: int, counts: Mapping[str, int]) -> None:
    """Note a batch as done: counts of created, updated, broken, enrolled."""
    await connection.execute(
        "UPDATE contact_import SET position = %(position)s, created = created + %(created)s,"
        " updated = updated + %(updated)s, broken = broken + %(broken)s,"
        " enrolled = enrolled + %(enrolled)s WHERE id = %(id)s",
        {"id": import_id, "position": position, **counts},
    )


async def finish(connection: Connection, import_id: str, state: str, error: str = "") -> None:
    """It is done, or failed; the file itself is kept no longer."""
    await connection.execute(
        "UPDATE contact_import SET state = %s, error = %s, finished_at = now(), content = NULL, leased_until = NULL"
        " WHERE id = %s AND state = 'waiting'",
        (state, error[:500], import_id),
    )


async def note_problems(connection: Connection, import_id: str, found: Sequence[tuple[int, dict[str, str]]]) -> None:
    """Rows that are broken."""
    if found:
        await connection.execute(
            "INSERT INTO contact_import_problem (workspace_id, import_id, row, problem)"
            " SELECT current_setting('app.workspace_id')::uuid, %s, row, problem"
            " FROM jsonb_to_recordset(%s) p (row integer, problem jsonb) ON CONFLICT DO NOTHING",
            (import_id, _json([{"row": row, "problem": problem} for row, problem in found])),
        )


async def twins(connection: Connection, phones: list[str], emails: list[str]) -> list[Row]:
    """Contacts with one of these numbers or (small) e-mails, oldest first, locked."""
    cursor = await connection.execute(
        "SELECT id::text, phone, lower(email) AS email, tags, fields FROM contact WHERE merged_into IS NULL"
        " AND (phone = ANY (%(phones)s) AND phone <> '' OR lower(email) = ANY (%(emails)s) AND email <> '')"
        " ORDER BY id FOR UPDATE",
        {"phones": phones, "emails": emails},
        prepare=False,  # planned anew: the table grows while a file comes in
    )
    return await cursor.fetchall()


async def new_ids(connection: Connection, count: int) -> list[str]:
    """Ids in the order of time, as lists are: the last one is the oldest."""
    cursor = await connection.execute("SELECT uuidv7()::text AS id FROM generate_series(1, %s)", (count,))
    return sorted((row["id"] for row in await cursor.fetchall()), reverse=True)


async def insert_many(
    connection: Connection, contacts: Sequence[Mapping[str, Any]], actor: str, import_id: str
) -> None:
    """New contacts, each with a line in its history. Their ids are made by the caller."""
    if not contacts:
        return
    await connection.execute(_INSERT_MANY, (_json([{**_EMPTY, **c} for c in contacts]),))
    await _note(connection, [c["id"] for c in contacts], actor, import_id)


_EMPTY: Final[dict[str, Any]] = {
    "name": "", "phone": "", "email": "", "tags": [], "language": "", "time_zone": "", "country": "", "fields": {},
}  # fmt: skip
_COLUMNS = (
    "id uuid, name text, phone text, email text, tags text[], language text, time_zone text, country text, fields jsonb"
)
_INSERT_MANY = f"""
    INSERT INTO contact (id, workspace_id, name, phone, email, tags, language, time_zone, country, fields)
    SELECT n.id, current_setting('app.workspace_id')::uuid, n.name, n.phone, n.email, n.tags, n.language, n.time_zone,
           n.country, n.fields FROM jsonb_to_recordset(%s) n ({_COLUMNS})
"""  # noqa: S608 (constants of this module)
_UPDATE_MANY = f"""
    UPDATE contact k SET name = coalesce(n.name, k.name), phone = coalesce(n.phone, k.phone), email = coalesce(n.email, k.email),
        language = coalesce(n.language, k.language), time_zone = coalesce(n.time_zone, k.time_zone),
        country = coalesce(n.country, k.country), fields = k.fields || coalesce(n.fields, '{{}}'), updated_at = now(),
        tags = ARRAY(SELECT DISTINCT t FROM unnest(k.tags || coalesce(n.tags, '{{}}')) t ORDER BY t)
    FROM jsonb_to_recordset(%s) n ({_COLUMNS}) WHERE k.id = n.id
"""  # noqa: S608 (constants of this module)


async def update_many(
    connection: Connection, contacts: Sequence[Mapping[str, Any]], actor: str, import_id: str
) -> None:
    """Known contacts, each once: what a row says replaces, what it leaves empty stays; tags and fields are joined."""
    if not contacts:
        return
    await connection.execute(_UPDATE_MANY, (_json(list(contacts)),), prepare=False)
    await _note(connection, [c["id"] for c in contacts], actor, import_id)


async def _note(connection: Connection, ids: list[str], actor: str, import_id: str) -> None:
    await connection.execute(
        "INSERT INTO contact_change (workspace_id, contact_id, kind, actor, data)"
        " SELECT current_setting('app.workspace_id')::uuid, id::uuid, 'imported', %s, %s"
        " FROM jsonb_array_elements_text(%s) id",
        (actor, Jsonb({"import_id": import_id}), _json(ids)),
    )


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=dumps_json)
