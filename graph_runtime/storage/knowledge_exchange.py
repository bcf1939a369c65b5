"""Rows of knowledge on its way in and out: files that are taken in batch by batch, and what an export is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from graph_runtime.storage.database import Connection, Database, Row

LEASE_SECONDS: Final = 60
_ABOUT: Final = (
    "id, knowledge_base_id, file_name, state, total, position, created, updated, unchanged, broken, error, created_at"
)


async def add(connection: Connection, base_id: str, values: Mapping[str, Any]) -> str:
    """A file that waits: file_name, content, total, member_id; its id. What is older than a month is forgotten."""
    await connection.execute(
        "DELETE FROM knowledge_import WHERE state <> 'waiting' AND created_at < now() - interval '30 days'"
    )
    cursor = await connection.execute(
        "INSERT INTO knowledge_import (workspace_id, knowledge_base_id, file_name, content, total, member_id)"
        " VALUES (current_setting('app.workspace_id')::uuid, %(base)s, %(file_name)s, %(content)s, %(total)s, %(member_id)s)"
        " RETURNING id",
        {"base": base_id, **values},
    )
    return str((await cursor.fetchone() or {})["id"])


async def get(connection: Connection, import_id: str) -> Row | None:
    """How far it is, without the file."""
    statement = f"SELECT {_ABOUT} FROM knowledge_import WHERE id = %s"  # noqa: S608 (a constant of this module)
    return await (await connection.execute(statement, (import_id,))).fetchone()


async def newest(connection: Connection, base_id: str) -> Row | None:
    """The newest of a base."""
    statement = f"SELECT {_ABOUT} FROM knowledge_import WHERE knowledge_base_id = %s ORDER BY id DESC LIMIT 1"  # noqa: S608 (as above)
    return await (await connection.execute(statement, (base_id,))).fetchone()


async def problems(connection: Connection, import_id: str, limit: int) -> list[Row]:
    """Entries that were not taken in: entry, about, message."""
    cursor = await connection.execute(
        "SELECT entry, about, message FROM knowledge_import_problem WHERE import_id = %s ORDER BY entry LIMIT %s",
        (import_id, limit),
    )
    return await cursor.fetchall()


async def cancel(connection: Connection, import_id: str) -> bool:
    """Take in no more of it; what is in stays."""
    cursor = await connection.execute(
        "UPDATE knowledge_import SET state = 'canceled', finished_at = now(), content = NULL"
        " WHERE id = %s AND state = 'waiting'",
        (import_id,),
    )
    return cursor.rowcount == 1


async def claim(database: Database, seconds: int = LEASE_SECONDS) -> tuple[str, str, int] | None:
    """The oldest file that nobody works on: (workspace, import, attempts)."""
    async with database.system() as connection:
        row = await (await connection.execute("SELECT * FROM claim_knowledge_import(%s)", (seconds,))).fetchone()
    return (str(row["workspace_id"]), str(row["import_id"]), row["attempts"]) if row else None


async def content(connection: Connection, import_id: str) -> Row | None:
    """knowledge_base_id, content, position, member_id; None when it is not waiting any more."""
    cursor = await connection.execute(
        "SELECT knowledge_base_id, content, position, member_id FROM knowledge_import WHERE id = %s AND state = 'waiting'",
        (import_id,),
    )
    return await cursor.fetchone()


async def go_on(connection: Connection, import_id: str, position: int) -> bool:
    """Lock it for one batch and keep it; False: it was canceled, or somebody else is further."""
    cursor = await connection.execute(
        "UPDATE knowledge_import SET leased_until = clock_timestamp() + make_interval(secs => %s), attempts = 1"
        " WHERE id = %s AND state = 'waiting' AND position = %s",
        (LEASE_SECONDS, import_id, position),
    )
    return cursor.rowcount == 1


async def advance(connection: Connection, import_id: str, position: int, counts: Mapping[str, int]) -> None:
    """Note a batch as done, with its counts."""
    await connection.execute(
        "UPDATE knowledge_import SET position = %(position)s, created = created + %(created)s,"
        " updated = updated + %(updated)s, unchanged = unchanged + %(unchanged)s, broken = broken + %(broken)s"
        " WHERE id = %(id)s",
        {"id": import_id, "position": position, **counts},
    )


async def finish(connection: Connection, import_id: str, state: str, error: str = "") -> None:
    """It is done, or failed; the file itself is kept no longer."""
    await connection.execute(
        "UPDATE knowledge_import SET state = %s, error = %s, finished_at = now(), content = NULL, leased_until = NULL"
        " WHERE id = %s AND state = 'waiting'",
        (state, error[:500], import_id),
    )


async def note_problems(connection: Connection, import_id: str, found: Sequence[tuple[int, str, str]]) -> None:
    """(entry, what it is about, why not)."""
    await connection.execute(
        "INSERT INTO knowledge_import_problem (import_id, entry, workspace_id, about, message)"
        " SELECT %s, entry, current_setting('app.workspace_id')::uuid, about, message"
        " FROM unnest(%s::integer[], %s::text[], %s::text[]) p (entry, about, message) ON CONFLICT DO NOTHING",
        (import_id, [e for e, _, _ in found], [a[:200] for _, a, _ in found], [m[:500] for _, _, m in found]),
    )


async def known(connection: Connection, base_id: str, origin: str) -> str | None:
    """The document that came from there, or is it."""
    cursor = await connection.execute(
        "SELECT id FROM knowledge_document WHERE knowledge_base_id = %(base)s AND (origin = %(origin)s OR id::text = %(origin)s)"
        " AND %(origin)s <> '' ORDER BY origin = %(origin)s DESC LIMIT 1",
        {"base": base_id, "origin": origin},
    )
    row = await cursor.fetchone()
    return str(row["id"]) if row else None


async def twin(connection: Connection, base_id: str, values: Row) -> str | None:
    """A document that says it is the same: a page by its address, a file by its content, what is written by its title.

    Of what is written, only what came from nowhere else.
    """
    cursor = await connection.execute(
        """
        SELECT id FROM knowledge_document WHERE knowledge_base_id = %(base)s AND kind = %(kind)s AND CASE %(kind)s
            WHEN 'page' THEN url = %(url)s
            WHEN 'file' THEN content_hash = %(content_hash)s
            ELSE md5(lower(title)) = md5(lower(%(title)s)) AND (origin = '' OR %(origin)s = '') END
        ORDER BY id LIMIT 1
        """,
        {"base": base_id, "url": "", "content_hash": "", "title": "", "origin": "", **values},
    )
    row = await cursor.fetchone()
    return str(row["id"]) if row else None


async def whole(connection: Connection, document_id: str) -> Row:
    """A document with its texts, locked."""
    cursor = await connection.execute("SELECT * FROM knowledge_document WHERE id = %s FOR UPDATE", (document_id,))
    row = await cursor.fetchone()
    assert row is not None
    return row


async def add_versions(connection: Connection, document_id: str, versions: Sequence[tuple[int, str, str, Any]]) -> None:
    """Earlier versions: (number, title, text, at)."""
    await connection.cursor().executemany(
        "INSERT INTO knowledge_version (document_id, number, workspace_id, title, body, at)"
        " VALUES (%s, %s, current_setting('app.workspace_id')::uuid, %s, %s, %s) ON CONFLICT DO NOTHING",
        [(document_id, *version) for version in versions],
    )


async def documents(connection: Connection, base_id: str, after: str | None, limit: int) -> list[Row]:
    """All that an export says about documents, oldest first: with `versions` and `see_also` as lists."""
    cursor = await connection.execute(
        """
        SELECT d.id, d.kind, d.title, d.body, d.draft, d.version, d.told_language, d.language, d.category_id, d.url,
            d.read_every_days, d.file_name, d.origin, coalesce(nullif(a.origin, ''), a.id::text, '') AS attached_to,
            (SELECT coalesce(jsonb_agg(jsonb_build_object('number', v.number, 'title', v.title, 'text', v.body, 'at', v.at)
                ORDER BY v.number), '[]') FROM knowledge_version v WHERE v.document_id = d.id AND v.number < d.version) AS versions,
            (SELECT coalesce(jsonb_agg(coalesce(nullif(o.origin, ''), o.id::text) ORDER BY o.id), '[]')
                FROM knowledge_relation r JOIN knowledge_document o ON o.id = r.other_id
                WHERE r.document_id = d.id) AS see_also
        FROM knowledge_document d LEFT JOIN knowledge_document a ON a.id = d.attached_to
        WHERE d.knowledge_base_id = %(base)s AND (%(after)s::uuid IS NULL OR d.id > %(after)s) ORDER BY d.id LIMIT %(limit)s
        """,
        {"base": base_id, "after": after, "limit": limit},
    )
    return await cursor.fetchall()
