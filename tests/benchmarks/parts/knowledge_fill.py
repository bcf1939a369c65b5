"""Passages by the hundred thousand, as a worker would have written them, copied in a minute instead of read in an hour.

Words are drawn as in a language: a few are in a third of all passages, most in hardly any (Zipf). A passage's lexemes are
those that PostgreSQL gives for its words. Vectors lie around topics and vary in few directions, as those of models do.
"""

from __future__ import annotations

import struct
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
import psycopg
from psycopg import sql

from graph_runtime.knowledge.words import stem

Admin = psycopg.Connection[Any]
Floats = np.ndarray[Any, np.dtype[np.float32]]

DIMENSIONS: Final = 384
MODEL: Final = "bench/topics"
WORDS: Final = 60_000
WORDS_OF_A_PASSAGE: Final = 80
PER_DOCUMENT: Final = 100
TOPICS: Final = 400
AT_ONCE: Final = 10_000
LANGUAGES: Final = ("en", "ru", "uk")
_HEAD: Final = struct.pack("!HH", DIMENSIONS, 0)


class Vectors:
    """Topics, and directions of which the first vary most."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        scale = (np.arange(DIMENSIONS) + 4.0) ** -0.5
        self._scale = (scale / np.linalg.norm(scale)).astype(np.float32)
        self._turn = np.linalg.qr(self._chance.standard_normal((DIMENSIONS, DIMENSIONS)))[0].astype(np.float32)
        self._topics = self._chance.standard_normal((TOPICS, DIMENSIONS)).astype(np.float32) * self._scale

    def some(self, count: int) -> Floats:
        """count × DIMENSIONS, of length 1."""
        around = self._topics[self._chance.integers(0, TOPICS, count)]
        return self._turned(around + self._noise(count))

    def near(self, vectors: Floats) -> Floats:
        """Questions whose answers these are: the same topic, about as far off as a paraphrase is."""
        return unit(vectors + 0.7 * unit(self._noise(len(vectors)) @ self._turn))

    def _noise(self, count: int) -> Floats:
        return self._chance.standard_normal((count, DIMENSIONS)).astype(np.float32) * self._scale

    def _turned(self, vectors: Floats) -> Floats:
        return unit(vectors @ self._turn)


def unit(vectors: Floats) -> Floats:
    """Each of length 1."""
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


@dataclass
class Filled:
    """What was written. `drawn`: passage × place → number of a word; `vectors`, `ids`, `shares` in the same order.

    `shares`: 0: the category of a hundredth of the passages, 1: of a tenth, 2: the rest.
    """

    base: str
    categories: list[str]
    vocabulary: list[str]
    ids: list[str] = field(default_factory=list)
    drawn: list[np.ndarray[Any, Any]] = field(default_factory=list)
    vectors: list[Floats] = field(default_factory=list)
    shares: list[int] = field(default_factory=list)
    languages: list[int] = field(default_factory=list)


@cache
def vocabulary() -> list[str]:
    """Invented words, two of three Cyrillic; the first are the frequent ones."""
    chance = np.random.default_rng(11)
    cyrillic = ("бвгджзклмнпрстфхцчш", "аеиіоуяю")
    latin = ("bcdfghklmnprstvw", "aeiou")
    found: dict[str, None] = {}
    while len(found) < WORDS:
        consonants, vowels = latin if len(found) % 3 == 0 else cyrillic
        parts = chance.integers(0, 1 << 30, 8)
        syllables = [
            consonants[p % len(consonants)] + vowels[(p >> 8) % len(vowels)] for p in parts[: 2 + parts[7] % 3]
        ]
        found["".join(syllables) + consonants[parts[6] % len(consonants)]] = None
    return list(found)


def _lexemes(admin: Admin, words: list[str]) -> list[list[bytes]]:
    rows = admin.execute(
        "SELECT tsvector_to_array(to_tsvector('simple', w) || to_tsvector('english', w) || to_tsvector('russian', w)"
        " || to_tsvector('simple', s)) FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY u (w, s, n) ORDER BY n",
        (words, [stem(w) for w in words]),
    ).fetchall()
    return [[lexeme.encode() + b"\0\0\0" for lexeme in row[0]] for row in rows]


def fill(admin: Admin, workspace: str, base: str, categories: list[str], count: int, *, seed: int = 7) -> Filled:
    """`count` passages with vectors in one base. `categories`: of a hundredth, of a tenth, of the rest."""
    filled = Filled(base, categories, vocabulary())
    lexemes = _lexemes(admin, filled.vocabulary)  # as `storage.passages` makes them of a whole text
    encoded = [w.encode() for w in filled.vocabulary]
    about = "workspace_id, knowledge_base_id, document_id, category_id, language"
    into = {
        "knowledge_passage": f"{about}, id, place, text, text_hash, embedding, embedding_dims, embedding_model",
        "knowledge_lookup": f"{about}, passage_id, word_count, words",
    }
    for start, drawn, some in _drawn(count, seed):
        documents = _documents(admin, workspace, filled, start, len(drawn))
        place = (uuid.UUID(workspace).bytes, uuid.UUID(base).bytes)
        rows = list(_rows(filled, documents, place, drawn, some, (encoded, lexemes)))
        for number, (table, columns) in enumerate(into.items()):
            with admin.cursor().copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)") as copy:
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
                for row in rows:
                    copy.write(row[number])
                copy.write(b"\xff\xff")
        filled.drawn.append(drawn)
        filled.vectors.append(some)
    admin.execute(
        "INSERT INTO knowledge_word (knowledge_base_id, word, workspace_id) SELECT %s, w, %s FROM unnest(%s::text[]) w"
        " WHERE length(w) >= 4",
        (base, workspace, filled.vocabulary),
    )
    return filled


def filled_before(admin: Admin, base: str, categories: list[str], count: int, *, seed: int = 7) -> Filled:
    """What `fill` wrote into this base in an earlier run."""
    filled = Filled(base, categories, vocabulary())
    for _, drawn, some in _drawn(count, seed):
        filled.drawn.append(drawn)
        filled.vectors.append(some)
    found = admin.execute("SELECT id::text FROM knowledge_passage WHERE knowledge_base_id = %s ORDER BY id", (base,))
    filled.ids = [row[0] for row in found.fetchall()]
    assert len(filled.ids) == count, f"{len(filled.ids)} passages are there, not {count}: remove the folder"
    for number in range(count):
        share, language = _kind(number // PER_DOCUMENT)
        filled.shares.append(share)
        filled.languages.append(language)
    return filled


def _drawn(count: int, seed: int) -> Iterator[tuple[int, np.ndarray[Any, Any], Floats]]:
    """(number of the first, passage × place → number of a word, vectors), the same for the same seed."""
    often = np.cumsum(1 / (np.arange(WORDS) + 3.7))
    chance, vectors = np.random.default_rng(seed), Vectors(seed)
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        drawn = np.searchsorted(often, chance.random((size, WORDS_OF_A_PASSAGE)) * often[-1]).astype(np.int32)
        yield start, drawn, vectors.some(size)


def _kind(document: int) -> tuple[int, int]:
    """(share, language) of a document by its number."""
    place = document % 100
    return 0 if place == 50 else 1 if place % 10 == 1 else 2, document // 3 % 3


def _documents(admin: Admin, workspace: str, filled: Filled, start: int, size: int) -> list[tuple[uuid.UUID, int, int]]:
    """(id, share, language) of each."""
    made = [(uuid.uuid4(), *_kind(at)) for at in range(start // PER_DOCUMENT, -(-(start + size) // PER_DOCUMENT))]
    admin.cursor().executemany(
        "INSERT INTO knowledge_document (id, workspace_id, knowledge_base_id, category_id, kind, title, public_id, language,"
        " state, passages, read_at) VALUES (%s, %s, %s, %s, 'file', %s, %s, %s, 'ready', %s, now())",
        [
            (i, workspace, filled.base, filled.categories[share], f"Document {i}", i.hex, LANGUAGES[language],
             min(PER_DOCUMENT, size - n * PER_DOCUMENT))
            for n, (i, share, language) in enumerate(made)
        ],
    )  # fmt: skip
    return made


def _rows(
    filled: Filled,
    documents: list[tuple[uuid.UUID, int, int]],
    place: tuple[bytes, bytes],
    drawn: np.ndarray[Any, Any],
    vectors: Floats,
    known: tuple[list[bytes], list[list[bytes]]],
) -> Iterator[tuple[bytes, bytes]]:
    """A row of each of the two tables."""
    words, lexemes = known
    categories = [uuid.UUID(c).bytes for c in filled.categories]
    start = uuid.uuid4().int >> 48
    dims, models = struct.pack("!i", DIMENSIONS), vectors.astype(">f4")
    for number, row in enumerate(drawn.tolist()):
        document, share, language = documents[number // PER_DOCUMENT]
        one = uuid.UUID(int=len(filled.ids) << 80 | start)  # in order, as uuidv7 gives them
        filled.ids.append(str(one))
        filled.shares.append(share)
        filled.languages.append(language)
        distinct = sorted({x for w in row for x in lexemes[w]})
        about = (place[0], place[1], document.bytes, categories[share], LANGUAGES[language].encode(), one.bytes)
        yield (
            _row(*about, struct.pack("!i", number % PER_DOCUMENT), b" ".join([words[w] for w in row]), one.bytes * 2,
                 _HEAD + models[number].tobytes(), dims, MODEL.encode()),
            _row(*about, struct.pack("!i", WORDS_OF_A_PASSAGE), struct.pack("!i", len(distinct)) + b"".join(distinct)),
        )  # fmt: skip


def _row(*values: bytes) -> bytes:
    return struct.pack("!h", len(values)) + b"".join([struct.pack("!i", len(v)) + v for v in values])


TABLES: Final = ["knowledge_passage", "knowledge_lookup"]


@contextmanager
def without_indexes(admin: Admin, count: int) -> Iterator[list[str]]:
    """Inside, passages have no index and no foreign key; afterwards they have those they had, built at once. Yields
    sentences about that."""
    said: list[str] = []
    rows = admin.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY (%s)"
        " AND indexname NOT LIKE '%%_pkey'",
        (TABLES,),
    ).fetchall()
    keys = admin.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = ANY (%s::text[]::regclass[]) AND contype = 'f'",
        (TABLES,),
    ).fetchall()
    for table, name, _ in keys:
        admin.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(name)))
    for name, _ in rows:
        admin.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    admin.execute("SET synchronous_commit = off")
    yield said
    admin.execute(f"SET maintenance_work_mem = '{max(256, count * 3 // 1000)}MB'")
    admin.execute("SET max_parallel_maintenance_workers = 2")
    for name, definition in rows:
        began = time.perf_counter()
        admin.execute(definition)
        if (seconds := time.perf_counter() - began) > 5:
            said.append(f"Index {name} was built in {seconds:.0f} s.")
    for table, name, definition in keys:
        admin.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(sql.Identifier(table), sql.Identifier(name))
            + sql.SQL(definition)
        )
    admin.execute("RESET maintenance_work_mem")
    admin.execute("RESET max_parallel_maintenance_workers")
    admin.execute("RESET synchronous_commit")
