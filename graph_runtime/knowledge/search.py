"""Searching: words, typos and meaning, fused by rank; what is found says why, and how sure it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from graph_runtime.contract.errors import ConnectorError
from graph_runtime.knowledge.packing import fuse, within_budget
from graph_runtime.knowledge.words import (
    STOP_WORDS,
    is_kin,
    normal,
    plain,
    query_words,
    stem,
    tokens,
    typo_distance,
    typo_weight,
)
from graph_runtime.storage import passages as rows
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.passages import Scope

Mode = Literal["hybrid", "keyword", "semantic"]
WORDS: Final = "words"
TYPOS: Final = "typos"
VECTORS: Final = "vectors"
CANDIDATES: Final = 50
"""Of each retriever."""
MOST_EDITS: Final = 2
KIN_WEIGHT: Final = 0.6
LONGEST_QUERY: Final = 2000
MOST_WORDINGS: Final = 5

Embed = Callable[[str], Awaitable[tuple[str, list[float]]]]
"""Query → (name of the model, vector). Raises: ConnectorError."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to search. `threshold` 0…1: how sure a passage must be; `neighbors`: passages added on either side;
    `tokens`: what the passages may take in a prompt together."""

    mode: Mode = "hybrid"
    top_k: int = 5
    threshold: float = 0.35
    neighbors: int = 0
    tokens: int = 2000


@dataclass(frozen=True, slots=True)
class Vote:
    """What one retriever thought of a passage. `rank` from 1; `score` in its own measure; `words`: those it found."""

    rank: int
    score: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A passage. `sure` 0…1; `score`: fused; `votes`: retriever → what it thought; `goes`: it is among the results."""

    id: str
    document_id: str
    base_id: str
    base: str
    title: str
    heading: str
    text: str
    page: int | None
    kind: str
    url: str
    public_id: str
    sure: float
    score: float
    votes: Mapping[str, Vote]
    goes: bool = False


@dataclass(frozen=True, slots=True)
class SearchResult:
    """`found`: everything that was considered, best first; those with `goes` are the results.

    `words`: what was searched; `corrected`: word → what it was taken for; `trouble`: why meaning was left out.
    """

    found: tuple[Found, ...]
    words: tuple[str, ...] = ()
    corrected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trouble: str = ""
    ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def results(self) -> tuple[Found, ...]:
        """What goes to the model."""
        return tuple(f for f in self.found if f.goes)


@dataclass(slots=True)
class _Gathered:
    rankings: dict[str, list[str]] = field(default_factory=dict)
    votes: dict[str, dict[str, Vote]] = field(default_factory=dict)
    sure: dict[str, float] = field(default_factory=dict)

    def add(self, retriever: str, ranked: Sequence[tuple[str, float, float, tuple[str, ...]]]) -> None:
        """`ranked`: (passage, score, sure, words), best first."""
        self.rankings[retriever] = [p for p, _, _, _ in ranked]
        for rank, (passage, score, sure, words) in enumerate(ranked, 1):
            self.votes.setdefault(passage, {})[retriever] = Vote(rank, score, words)
            self.sure[passage] = max(self.sure.get(passage, 0.0), sure)

    def take(self, other: _Gathered, name: str) -> None:
        """What another wording brought, as retrievers of its own."""
        self.rankings |= {f"{retriever} {name}": ids for retriever, ids in other.rankings.items()}
        for passage, votes in other.votes.items():
            self.votes.setdefault(passage, {}).update({f"{r} {name}": vote for r, vote in votes.items()})
            self.sure[passage] = max(self.sure.get(passage, 0.0), other.sure[passage])


async def search(
    database: Database,
    workspace_id: str,
    scope: Scope,
    query: str,
    settings: SearchSettings | None = None,
    embeds: Sequence[tuple[Sequence[str], Embed]] = (),
    *,
    also: Sequence[str] = (),
    meaning: str = "",
) -> SearchResult:
    """`embeds`: (bases, embedder) pairs; bases without one are searched by words alone, in every mode.

    `also`: other wordings, searched the same way and fused with the first. `meaning`: what gets a vector in its place.
    """
    settings = settings or SearchSettings()
    query = query[:LONGEST_QUERY].replace("\0", " ")
    if not scope.base_ids or not query.strip():
        return SearchResult(())
    gathered = _Gathered()
    ms: dict[str, float] = {}
    words: tuple[str, ...] = ()
    corrected: dict[str, tuple[str, ...]] = {}
    trouble = ""
    embedded = {base for bases, _ in embeds for base in bases}
    plain_bases = [b for b in scope.base_ids if b not in embedded]
    by_words = scope if settings.mode != "semantic" else replace(scope, base_ids=plain_bases)
    vectors = (
        asyncio.ensure_future(_vectors(embeds, meaning or query)) if embeds and settings.mode != "keyword" else None
    )
    try:
        if by_words.base_ids:
            began = time.perf_counter()
            words, corrected = await _by_words(database, workspace_id, by_words, query, gathered)
            ms[WORDS] = _ms(began)
        if vectors is not None:
            began = time.perf_counter()
            asked, trouble = await vectors
            await _by_vectors(database, workspace_id, scope, asked, gathered)
            ms[VECTORS] = _ms(began)
            if trouble and not by_words.base_ids:
                by_words = scope
                words, corrected = await _by_words(database, workspace_id, by_words, query, gathered)
    finally:
        if vectors is not None and not vectors.done():
            vectors.cancel()
    for number, wording in enumerate(also[:MOST_WORDINGS], 2):
        by_meaning = embeds if settings.mode != "keyword" and not trouble else ()
        gathered.take(await _other_wording(database, workspace_id, (scope, by_words), wording, by_meaning), str(number))
    ranked = fuse(gathered.rankings)[:CANDIDATES]
    async with database.workspace(workspace_id) as connection:
        shown = await rows.shown(connection, [p for p, _ in ranked])
        found = [_found(shown[p], score, gathered) for p, score in ranked if p in shown]
        chosen = [f for f in found if f.sure >= settings.threshold][: settings.top_k]
        texts = await _with_neighbors(connection, chosen, settings.neighbors)
    fits = {p["id"] for p in within_budget([_sized(f, texts[f.id]) for f in chosen], settings.tokens)}
    complete = tuple(replace(f, text=texts[f.id], goes=True) if f.id in fits else f for f in found)
    return SearchResult(complete, words, corrected, trouble, ms)


async def _other_wording(
    database: Database,
    workspace_id: str,
    scopes: tuple[Scope, Scope],
    wording: str,
    embeds: Sequence[tuple[Sequence[str], Embed]],
) -> _Gathered:
    """`scopes`: all, and what of it is searched by words."""
    other, wording = _Gathered(), wording[:LONGEST_QUERY]
    if scopes[1].base_ids:
        await _by_words(database, workspace_id, scopes[1], wording.replace("\0", " "), other)
    if embeds:
        asked, _ = await _vectors(embeds, wording)
        await _by_vectors(database, workspace_id, scopes[0], asked, other)
    return other


async def _by_words(
    database: Database, workspace_id: str, scope: Scope, query: str, gathered: _Gathered
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    words = query_words(query)
    if not words:
        return (), {}
    terms = [(w, stem(w), 1.0) for w in words]
    async with database.workspace(workspace_id) as connection:
        hits = await rows.by_words(connection, scope, terms, CANDIDATES)
        gathered.add(WORDS, [_word_hit(row, words) for row in hits])
        seen = hits[0]["found"] if hits else [0] * len(words)
        unknown = [w for w, count in zip(words, seen, strict=True) if not count and len(w) >= 4]
        if not unknown:
            return tuple(words), {}
        corrected = await _corrections(connection, scope, unknown)
        if not corrected:
            return tuple(words), {}
        better = [
            (corrected[w][0], stem(corrected[w][0]), corrected[w][1]) if w in corrected else (w, stem(w), 1.0)
            for w in words
        ]
        hits = await rows.by_words(connection, scope, better, CANDIDATES)
        names = [corrected[w][0] if w in corrected else w for w in words]
        gathered.add(TYPOS, [_word_hit(row, names) for row in hits])
    return tuple(words), {word: (known,) for word, (known, _) in corrected.items()}


async def _corrections(connection: Any, scope: Scope, unknown: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Word → the known word that it most likely is, or is of one root with, and how much that counts."""
    near: dict[str, list[tuple[int, float, str, float]]] = {}
    for row in await rows.similar_words(connection, scope.base_ids, unknown, 8):
        word, known = row["word"], row["alike"]
        if (edits := typo_distance(word, known)) is not None:
            near.setdefault(word, []).append((edits, -row["similarity"], known, typo_weight(word, edits)))
        elif is_kin(word, known):
            near.setdefault(word, []).append((MOST_EDITS + 1, -row["similarity"], known, KIN_WEIGHT))
    return {word: min(known)[2:] for word, known in near.items()}


def _word_hit(row: Row, words: Sequence[str]) -> tuple[str, float, float, tuple[str, ...]]:
    return row["passage_id"], row["score"], min(1.0, row["covered"]), tuple(words[i - 1] for i in row["terms"])


async def _vectors(
    embeds: Sequence[tuple[Sequence[str], Embed]], query: str
) -> tuple[list[tuple[Sequence[str], str, list[float]]], str]:
    found: list[tuple[Sequence[str], str, list[float]]] = []
    trouble = ""
    for bases, embed in embeds:
        try:
            found.append((bases, *await embed(query)))
        except ConnectorError as error:
            trouble = error.message
    return found, trouble


async def _by_vectors(
    database: Database,
    workspace_id: str,
    scope: Scope,
    vectors: Sequence[tuple[Sequence[str], str, list[float]]],
    gathered: _Gathered,
) -> None:
    ranked: list[tuple[str, float, float, tuple[str, ...]]] = []
    async with database.workspace(workspace_id) as connection:
        for bases, model, vector in vectors:
            within = replace(scope, base_ids=[b for b in scope.base_ids if b in bases])
            for row in await rows.by_vector(connection, within, model, vector, CANDIDATES):
                similarity = max(0.0, row["similarity"])
                ranked.append((row["passage_id"], similarity, similarity, ()))
    if vectors:
        gathered.add(VECTORS, sorted(ranked, key=lambda r: -r[1])[:CANDIDATES])


def _found(row: Row, score: float, gathered: _Gathered) -> Found:
    return Found(
        id=row["id"], document_id=row["document_id"], base_id=row["knowledge_base_id"], base=row["base"],
        title=row["title"], heading=row["heading"], text=row["text"], page=row["page"], kind=row["kind"], url=row["url"],
        public_id=row["public_id"] if row["is_public"] else "", sure=round(gathered.sure[row["id"]], 3), score=score,
        votes=gathered.votes[row["id"]],
    )  # fmt: skip


async def _with_neighbors(connection: Any, chosen: Sequence[Found], reach: int) -> dict[str, str]:
    """Each passage's text, with what stands before and after it in the document; nothing is said twice."""
    if not reach or not chosen:
        return {f.id: f.text for f in chosen}
    shown = await rows.shown(connection, [f.id for f in chosen])
    taken = {(f.document_id, shown[f.id]["place"]) for f in chosen}
    wanted: dict[str, list[tuple[str, int]]] = {}
    for f in chosen:
        place = shown[f.id]["place"]
        around = [(f.document_id, place + step) for step in range(-reach, reach + 1) if step and place + step >= 0]
        wanted[f.id] = [at for at in around if at not in taken]
        taken.update(wanted[f.id])
    near = await rows.neighbors(connection, [at for places in wanted.values() for at in places])
    texts = {}
    for f in chosen:
        place = shown[f.id]["place"]
        pieces = [(place, f.text), *((at[1], near[at]["text"]) for at in wanted[f.id] if at in near)]
        texts[f.id] = "\n\n".join(text for _, text in sorted(pieces))
    return texts


def _sized(found: Found, text: str) -> dict[str, Any]:
    return {"id": found.id, "title": found.title, "heading": found.heading, "text": text}


def marks(text: str, words: Sequence[str]) -> list[tuple[str, bool]]:
    """A text in pieces: (piece, whether it is one of the words in any of its forms). For highlighting."""
    wanted = {stem(normal(w)) for w in words} | {normal(w) for w in words}
    beginnings = tuple(w[: max(4, len(w) - 3)] for w in (normal(x) for x in words) if len(w) >= 5)
    pieces: list[tuple[str, bool]] = []
    for part in _runs(plain(text)):
        word = normal(part)
        same = word in wanted or stem(word) in wanted or (len(word) >= 4 and word.startswith(beginnings))
        hit = bool(part.strip()) and word not in STOP_WORDS and bool(tokens(word)) and same
        if pieces and pieces[-1][1] == hit:
            pieces[-1] = (pieces[-1][0] + part, hit)
        else:
            pieces.append((part, hit))
    return pieces


def _runs(text: str) -> list[str]:
    runs: list[str] = []
    is_word = False
    for c in text:
        now = c.isalnum() or c in "'’ʼ-_"
        if runs and now == is_word:
            runs[-1] += c
        else:
            runs.append(c)
        is_word = now
    return runs


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
