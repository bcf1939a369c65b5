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
    words = vocabulary()
    filled = Filled(base, categories, words)
    lexemes = _lexemes(admin, words)  # as `storage.passages` makes them of a whole text
    encoded = [w.encode() for w in words]
    often = np.cumsum(1 / (np.arange(WORDS) + 3.7))
    chance, vectors = np.random.default_rng(seed), Vectors(seed)
    columns = (
        "id, workspace_id, knowledge_base_id, document_id, category_id, place, text, language, text_hash, word_count, words,"
        " embedding, embedding_dims, embedding_model"
    )
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        documents = _documents(admin, workspace, filled, start, size)
        drawn = np.searchsorted(often, chance.random((size, WORDS_OF_A_PASSAGE)) * often[-1]).astype(np.int32)
        some = vectors.some(size)
        filled.drawn.append(drawn)
        filled.vectors.append(some)
        with admin.cursor().copy(f"COPY knowledge_passage ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for row in _rows(
                filled, documents, (uuid.UUID(workspace).bytes, uuid.UUID(base).bytes), drawn, some, (encoded, lexemes)
            ):
                copy.write(row)
            copy.write(b"\xff\xff")
    admin.execute(
        "INSERT INTO knowledge_word (knowledge_base_id, word, workspace_id) SELECT %s, w, %s FROM unnest(%s::text[]) w"
        " WHERE length(w) >= 4",
        (base, workspace, words),
    )
    return filled


def _documents(admin: Admin, workspace: str, filled: Filled, start: int, size: int) -> list[tuple[uuid.UUID, int, int]]:
    """(id, share, language) of each."""
    made = []
    for at in range(start // PER_DOCUMENT, -(-(start + size) // PER_DOCUMENT)):
        place = at % 100
        made.append((uuid.uuid4(), 0 if place == 50 else 1 if place % 10 == 1 else 2, at // 3 % 3))
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
) -> Iterator[bytes]:
    words, lexemes = known
    categories = [uuid.UUID(c).bytes for c in filled.categories]
    start = uuid.uuid4().int >> 48
    dims, model, models = struct.pack("!iI", 4, DIMENSIONS), MODEL.encode(), vectors.astype(">f4")
    for number, row in enumerate(drawn.tolist()):
        document, share, language = documents[number // PER_DOCUMENT]
        one = uuid.UUID(int=len(filled.ids) << 80 | start)  # in order, as uuidv7 gives them
        filled.ids.append(str(one))
        filled.shares.append(share)
        filled.languages.append(language)
        distinct = sorted({x for w in row for x in lexemes[w]})
        values = (
            one.bytes, place[0], place[1], document.bytes, categories[share], struct.pack("!i", number % PER_DOCUMENT),
            b" ".join([words[w] for w in row]), LANGUAGES[language].encode(), one.bytes * 2,
            struct.pack("!i", WORDS_OF_A_PASSAGE), struct.pack("!i", len(distinct)) + b"".join(distinct),
            _HEAD + models[number].tobytes(),
        )  # fmt: skip
        yield (
            struct.pack("!h", 14)
            + b"".join([struct.pack("!i", len(v)) + v for v in values])
            + dims
            + struct.pack("!i", len(model))
            + model
        )


@contextmanager
def without_indexes(admin: Admin, count: int) -> Iterator[list[str]]:
    """Inside, passages have no index and no foreign key; afterwards they have those they had, built at once. Yields sentences about that."""
    said: list[str] = []
    rows = admin.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'knowledge_passage'"
        " AND indexname <> 'knowledge_passage_pkey'"
    ).fetchall()
    keys = admin.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'public.knowledge_passage'::regclass"
        " AND contype = 'f'"
    ).fetchall()
    for name, _ in keys:
        admin.execute(sql.SQL("ALTER TABLE knowledge_passage DROP CONSTRAINT {}").format(sql.Identifier(name)))
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
    for name, definition in keys:
        admin.execute(
            sql.SQL("ALTER TABLE knowledge_passage ADD CONSTRAINT {} ").format(sql.Identifier(name))
            + sql.SQL(definition)
        )
    admin.execute("RESET maintenance_work_mem")
    admin.execute("RESET max_parallel_maintenance_workers")
    admin.execute("RESET synchronous_commit")
