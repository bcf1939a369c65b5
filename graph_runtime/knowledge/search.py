"""Searching: words, typos and meaning, fused by rank; what is found says why, and how sure it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from graph_runtime.contract.errors import ConnectorError
from graph_runtime.knowledge.meaning import CANDIDATES, Embed, Meaning, Nearest, Ranked
from graph_runtime.knowledge.packing import fuse, within_budget
from graph_runtime.knowledge.words import (
    is_kin,
    query_words,
    stem,
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
RERANKED: Final = "reranked"
TOTAL: Final = "total"
RERANKED_MOST: Final = 20
"""Of the fused list a reranker is sent so many."""
MOST_EDITS: Final = 2
KIN_WEIGHT: Final = 0.6
LONGEST_QUERY: Final = 2000
MOST_WORDINGS: Final = 5

Rerank = Callable[[str, Sequence[str]], Awaitable[list[float]]]
"""Query and texts → how well each text answers, in order. Raises: ConnectorError."""


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

    `words`: what was searched; `corrected`: word → what it was taken for; `trouble`: why meaning was left out; `away`: why
    PostgreSQL searched by meaning in place of another store; `unranked`: why a reranker did not change the order; `best`: how
    sure the surest of all considered passages is.
    """

    found: tuple[Found, ...]
    words: tuple[str, ...] = ()
    corrected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trouble: str = ""
    away: str = ""
    unranked: str = ""
    best: float = 0.0
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
    words: tuple[str, ...] = ()
    corrected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trouble: str = ""
    away: str = ""

    def add(self, retriever: str, ranked: Ranked) -> None:
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
    stores: Sequence[tuple[Sequence[str], Nearest]] = (),
    also: Sequence[str] = (),
    meaning: str = "",
    rerank: Rerank | None = None,
    is_explained: bool = True,
) -> SearchResult:
    """`embeds`: (bases, embedder) pairs; bases without one are searched by words alone, in every mode.

    `stores`: (bases, how to search them by meaning) where that is not PostgreSQL, which is asked when such a store fails.
    `also`: other wordings, searched the same way and fused with the first. `meaning`: what gets a vector in its place.
    `rerank`: puts the first of the fused list in its own order. Not `is_explained`: only the results are told.
    """
    settings = settings or SearchSettings()
    query = query[:LONGEST_QUERY].replace("\0", " ")
    if not scope.base_ids or not query.strip():
        return SearchResult(())
    ms: dict[str, float] = {}
    started = time.perf_counter()
    near = Meaning(database, workspace_id, *((embeds, stores) if settings.mode != "keyword" else ((), ())))
    plain_bases = [b for b in scope.base_ids if b not in near.bases]
    worded = scope if settings.mode != "semantic" else replace(scope, base_ids=plain_bases)
    gathered = await _gathered(near, (scope, worded), (query, meaning, also), ms)
    ranked = fuse(gathered.rankings)[:CANDIDATES]
    if not is_explained:
        most = max(settings.top_k, RERANKED_MOST) if rerank else settings.top_k
        ranked = [(p, score) for p, score in ranked if gathered.sure[p] >= settings.threshold][:most]
    unranked = ""
    async with database.workspace(workspace_id) as connection:
        shown = await rows.shown(connection, [p for p, _ in ranked]) if ranked else {}
    found = [_found(shown[p], score, gathered) for p, score in ranked if p in shown]
    if rerank is not None:
        began = time.perf_counter()
        found, unranked = await _reranked(rerank, query, found)
        ms[RERANKED] = _ms(began)
    chosen = [f for f in found if f.sure >= settings.threshold][: settings.top_k]
    texts = {f.id: f.text for f in chosen}
    if settings.neighbors and chosen:
        async with database.workspace(workspace_id) as connection:
            texts = await _with_neighbors(connection, chosen, settings.neighbors)
    fits = {p["id"] for p in within_budget([_sized(f, texts[f.id]) for f in chosen], settings.tokens)}
    complete = tuple(replace(f, text=texts[f.id], goes=True) if f.id in fits else f for f in found)
    ms[TOTAL] = _ms(started)
    best = round(max(gathered.sure.values(), default=0.0), 3)
    return SearchResult(
        complete, gathered.words, gathered.corrected, gathered.trouble, gathered.away, unranked, best, ms
    )


async def _gathered(
    near: Meaning, scopes: tuple[Scope, Scope], asked: tuple[str, str, Sequence[str]], ms: dict[str, float]
) -> _Gathered:
    """What all retrievers bring. `scopes`: all, and what of it is searched by words; `asked`: the query, what gets a vector in
    its place, other wordings."""
    (scope, by_words), (query, meaning, also) = scopes, asked
    gathered = _Gathered()
    worded = asyncio.ensure_future(_worded(near, by_words, query, ms))
    try:
        ranked: Ranked | None = None
        if near.embeds:  # at the same time as the words, on a connection of its own
            began = time.perf_counter()
            ranked = await near.near(scope, meaning or query)
            ms[VECTORS] = _ms(began)
        found = await worded
    finally:
        if not worded.done():
            worded.cancel()
            await asyncio.gather(worded, return_exceptions=True)
    gathered.trouble = near.trouble
    if gathered.trouble and not by_words.base_ids:
        by_words = scope
        found = await _worded(near, scope, query, ms)
    gathered.words, gathered.corrected = found.words, found.corrected
    for retriever, hits in found.rankings.items():
        gathered.add(retriever, hits)
    if ranked is not None:
        gathered.add(VECTORS, ranked)
    for number, wording in enumerate(also[:MOST_WORDINGS], 2):
        other = await _other_wording(near, (scope, by_words), wording, by_meaning=not gathered.trouble)
        gathered.take(other, str(number))
    gathered.away = near.away
    return gathered


async def _reranked(rerank: Rerank, query: str, found: Sequence[Found]) -> tuple[list[Found], str]:
    """The first in the order of a reranker, and why it could not be had; the others after them."""
    first, others = found[:RERANKED_MOST], found[RERANKED_MOST:]
    if len(first) < 2:
        return list(found), ""
    try:
        scores = await rerank(query, [f"{f.heading}\n{f.text}".strip() for f in first])
    except ConnectorError as error:
        return list(found), error.message
    order = sorted(range(len(first)), key=lambda n: (-scores[n], n))
    better = [
        replace(first[n], votes={**first[n].votes, RERANKED: Vote(rank, scores[n])}) for rank, n in enumerate(order, 1)
    ]
    return [*better, *others], ""


async def _other_wording(near: Meaning, scopes: tuple[Scope, Scope], wording: str, *, by_meaning: bool) -> _Gathered:
    """`scopes`: all, and what of it is searched by words."""
    other, wording = _Gathered(), wording[:LONGEST_QUERY].replace("\0", " ")
    found = await _worded(near, scopes[1], wording, {})
    for retriever, ranked in found.rankings.items():
        other.add(retriever, ranked)
    if by_meaning and near.embeds and (meant := await near.near(scopes[0], wording)) is not None:
        other.add(VECTORS, meant)
    return other


@dataclass(slots=True)
class _ByWords:
    """`rankings`: retriever → what it ranked."""

    words: tuple[str, ...] = ()
    corrected: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rankings: dict[str, Ranked] = field(default_factory=dict)


async def _worded(where: Meaning, scope: Scope, query: str, ms: dict[str, float]) -> _ByWords:
    words = query_words(query)
    if not words or not scope.base_ids:
        return _ByWords()
    began = time.perf_counter()
    found = _ByWords(tuple(words))
    terms = [(w, stem(w), 1.0) for w in words]
    async with where.database.workspace(where.workspace_id) as connection:
        hits = await rows.by_words(connection, scope, terms, CANDIDATES)
        found.rankings[WORDS] = [_word_hit(row, words) for row in hits]
        seen = hits[0]["found"] if hits else [0] * len(words)
        unknown = [w for w, count in zip(words, seen, strict=True) if not count and len(w) >= 4]
        corrected = await _corrections(connection, scope, unknown) if unknown else {}
        if corrected:
            better = [
                (corrected[w][0], stem(corrected[w][0]), corrected[w][1]) if w in corrected else (w, stem(w), 1.0)
                for w in words
            ]
            hits = await rows.by_words(connection, scope, better, CANDIDATES)
            names = [corrected[w][0] if w in corrected else w for w in words]
            found.rankings[TYPOS] = [_word_hit(row, names) for row in hits]
            found.corrected = {word: (known,) for word, (known, _) in corrected.items()}
    ms[WORDS] = _ms(began)
    return found


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


def _found(row: Row, score: float, gathered: _Gathered) -> Found:
    return Found(
        id=row["id"], document_id=row["document_id"], base_id=row["knowledge_base_id"], base=row["base"],
        title=row["title"], heading=row["heading"], text=row["text"], page=row["page"], kind=row["kind"], url=row["url"],
        public_id=row["public_id"] if row["is_public"] else "", sure=round(gathered.sure[row["id"]], 3), score=score,
        votes=gathered.votes[row["id"]],
    )  # fmt: skip


async def _with_neighbors(connection: Any, chosen: Sequence[Found], reach: int) -> dict[str, str]:
    """Each passage's text, with what stands before and after it in the document; nothing is said twice."""
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


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
