"""Passages: claiming documents, writing what was read, vectors, and the three ways of finding."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import sql

from graph_runtime.storage.database import Connection, Database, Row

_TO_READ: Final = """
    SELECT d.id, d.knowledge_base_id, d.category_id, d.kind, d.title, d.body, d.url, d.file_name, d.language, d.told_language, d.state,
        d.content_hash, d.read_hash, d.read_every_days, d.passages, b.embedder, b.embedder_model,
        b.former_embedder
    FROM knowledge_document d JOIN knowledge_base b ON b.id = d.knowledge_base_id WHERE d.id = %s AND d.claim = %s
"""
WORDS_AT_ONCE: Final = 5000
LEXEMES_KEPT: Final = 200_000
_BETWEEN: Final = "\x1f"
PASSAGES_AT_ONCE: Final = 500
_INSERT: Final = """
    WITH made AS (
        INSERT INTO knowledge_passage (workspace_id, knowledge_base_id, document_id, category_id, place, page, heading, text,
            language, text_hash, embedding, embedding_dims, embedding_model)
        SELECT current_setting('app.workspace_id')::uuid, %(base)s, %(document)s, %(category)s, n.place, n.page, n.heading, n.text,
            %(language)s, n.text_hash, k.embedding, k.embedding_dims, k.embedding_model
        FROM unnest(%(places)s::integer[], %(pages)s::integer[], %(headings)s::text[], %(texts)s::text[], %(hashes)s::bytea[])
                n (place, page, heading, text, text_hash)
            LEFT JOIN (
                SELECT DISTINCT ON (o.text_hash) o.text_hash, o.embedding, o.embedding_dims, o.embedding_model
                FROM knowledge_passage o
                WHERE o.document_id = %(document)s AND o.id = ANY (%(old)s::uuid[]) AND o.embedding IS NOT NULL) k USING (text_hash)
        RETURNING id, place)
    INSERT INTO knowledge_lookup (passage_id, workspace_id, knowledge_base_id, document_id, category_id, word_count, language, words)
    SELECT made.id, current_setting('app.workspace_id')::uuid, %(base)s, %(document)s, %(category)s, n.word_count, %(language)s,
        array_to_tsvector(string_to_array(n.lexemes, chr(31)))
    FROM unnest(%(places)s::integer[], %(counts)s::integer[], %(lexemes)s::text[])
            n (place, word_count, lexemes) JOIN made USING (place)
    ORDER BY place
"""


# Of a word in letters of one script a parser finds nothing more than the word, so its dictionaries are asked at once.
_LEXEMES: Final = """
    SELECT array_to_string(CASE script
        WHEN 'latin' THEN ARRAY[w, s] || ts_lexize('english_stem', w)
        WHEN 'cyrillic' THEN ARRAY[w, s] || ts_lexize('russian_stem', w)
        ELSE tsvector_to_array(to_tsvector('simple', w) || to_tsvector('english', w) || to_tsvector('russian', w)
            || to_tsvector('simple', s)) END, chr(31)) AS found
    FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY u (w, s, script, n) ORDER BY n
"""
_CYRILLIC: Final = re.compile("[а-яіїєґ]+")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A document this process reads until its lease ends. `claim` goes with every later write."""

    workspace_id: str
    document_id: str
    claim: int
    attempts: int


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage to write. `words`: those it is found by, in normal spelling, each once; `word_count`: how long it is."""

    text: str
    heading: str
    page: int | None
    words: Collection[str]
    word_count: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to search. None does not filter."""

    base_ids: Sequence[str]
    categories: Sequence[str] | None = None
    languages: Sequence[str] | None = None
    since: datetime | None = None


async def claim(database: Database, owner: int, seconds: int) -> Claimed | None:
    """The next document to read."""
    async with database.system() as connection:
        row = await (await connection.execute("SELECT * FROM claim_document(%s, %s)", (owner, seconds))).fetchone()
    return None if row is None else Claimed(**row)


async def renew(connection: Connection, claimed: Claimed, seconds: int, progress: int | None = None) -> bool:
    """Keep the lease and say how far it is (0–100); False when the document is somebody else's, or gone."""
    cursor = await connection.execute(
        "UPDATE knowledge_document SET lease_until = clock_timestamp() + make_interval(secs => %s),"
        " progress = coalesce(%s, progress) WHERE id = %s AND claim = %s",
        (seconds, progress, claimed.document_id, claimed.claim),
    )
    return cursor.rowcount == 1


async def to_read(connection: Connection, claimed: Claimed, *, for_update: bool = False) -> Row | None:
    """What a reader needs of a document and of its base; None when the claim is lost."""
    cursor = await connection.execute(
        _TO_READ + (" FOR UPDATE OF d" if for_update else ""), (claimed.document_id, claimed.claim)
    )
    return await cursor.fetchone()


async def finish(connection: Connection, claimed: Claimed, values: Row) -> bool:
    """The last write of a reader, with the time; False when the claim is lost."""
    columns = sql.SQL("").join(sql.SQL("{} = {}, ").format(sql.Identifier(k), sql.Placeholder(k)) for k in values)
    cursor = await connection.execute(
        sql.SQL(
            "UPDATE knowledge_document SET {}lease_until = NULL, next_read_at = CASE WHEN read_every_days IS NULL THEN NULL"
            " ELSE clock_timestamp() + make_interval(days => read_every_days) END WHERE id = %(id)s AND claim = %(claim)s"
        ).format(columns),
        {**values, "id": claimed.document_id, "claim": claimed.claim},
    )
    return cursor.rowcount == 1


async def moment(connection: Connection) -> datetime:
    """Now, by the database's clock."""
    row = await (await connection.execute("SELECT clock_timestamp() AS at")).fetchone()
    assert row is not None
    at: datetime = row["at"]
    return at


class Lexemes:
    """Word → what it is found by: the word itself, its stems in the configurations, and a stem of our own.

    PostgreSQL is asked once for each word that this process meets, not for each place where it stands.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    async def of(self, connection: Connection, stems: Mapping[str, str]) -> Mapping[str, str]:
        """Those of each word, in one text. `stems`: word → stem of our own."""
        if len(self._known) > LEXEMES_KEPT:
            self._known.clear()
        new = [w for w in stems if w not in self._known]
        for at in range(0, len(new), WORDS_AT_ONCE):
            some = new[at : at + WORDS_AT_ONCE]
            cursor = await connection.execute(
                _LEXEMES,
                ([_storable(w) for w in some], [_storable(stems[w]) for w in some], [_script(w) for w in some]),
            )
            self._known.update(zip(some, [row["found"] async for row in cursor], strict=True))
        return self._known


async def replace(
    connection: Connection, document: Row, language: str, passages: Sequence[NewPassage], lexemes: Mapping[str, str]
) -> None:
    """The passages of a document in place of those it had; a text that stays keeps its vector. The row must be locked.

    `lexemes`: of all of their words.
    """
    cursor = await connection.execute("SELECT id FROM knowledge_passage WHERE document_id = %s", (document["id"],))
    old = [row["id"] async for row in cursor]
    about = {
        "base": document["knowledge_base_id"], "document": document["id"], "category": document["category_id"],
        "language": language, "old": old,
    }  # fmt: skip
    for start in range(0, len(passages), PASSAGES_AT_ONCE):
        part = passages[start : start + PASSAGES_AT_ONCE]
        texts = [(_storable(p.heading), _storable(p.text)) for p in part]
        values = {
            "places": [*range(start, start + len(part))], "pages": [p.page for p in part],
            "headings": [h for h, _ in texts], "texts": [t for _, t in texts],
            "hashes": [hashlib.sha256(f"{h}\n{t}".encode()).digest() for h, t in texts],
            "counts": [p.word_count for p in part],
            "lexemes": [_BETWEEN.join(filter(None, (lexemes[w] for w in p.words))) for p in part],
        }  # fmt: skip
        await connection.execute(_INSERT, about | values)
    if old:
        await connection.execute("DELETE FROM knowledge_lookup WHERE passage_id = ANY (%s::uuid[])", (old,))
        await connection.execute("DELETE FROM knowledge_passage WHERE id = ANY (%s::uuid[])", (old,))


async def add_words(connection: Connection, base_id: str, words: set[str]) -> None:
    """Words of the base, each once. In one order, so that two readers cannot wait for each other."""
    ordered = sorted(map(_storable, words))
    for at in range(0, len(ordered), WORDS_AT_ONCE):
        await connection.execute(
            "INSERT INTO knowledge_word (knowledge_base_id, word, workspace_id)"
            " SELECT %s, w, current_setting('app.workspace_id')::uuid FROM unnest(%s::text[]) w ON CONFLICT DO NOTHING",
            (base_id, ordered[at : at + WORDS_AT_ONCE]),
        )


async def without_vector(connection: Connection, document_id: str, model: str, limit: int) -> list[Row]:
    """Passages of a document that have no vector of this model yet, in order."""
    cursor = await connection.execute(
        "SELECT id, heading, text FROM knowledge_passage WHERE document_id = %s AND embedding_model IS DISTINCT FROM %s"
        " ORDER BY place LIMIT %s",
        (document_id, model, limit),
    )
    return await cursor.fetchall()


async def count_without_vector(connection: Connection, document_id: str, model: str) -> int:
    """How many of them."""
    cursor = await connection.execute(
        "SELECT count(*)::integer AS n FROM knowledge_passage"
        " WHERE document_id = %s AND embedding_model IS DISTINCT FROM %s",
        (document_id, model),
    )
    row = await cursor.fetchone()
    return int(row["n"]) if row else 0


async def set_vectors(
    connection: Connection, model: str, dims: int, vectors: Sequence[tuple[str, Sequence[float]]]
) -> None:
    """Vectors of passages."""
    await connection.execute(
        "UPDATE knowledge_passage p SET embedding = v.vector::vector, embedding_dims = %s, embedding_model = %s"
        " FROM unnest(%s::uuid[], %s::text[]) v (id, vector) WHERE p.id = v.id",
        (dims, model, [i for i, _ in vectors], [as_vector(v) for _, v in vectors]),
    )


async def by_words(
    connection: Connection, scope: Scope, words: Sequence[tuple[str, str, float]], limit: int
) -> list[Row]:
    """Best first: passage_id, score, covered (0…1), terms (places of words, from 1), found (passages per word).

    `words`: (word, stem, weight).
    """
    cursor = await connection.execute(
        "SELECT * FROM search_passage_words(%s::uuid[], %s::text[], %s::text[], %s::float8[], %s::uuid[], %s::text[], %s, %s)",
        (
            list(scope.base_ids), [w for w, _, _ in words], [s for _, s, _ in words], [x for _, _, x in words],
            _listed(scope.categories), _listed(scope.languages), scope.since, limit,
        ),
    )  # fmt: skip
    return await cursor.fetchall()


async def by_vector(
    connection: Connection,
    scope: Scope,
    model: str,
    vector: Sequence[float],
    limit: int,
    *,
    one_by_one: int | None = None,
) -> list[Row]:
    """Most similar first: passage_id, similarity, is_exact.

    `one_by_one`: up to how many passages are compared one by one; None: what is quicker.
    """
    cursor = await connection.execute(
        "SELECT * FROM search_passage_vectors(%s::uuid[], %s, %s, %s, %s::uuid[], %s::text[], %s, %s, %s)",
        (
            list(scope.base_ids), model, as_vector(vector), len(vector),
            _listed(scope.categories), _listed(scope.languages), scope.since, limit, one_by_one,
        ),
    )  # fmt: skip
    return await cursor.fetchall()


async def similar_words(connection: Connection, base_ids: Sequence[str], words: Sequence[str], limit: int) -> list[Row]:
    """word, alike, similarity."""
    cursor = await connection.execute(
        "SELECT * FROM similar_words(%s::uuid[], %s::text[], %s)", (list(base_ids), list(words), limit)
    )
    return await cursor.fetchall()


async def shown(connection: Connection, passage_ids: Sequence[str]) -> dict[str, Row]:
    """Passages with their documents, by id."""
    cursor = await connection.execute(
        "SELECT p.id, p.document_id, p.knowledge_base_id, p.place, p.page, p.heading, p.text, p.language, d.title, d.kind,"
        " d.url, d.public_id, b.is_public, b.name AS base FROM knowledge_passage p"
        " JOIN knowledge_document d ON d.id = p.document_id JOIN knowledge_base b ON b.id = p.knowledge_base_id"
        " WHERE p.id = ANY (%s::uuid[])",
        (list(passage_ids),),
    )
    return {row["id"]: row async for row in cursor}


async def neighbors(connection: Connection, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Row]:
    """Passages at (document, place), where there are any."""
    cursor = await connection.execute(
        "SELECT p.document_id, p.place, p.heading, p.text FROM unnest(%s::uuid[], %s::integer[]) n (document_id, place)"
        " JOIN knowledge_passage p ON p.document_id = n.document_id AND p.place = n.place",
        ([d for d, _ in places], [p for _, p in places]),
    )
    return {(row["document_id"], row["place"]): row async for row in cursor}


async def forget_former(connection: Connection, base_id: str) -> None:
    """Once no document waits for vectors of the base's model, those of the one before are not searched any more."""
    await connection.execute(
        "UPDATE knowledge_base SET former_embedder = NULL, former_model = '' WHERE id = %s AND former_embedder IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM knowledge_document d WHERE d.knowledge_base_id = %s AND d.state = 'embedding')",
        (base_id, base_id),
    )


async def embedders(connection: Connection, base_ids: Sequence[str] | None) -> list[Row]:
    """Bases of the workspace (None: all) with what makes their vectors, what made those that are being replaced, and what reranks.

    `copy_id`, `store`, `place`: where else their vectors can be found, with how many changes `waiting` at most 501.
    """
    cursor = await connection.execute(
        "SELECT b.id, b.embedder, b.embedder_model, b.former_embedder, b.former_model, b.reranker, c.id AS copy_id, c.credential_id AS store, c.place,"
        " (SELECT count(*) FROM (SELECT FROM knowledge_copy_change q WHERE q.copy_id = c.id LIMIT 501) n)::integer AS waiting"
        " FROM knowledge_base b LEFT JOIN knowledge_copy c ON c.knowledge_base_id = b.id AND c.state = 'serving'"
        " WHERE %s::uuid[] IS NULL OR b.id = ANY (%s::uuid[]) ORDER BY b.id",
        (_listed(base_ids), _listed(base_ids)),
    )
    return await cursor.fetchall()


async def all_texts(connection: Connection, document_id: str) -> AsyncIterator[Row]:
    """Every passage of a document."""
    async for row in await connection.execute(
        "SELECT place, heading, text FROM knowledge_passage WHERE document_id = %s ORDER BY place", (document_id,)
    ):
        yield row


def as_vector(values: Sequence[float]) -> str:
    """As pgvector reads it."""
    return "[" + ",".join(f"{v:.7g}" for v in values) + "]"


def _listed(values: Sequence[str] | None) -> list[Any] | None:
    return None if values is None else list(values)


def _script(word: str) -> str:
    if word.isascii() and word.isalpha():
        return "latin"
    return "cyrillic" if _CYRILLIC.fullmatch(word) else ""


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()
