"""Rows of knowledge bases, categories and documents: what people arrange."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.objects import Kept, settle

DOCUMENTS_CHANNEL = "patchcord_documents"
VERSIONS_KEPT = 50

_BASES = """
    SELECT b.id, b.name, b.description, b.embedder, b.embedder_model, b.former_embedder, b.former_model, b.reranker, b.is_public, b.created_at, b.updated_at,
        coalesce(d.documents, 0)::integer AS documents, coalesce(d.passages, 0)::integer AS passages,
        coalesce(d.working, 0)::integer AS working, coalesce(d.failed, 0)::integer AS failed
    FROM knowledge_base b LEFT JOIN LATERAL (
        SELECT count(*) AS documents, sum(passages) AS passages, count(*) FILTER (WHERE state = 'failed') AS failed,
            count(*) FILTER (WHERE state IN ('waiting', 'reading', 'embedding')) AS working
        FROM knowledge_document d WHERE d.workspace_id = b.workspace_id AND d.knowledge_base_id = b.id) d ON true
"""
_DOCUMENT = """
    SELECT d.id, d.knowledge_base_id, d.category_id, c.name AS category, d.kind, d.title, d.language, d.told_language,
        d.attached_to, d.state, d.error,
        d.error_about, d.draft IS NOT NULL AS has_draft, d.version, d.url, d.public_id, d.file_name, d.mime, d.size,
        d.progress, d.passages, d.read_at, d.read_every_days, d.next_read_at, d.created_at, d.updated_at
    FROM knowledge_document d LEFT JOIN knowledge_category c ON c.id = d.category_id
"""


async def bases(connection: Connection) -> list[Row]:
    """All of the workspace by name, with counts."""
    return await (await connection.execute(_BASES + " ORDER BY lower(b.name), b.id")).fetchall()


async def base(connection: Connection, base_id: str) -> Row | None:
    """One base with counts."""
    return await (await connection.execute(_BASES + " WHERE b.id = %s", (base_id,))).fetchone()


async def add_base(connection: Connection, name: str, description: str) -> str:
    """The new base's id."""
    cursor = await connection.execute(
        "INSERT INTO knowledge_base (workspace_id, name, description)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s) RETURNING id",
        (name, description),
    )
    return _id(await cursor.fetchone())


async def change(connection: Connection, table: str, row_id: str, values: Row) -> None:
    """Change columns of a base, a category or a document. That a reader tries again is no change of a document."""
    columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in values)
    touched = sql.SQL("" if table == "knowledge_category" or values.keys() == {"attempts"} else ", updated_at = now()")
    await connection.execute(
        sql.SQL("UPDATE {} SET {}{} WHERE id = %(id)s").format(sql.Identifier(table), columns, touched),
        {**values, "id": row_id},
    )


async def delete(connection: Connection, table: str, row_id: str) -> None:
    """Delete a base, a category or a document with all that is in it; documents of a category stay."""
    await connection.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(sql.Identifier(table)), (row_id,))


async def categories(connection: Connection, base_id: str) -> list[Row]:
    """The tree of a base, each before its children, with the number of documents."""
    cursor = await connection.execute(
        """
        WITH RECURSIVE tree AS (
            SELECT id, parent_id, name, 0 AS depth, ARRAY[lower(name), id::text] AS place FROM knowledge_category
            WHERE knowledge_base_id = %(base)s AND parent_id IS NULL
            UNION ALL
            SELECT c.id, c.parent_id, c.name, t.depth + 1, t.place || ARRAY[lower(c.name), c.id::text]
            FROM knowledge_category c JOIN tree t ON c.parent_id = t.id)
        SELECT t.id, t.parent_id, t.name, t.depth, coalesce(n.documents, 0)::integer AS documents
        FROM tree t LEFT JOIN (
            SELECT category_id, count(*) AS documents FROM knowledge_document WHERE knowledge_base_id = %(base)s GROUP BY 1
        ) n ON n.category_id = t.id ORDER BY t.place
        """,
        {"base": base_id},
    )
    return await cursor.fetchall()


async def add_category(connection: Connection, base_id: str, name: str, parent_id: str | None) -> str:
    """The new category's id."""
    cursor = await connection.execute(
        "INSERT INTO knowledge_category (workspace_id, knowledge_base_id, parent_id, name)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s) RETURNING id",
        (base_id, parent_id, name),
    )
    return _id(await cursor.fetchone())


async def category(connection: Connection, category_id: str) -> Row | None:
    """One category."""
    cursor = await connection.execute(
        "SELECT id, knowledge_base_id, parent_id, name FROM knowledge_category WHERE id = %s", (category_id,)
    )
    return await cursor.fetchone()


async def with_children(connection: Connection, category_ids: list[str]) -> list[str]:
    """The categories and all below them."""
    cursor = await connection.execute(
        "WITH RECURSIVE tree AS (SELECT id FROM knowledge_category WHERE id = ANY (%s::uuid[]) UNION"
        " SELECT c.id FROM knowledge_category c JOIN tree t ON c.parent_id = t.id) SELECT id FROM tree",
        (category_ids,),
    )
    return [row["id"] async for row in cursor]


async def categories_named(connection: Connection, base_ids: list[str], names: list[str]) -> list[str]:
    """The categories of these bases with one of these ids or names, in letters of any size."""
    cursor = await connection.execute(
        "SELECT id FROM knowledge_category WHERE knowledge_base_id = ANY (%(bases)s::uuid[])"
        " AND (id::text = ANY (%(names)s::text[]) OR lower(name) = ANY (%(small)s::text[]))",
        {"bases": base_ids, "names": names, "small": [n.lower() for n in names]},
    )
    return [row["id"] async for row in cursor]


async def documents(connection: Connection, base_id: str, filters: dict[str, Any]) -> list[Row]:
    """Newest first. `filters`: categories, state, words, before, limit; None does not filter."""
    cursor = await connection.execute(
        _DOCUMENT
        + """
        WHERE d.knowledge_base_id = %(base)s
          AND (%(categories)s::uuid[] IS NULL OR d.category_id = ANY (%(categories)s::uuid[]))
          AND (%(state)s::text IS NULL OR d.state = %(state)s)
          AND (%(words)s::text IS NULL OR d.title ILIKE %(words)s OR d.url ILIKE %(words)s)
          AND (%(before)s::uuid IS NULL OR d.id < %(before)s)
        ORDER BY d.id DESC LIMIT %(limit)s
        """,
        {"base": base_id, **filters},
    )
    return await cursor.fetchall()


async def document(connection: Connection, document_id: str) -> Row | None:
    """One document without its texts."""
    return await (await connection.execute(_DOCUMENT + " WHERE d.id = %s", (document_id,))).fetchone()


async def texts(connection: Connection, document_id: str) -> Row | None:
    """What is written in an article or a pair: draft (None: nothing newer than what is published) and body."""
    cursor = await connection.execute(
        "SELECT id, kind, title, draft, body, url FROM knowledge_document WHERE id = %s FOR UPDATE", (document_id,)
    )
    return await cursor.fetchone()


async def add_document(connection: Connection, values: Row) -> str | None:
    """The new document's id; None when the base has the same file or page already."""
    columns = sql.SQL(", ").join(map(sql.Identifier, values))
    places = sql.SQL(", ").join(map(sql.Placeholder, values))
    cursor = await connection.execute(
        sql.SQL(
            "INSERT INTO knowledge_document (workspace_id, {}) VALUES (current_setting('app.workspace_id')::uuid, {})"
            " ON CONFLICT DO NOTHING RETURNING id"
        ).format(columns, places),
        values,
    )
    row = await cursor.fetchone()
    return None if row is None else _id(row)


async def keep_version(connection: Connection, document_id: str, member_id: str | None) -> None:
    """What is published now, beside what was before; the newest fifty stay."""
    await connection.execute(
        "INSERT INTO knowledge_version (document_id, number, workspace_id, title, body, member_id)"
        " SELECT d.id, d.version, d.workspace_id, d.title, d.body, %s FROM knowledge_document d WHERE d.id = %s",
        (member_id, document_id),
    )
    await connection.execute(
        "DELETE FROM knowledge_version v USING knowledge_document d"
        " WHERE d.id = v.document_id AND v.document_id = %s AND v.number <= d.version - %s",
        (document_id, VERSIONS_KEPT),
    )


async def versions(connection: Connection, document_id: str) -> list[Row]:
    """What was published, the newest first: number, title, body, at, member."""
    cursor = await connection.execute(
        "SELECT v.number, v.title, v.body, v.at, coalesce(m.name, '') AS member FROM knowledge_version v"
        " LEFT JOIN member m ON m.id = v.member_id WHERE v.document_id = %s ORDER BY v.number DESC",
        (document_id,),
    )
    return await cursor.fetchall()


async def keep_source(connection: Connection, document_id: str, kept: Kept) -> None:
    """The file itself."""
    await settle(connection, kept)
    await connection.execute(
        "INSERT INTO knowledge_source (document_id, workspace_id, content, place)"
        " VALUES (%s, current_setting('app.workspace_id')::uuid, %s, %s)",
        (document_id, kept.content, kept.place),
    )


async def source(connection: Connection, document_id: str) -> Row | None:
    """Where the file itself is: content, place; for `FileBytes.read`."""
    cursor = await connection.execute(
        "SELECT content, place FROM knowledge_source WHERE document_id = %s", (document_id,)
    )
    return await cursor.fetchone()


async def read_again(connection: Connection, document_id: str, *, is_forced: bool = False) -> None:
    """Put a document in the queue of the readers. `is_forced`: also when it has not changed."""
    await connection.execute(
        "UPDATE knowledge_document SET state = 'waiting', error = '', error_about = '', progress = 0, attempts = 0,"
        " queued_at = clock_timestamp(), claim = claim + 1, lease_until = NULL,"
        " read_hash = CASE WHEN %s THEN '' ELSE read_hash END WHERE id = %s",
        (is_forced, document_id),
    )
    await wake(connection)


async def embed_again(connection: Connection, base_id: str) -> None:
    """Documents that were read get vectors of the base's model; until then they are found by words."""
    await connection.execute(
        "UPDATE knowledge_document SET state = 'embedding', error = '', error_about = '', progress = 0, attempts = 0,"
        " queued_at = clock_timestamp(), claim = claim + 1, lease_until = clock_timestamp()"
        " WHERE knowledge_base_id = %s AND passages > 0 AND state IN ('ready', 'failed', 'embedding')",
        (base_id,),
    )
    await wake(connection)


async def wake(connection: Connection) -> None:
    """Wake the readers after the commit."""
    await connection.execute("SELECT pg_notify(%s, '')", (DOCUMENTS_CHANNEL,))


async def move_passages(connection: Connection, document_id: str, category_id: str | None) -> None:
    """Passages carry the category of their document; what is attached to it goes with it."""
    await connection.execute(
        "UPDATE knowledge_document SET category_id = %s WHERE attached_to = %s", (category_id, document_id)
    )
    for table in ("knowledge_passage", "knowledge_lookup"):
        await connection.execute(
            sql.SQL(
                "UPDATE {} SET category_id = %(category)s WHERE document_id = %(id)s OR document_id IN ("
                " SELECT id FROM knowledge_document WHERE attached_to = %(id)s)"
            ).format(sql.Identifier(table)),
            {"category": category_id, "id": document_id},
        )


async def passages_of(connection: Connection, document_id: str, limit: int) -> list[Row]:
    """The passages of a document in order."""
    cursor = await connection.execute(
        "SELECT id, place, page, heading, text FROM knowledge_passage WHERE document_id = %s ORDER BY place LIMIT %s",
        (document_id, limit),
    )
    return await cursor.fetchall()


async def beside(connection: Connection, document_id: str) -> list[Row]:
    """What is attached to a document and what it is related to: documents' rows."""
    cursor = await connection.execute(
        _DOCUMENT  # noqa: S608 (a constant of this module)
        + """
        WHERE d.attached_to = %(id)s OR d.id IN (
            SELECT other_id FROM knowledge_relation WHERE document_id = %(id)s
            UNION ALL SELECT document_id FROM knowledge_relation WHERE other_id = %(id)s)
        ORDER BY lower(d.title), d.id
        """,
        {"id": document_id},
    )
    return await cursor.fetchall()


async def relate(connection: Connection, base_id: str, one: str, other: str) -> bool:
    """ "See also" from both sides; False: it was there."""
    cursor = await connection.execute(
        "INSERT INTO knowledge_relation (workspace_id, knowledge_base_id, document_id, other_id)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, least(%s::uuid, %s::uuid), greatest(%s::uuid, %s::uuid))"
        " ON CONFLICT DO NOTHING",
        (base_id, one, other, one, other),
    )
    return cursor.rowcount == 1


async def unrelate(connection: Connection, one: str, other: str) -> None:
    """No more "see also"."""
    await connection.execute(
        "DELETE FROM knowledge_relation WHERE document_id = least(%s::uuid, %s::uuid)"
        " AND other_id = greatest(%s::uuid, %s::uuid)",
        (one, other, one, other),
    )


async def public_page(connection: Connection, public_id: str) -> Row | None:
    """Workspace and document of a page that clients may open."""
    return await (await connection.execute("SELECT * FROM find_source_page(%s)", (public_id,))).fetchone()


def _id(row: Row | None) -> str:
    assert row is not None
    return str(row["id"])
