"""Rows of contacts: finding, changing, merging and erasing them; what happened to them and what they wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row

FOLLOWS_MERGE: Final = (
    "contact_identity", "conversation", "contact_change", "update_change", "crm_record", "crm_write",
)  # fmt: skip
"""Tables whose `contact_id` goes over to the contact that stays when two are merged. All refer with ON DELETE CASCADE."""
CHANGEABLE: Final = frozenset(
    {
        "name",
        "phone",
        "email",
        "tags",
        "language",
        "time_zone",
        "country",
        "opted_out_at",
        "consent",
        "fields",
        "variables",
    }
)
_JSON: Final = frozenset({"consent", "fields", "variables"})

_COLUMNS = """
    k.id::text, k.name, k.phone, k.email, k.tags, k.language, k.time_zone, k.country, k.opted_out_at, k.consent, k.fields,
    k.variables, k.merged_into::text, k.created_at, k.updated_at
"""
_CHANNELS = """
    ARRAY(SELECT DISTINCT coalesce(h.connector, 'api') FROM contact_identity x LEFT JOIN channel h ON h.id = x.source_id
          WHERE x.contact_id = k.id) AS channels
"""
# People who only ever spoke in the tester are nobody's contacts.
_LISTED = """
    k.merged_into IS NULL AND (EXISTS (SELECT FROM conversation c WHERE c.contact_id = k.id AND NOT c.is_test)
        OR NOT EXISTS (SELECT FROM conversation c WHERE c.contact_id = k.id))
"""
_FILTERS = f"""
    {_LISTED}
    AND (%(search)s::text IS NULL OR k.name ILIKE %(search)s OR k.phone ILIKE %(search)s OR k.email ILIKE %(search)s
         OR k.fields::text ILIKE %(search)s)
    AND (%(tag)s::text IS NULL OR k.tags @> ARRAY[%(tag)s::text])
    AND (%(opted_out)s::boolean IS NULL OR (k.opted_out_at IS NOT NULL) = %(opted_out)s)
    AND (%(channel)s::text IS NULL OR EXISTS (
        SELECT FROM contact_identity x LEFT JOIN channel h ON h.id = x.source_id
        WHERE x.contact_id = k.id AND coalesce(h.connector, 'api') = %(channel)s))
"""
_LIST = f"""
    SELECT {_COLUMNS}, {_CHANNELS},
        (SELECT max(c.updated_at) FROM conversation c WHERE c.contact_id = k.id AND NOT c.is_test) AS seen_at
    FROM contact k WHERE {_FILTERS} AND (%(before)s::uuid IS NULL OR k.id < %(before)s::uuid)
    ORDER BY k.id DESC LIMIT %(limit)s
"""  # noqa: S608 (constants of this module)
_COUNT = f"""
    SELECT count(*) AS n FROM (SELECT FROM contact k WHERE {_FILTERS} LIMIT %(most)s) k
"""  # noqa: S608 (constants of this module)
_ERASE: Final = {
    "files": "DELETE FROM file WHERE conversation_id IN (SELECT id FROM conversation WHERE contact_id = %(id)s)",
    "answers": """
        DELETE FROM idempotency WHERE response::text LIKE '%%' || %(id)s::text || '%%' OR EXISTS (
            SELECT FROM conversation c WHERE c.contact_id = %(id)s::uuid AND response::text LIKE '%%' || c.id::text || '%%')
    """,
    "messages": "DELETE FROM message WHERE conversation_id IN (SELECT id FROM conversation WHERE contact_id = %(id)s)",
    "conversations": "DELETE FROM conversation WHERE contact_id = %(id)s",
    "contacts": "DELETE FROM contact WHERE id = %(id)s OR merged_into = %(id)s",
}
_GET = f"SELECT {_COLUMNS}, {_CHANNELS} FROM contact k WHERE k.id = %s"  # noqa: S608 (constants of this module)


def filters(**given: Any) -> dict[str, Any]:
    """Values of a list's filters: search (a text), tag, opted_out, channel (kind); what is not given does not filter."""
    search = str(given.get("search") or "").strip()
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {
        "search": f"%{escaped}%" if escaped else None,
        "tag": given.get("tag") or None,
        "opted_out": given.get("opted_out"),
        "channel": given.get("channel") or None,
    }


async def get(connection: Connection, contact_id: str, *, for_update: bool = False) -> Row | None:
    """One contact, a merged one too; `channels`: kinds of the places where they are known."""
    lock = " FOR UPDATE OF k" if for_update else ""
    return await (await connection.execute(_GET + lock, (contact_id,))).fetchone()


async def listed(connection: Connection, wanted: dict[str, Any], *, before: str | None, limit: int) -> list[Row]:
    """Newest first, after the id `before`; also `seen_at`, the last time in a conversation."""
    values = wanted | {"before": before, "limit": limit}
    return await (await connection.execute(_LIST, values)).fetchall()


async def count(connection: Connection, wanted: dict[str, Any], most: int = 1_000_000) -> int:
    """How many the filters leave, at most `most`."""
    row = await (await connection.execute(_COUNT, wanted | {"most": most})).fetchone()
    return int((row or {"n": 0})["n"])


async def insert(connection: Connection, values: Mapping[str, Any]) -> str:
    """A new contact from columns of CHANGEABLE; its id."""
    columns = [k for k in values if k in CHANGEABLE]
    statement = sql.SQL(
        "INSERT INTO contact (workspace_id{}) VALUES (current_setting('app.workspace_id')::uuid{}) RETURNING id::text"
    ).format(
        sql.SQL("").join(sql.SQL(", {}").format(sql.Identifier(k)) for k in columns),
        sql.SQL("").join(sql.SQL(", {}").format(sql.Placeholder(k)) for k in columns),
    )
    row = await (await connection.execute(statement, _plain(values, columns))).fetchone()
    assert row is not None
    return str(row["id"])


async def change(connection: Connection, contact_id: str, values: Mapping[str, Any]) -> bool:
    """Set columns of CHANGEABLE; False when there is no such contact."""
    columns = [k for k in values if k in CHANGEABLE]
    statement = sql.SQL("UPDATE contact SET {}updated_at = now() WHERE id = %(id)s AND merged_into IS NULL").format(
        sql.SQL("").join(sql.SQL("{} = {}, ").format(sql.Identifier(k), sql.Placeholder(k)) for k in columns)
    )
    cursor = await connection.execute(statement, _plain(values, columns) | {"id": contact_id})
    return cursor.rowcount == 1


def _plain(values: Mapping[str, Any], columns: list[str]) -> dict[str, Any]:
    return {k: Jsonb(values[k]) if k in _JSON else values[k] for k in columns}


async def tag(connection: Connection, ids: list[str], *, add: list[str], remove: list[str]) -> list[str]:
    """Add and remove tags of many contacts; ids of those that changed."""
    cursor = await connection.execute(
        "UPDATE contact k SET updated_at = now(), tags = ARRAY(SELECT DISTINCT t FROM unnest(k.tags || %(add)s::text[]) t"
        " WHERE t <> ALL (%(remove)s::text[]) ORDER BY t) WHERE k.id = ANY (%(ids)s::uuid[]) AND k.merged_into IS NULL"
        " AND (NOT k.tags @> %(add)s::text[] OR k.tags && %(remove)s::text[]) RETURNING k.id::text",
        {"ids": ids, "add": add, "remove": remove},
    )
    return [row["id"] for row in await cursor.fetchall()]


async def tags(connection: Connection) -> list[Row]:
    """Tags in use with the number of their contacts: {tag, contacts}, most used first."""
    cursor = await connection.execute(
        "SELECT t AS tag, count(*) AS contacts FROM contact k, unnest(k.tags) t WHERE k.merged_into IS NULL"
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 500"
    )
    return await cursor.fetchall()


async def opt_out(connection: Connection, contact_id: str, *, is_out: bool) -> bool:
    """Note that they opted out, or came back; False when that was so already or they are not there."""
    cursor = await connection.execute(
        "UPDATE contact SET opted_out_at = CASE WHEN %(out)s THEN clock_timestamp() END, updated_at = now()"
        " WHERE id = %(id)s AND (opted_out_at IS NULL) = %(out)s AND merged_into IS NULL",
        {"id": contact_id, "out": is_out},
    )
    return cursor.rowcount == 1


async def note(connection: Connection, contact_id: str, kind: str, actor: str, data: dict[str, Any]) -> None:
    """Add a line to a contact's history."""
    await note_many(connection, [contact_id], kind, actor, data)


async def note_many(connection: Connection, ids: list[str], kind: str, actor: str, data: dict[str, Any]) -> None:
    """The same line for many contacts."""
    await connection.execute(
        "INSERT INTO contact_change (workspace_id, contact_id, kind, actor, data)"
        " SELECT current_setting('app.workspace_id')::uuid, id, %s, %s, %s FROM unnest(%s::uuid[]) id",
        (kind, actor, Jsonb(data), ids),
    )


async def find_by(connection: Connection, *, phone: str = "", email: str = "") -> Row | None:
    """The oldest contact with this number, else with this e-mail, locked."""
    for column, value in (("k.phone", phone), ("lower(k.email)", email.lower())):
        if value:
            statement = sql.SQL(
                "SELECT {} FROM contact k WHERE {} = %s AND k.merged_into IS NULL ORDER BY k.id LIMIT 1 FOR UPDATE"
            ).format(sql.SQL(_COLUMNS), sql.SQL(column))
            row = await (await connection.execute(statement, (value,))).fetchone()
            if row is not None:
                return row
    return None


async def ids_by(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """Number or (small) e-mail → the oldest contact who has it."""
    cursor = await connection.execute(
        "SELECT id::text, phone, lower(email) AS email FROM contact WHERE merged_into IS NULL"
        " AND (phone = ANY (%(keys)s) AND phone <> '' OR lower(email) = ANY (%(keys)s) AND email <> '') ORDER BY id DESC",
        {"keys": [*keys]},
    )
    return {row[key]: row["id"] for row in await cursor.fetchall() for key in ("phone", "email") if row[key]}


async def identities(connection: Connection, contact_id: str) -> list[Row]:
    """Where they are known: {source_id, external_user_id, channel (kind), label, agent_id, agent, unreachable_since}.

    `unreachable_since`: ISO; "" is reachable.
    """
    cursor = await connection.execute(
        "SELECT x.source_id::text, x.external_user_id, coalesce(h.connector, 'api') AS channel, coalesce(h.label, '') AS label,"
        " a.id::text AS agent_id, coalesce(a.name, '') AS agent,"
        " coalesce(to_char(x.unreachable_since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '') AS unreachable_since"
        " FROM contact_identity x"
        " LEFT JOIN channel h ON h.id = x.source_id LEFT JOIN agent a ON a.id = coalesce(h.agent_id, x.source_id)"
        " WHERE x.contact_id = %s ORDER BY 3, 2",
        (contact_id,),
    )
    return await cursor.fetchall()


async def merge(connection: Connection, keep_id: str, gone_id: str, values: Mapping[str, Any]) -> None:
    """Let everything of `gone_id` belong to `keep_id`, which gets these values. Both are locked by the caller."""
    for table in FOLLOWS_MERGE:
        await connection.execute(
            sql.SQL("UPDATE {} SET contact_id = %s WHERE contact_id = %s").format(sql.Identifier(table)),
            (keep_id, gone_id),
        )
    await connection.execute("UPDATE contact SET merged_into = %s WHERE merged_into = %s", (keep_id, gone_id))
    await connection.execute(
        "UPDATE contact SET merged_into = %s, fields = '{}', variables = '{}', consent = '{}', tags = '{}', name = '',"
        " phone = '', email = '', country = '', time_zone = '', updated_at = now() WHERE id = %s",
        (keep_id, gone_id),
    )
    await change(connection, keep_id, values)


async def erase(connection: Connection, contact_id: str) -> dict[str, int]:
    """Delete a contact with everything that hangs on them, really; how many rows of what."""
    values = {"id": contact_id}
    counts: dict[str, int] = {}
    for kind, statement in _ERASE.items():
        counts[kind] = (await connection.execute(statement, values)).rowcount
    return counts


async def note_erasure(
    connection: Connection, actor: str, salt: bytes, hashes: list[bytes], counts: dict[str, int]
) -> None:
    """Add a line to the ledger of erasures."""
    await connection.execute(
        "INSERT INTO contact_erasure (workspace_id, actor, salt, hashes, counts)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s, %s)",
        (actor, salt, hashes, Jsonb(counts)),
    )


async def erasures(connection: Connection) -> list[Row]:
    """The ledger, newest first: {at, actor, salt, hashes, counts}."""
    cursor = await connection.execute("SELECT at, actor, salt, hashes, counts FROM contact_erasure ORDER BY id DESC")
    return await cursor.fetchall()


async def fields(connection: Connection) -> list[Row]:
    """The workspace's own fields: {key, label, type, options}, oldest first."""
    cursor = await connection.execute("SELECT key, label, type, options FROM contact_field ORDER BY created_at, key")
    return await cursor.fetchall()


async def put_field(connection: Connection, values: Mapping[str, Any]) -> None:
    """Add a field, or change its label, type and options."""
    await connection.execute(
        "INSERT INTO contact_field (workspace_id, key, label, type, options)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(key)s, %(label)s, %(type)s, %(options)s)"
        " ON CONFLICT (workspace_id, key) DO UPDATE SET label = excluded.label, type = excluded.type,"
        " options = excluded.options",
        dict(values) | {"options": Jsonb(list(values["options"]))},
    )


async def delete_field(connection: Connection, key: str) -> bool:
    """Forget a field; what contacts have under its key stays with them."""
    return (await connection.execute("DELETE FROM contact_field WHERE key = %s", (key,))).rowcount == 1


async def segments(connection: Connection) -> list[Row]:
    """All segments: {id, name, condition, updated_at}, by name."""
    cursor = await connection.execute(
        "SELECT id::text, name, condition, updated_at FROM segment ORDER BY lower(name), id"
    )
    return await cursor.fetchall()


async def segment(connection: Connection, segment_id: str) -> Row | None:
    """One segment."""
    statement = "SELECT id::text, name, condition, updated_at FROM segment WHERE id = %s"
    return await (await connection.execute(statement, (segment_id,))).fetchone()


async def put_segment(
    connection: Connection, segment_id: str | None, name: str, condition: dict[str, Any]
) -> str | None:
    """A new segment, or a changed one; its id, None when the one to change is not there."""
    if segment_id is None:
        statement = (
            "INSERT INTO segment (workspace_id, name, condition) VALUES (current_setting('app.workspace_id')::uuid, %s, %s)"
            " RETURNING id::text"
        )
        row = await (await connection.execute(statement, (name, Jsonb(condition)))).fetchone()
    else:
        statement = "UPDATE segment SET name = %s, condition = %s, updated_at = now() WHERE id = %s RETURNING id::text"
        row = await (await connection.execute(statement, (name, Jsonb(condition), segment_id))).fetchone()
    return str(row["id"]) if row else None


async def delete_segment(connection: Connection, segment_id: str) -> bool:
    """Forget a segment; its contacts stay."""
    return (await connection.execute("DELETE FROM segment WHERE id = %s", (segment_id,))).rowcount == 1


def facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """What conditions read as `contact.…`: answers, fields, then the contact's own columns, which win."""
    own = {
        k: row[k] for k in ("id", "name", "phone", "email", "language", "time_zone", "country", "tags") if row[k]
    }  # fmt: skip
    return {
        **row["variables"], **row["fields"], **own, "opted_out": row["opted_out_at"] is not None,
        "created_at": row["created_at"].isoformat(), "updated_at": row["updated_at"].isoformat(),
        **({"channels": row["channels"]} if "channels" in row else {}),
    }  # fmt: skip


async def what_moves(connection: Connection, contact_id: str) -> dict[str, int]:
    """How many rows of what go over when this contact is merged into another one."""
    counts = {}
    for table in FOLLOWS_MERGE:
        statement = sql.SQL("SELECT count(*) AS n FROM {} WHERE contact_id = %s").format(sql.Identifier(table))
        row = await (await connection.execute(statement, (contact_id,))).fetchone()
        counts[table] = int((row or {"n": 0})["n"])
    return counts
