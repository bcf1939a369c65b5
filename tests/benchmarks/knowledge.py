"""Knowledge: how good the search is on a labelled set in three languages, and how quick it is at 50 000 passages."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from pydantic import SecretStr

from graph_runtime.bootstrap import Services, build
from graph_runtime.knowledge.search import Embed, SearchSettings, search
from graph_runtime.knowledge.words import normal, tokens
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.settings import Settings
from graph_runtime.storage import migrate
from graph_runtime.storage import passages as rows
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.passages import Scope
from tests.benchmarks.figures import Report

SET = Path(__file__).parent / "parts" / "knowledge"
LANGUAGES = ("en", "ru", "uk")
GOALS = {"en": 0.85, "ru": 0.85, "uk": 0.80}
PASSAGES, DIMENSIONS, QUERIES = 50_000, 384, 120
MODEL, LIKENESS = "bench/random", "bench/likeness"
NAMES = {"keyword": "words", "hybrid": "words_and_likeness", "semantic": "likeness"}


def main(arguments: Sequence[str]) -> int:
    """`--json`, `--check`; the exit code."""
    report = Report("knowledge")
    asyncio.run(measure(report))
    return report.show(arguments)


async def measure(report: Report) -> None:
    """Everything, on a database of its own with fsync on."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        migrate.upgrade(server.admin_url)
        settings = Settings(database_url=SecretStr(server.app_url), secret_key=SecretStr("for measuring only, " * 3))
        services = await build(settings)
        try:
            with psycopg.connect(server.admin_url, autocommit=True) as admin:
                await quality(services, owner(admin, "Quality"), report)
                await speed(services, owner(admin, "Speed"), admin, report)
        finally:
            await services.knowledge_ingest.close()
            await services.close()


def owner(admin: psycopg.Connection[Any], name: str) -> Principal:
    """A fresh workspace."""
    row = admin.execute("INSERT INTO workspace (name) VALUES (%s) RETURNING id::text", (name,)).fetchone()
    assert row is not None
    return Principal(row[0], None, "system", PERMISSIONS["system"])


@dataclass
class Tally:
    """What came of the questions of one language in one mode. `ranks`: 1 / rank of the first right passage, else 0."""

    hits: dict[str, list[bool]] = field(default_factory=dict)
    ranks: list[float] = field(default_factory=list)
    refused: list[bool] = field(default_factory=list)
    wrongly_refused: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Of the questions that have an answer."""
        return statistics.mean(h for found in self.hits.values() for h in found)


async def quality(services: Services, who: Principal, report: Report) -> None:
    """Recall at 5, rank of the right passage and how often nothing is rightly found, for each way and language.

    All three languages are in one base. “likeness” stands in for an embedder: it only knows which letters stand together.
    """
    base = await services.knowledge_bases.create(who, "Set")
    for language in LANGUAGES:
        for article in (SET / f"{language}.md").read_text("utf-8").split("\n# "):
            title, _, text = article.removeprefix("# ").partition("\n")
            await services.knowledge_documents.add_article(who, base.id, title.strip(), text.strip())
    while await services.knowledge_ingest.run_next():
        pass
    await _add_likeness(services, who, base.id)
    count = (await services.knowledge_bases.get(who, base.id)).passages
    for mode in ("keyword", "hybrid", "semantic"):
        for language in LANGUAGES:
            tally = await ask_all(services, who, base.id, language, mode)
            about = f"{NAMES[mode]}_{language}"
            report.figures |= {
                f"{about}_recall_at_5_ratio": tally.recall,
                f"{about}_mrr_ratio": statistics.mean(tally.ranks),
                f"{about}_no_answer_right_ratio": statistics.mean(tally.refused),
                f"{about}_wrongly_refused_ratio": tally.wrongly_refused / len(tally.ranks),
            }
            if mode == "keyword":
                report.figures |= {
                    f"{about}_recall_{kind}_ratio": statistics.mean(h) for kind, h in sorted(tally.hits.items())
                }
                report.goal(f"{about}_recall_at_5_ratio", ">=", GOALS[language])
                report.notes.append(
                    f"Labelled set: {count} passages of three languages in one base; {language}: {len(tally.ranks)} questions with"
                    f" an answer, {len(tally.refused)} without."
                )
                report.notes += tally.missed if "-v" in sys.argv else []


def likeness_vector(text: str) -> list[float]:
    """A text as counts of its three-letter pieces, hashed into 256 places: what any real embedder must beat."""
    vector = np.zeros(256, dtype=np.float32)
    for word in tokens(normal(text)):
        for at in range(len(word)):
            vector[zlib.crc32(f" {word} "[at : at + 3].encode()) % 256] += 1
    return [float(v) for v in vector / (np.linalg.norm(vector) or 1)]


async def _add_likeness(services: Services, who: Principal, base_id: str) -> None:
    async with services.database.workspace(who.workspace_id) as connection:
        cursor = await connection.execute(
            "SELECT id, heading, text FROM knowledge_passage WHERE knowledge_base_id = %s", (base_id,)
        )
        pairs = [(r["id"], likeness_vector(f"{r['heading']} {r['text']}")) async for r in cursor]
        await rows.set_vectors(connection, LIKENESS, 256, pairs)


async def ask_all(services: Services, who: Principal, base_id: str, language: str, mode: Any) -> Tally:
    """Every question of the set in one language, in one way."""
    tally, settings = Tally(), SearchSettings(mode=mode, threshold=0.4)

    async def embed(query: str) -> tuple[str, list[float]]:
        return LIKENESS, likeness_vector(query)

    embeds = [] if mode == "keyword" else [([base_id], embed)]
    for line in (SET / f"{language}.txt").read_text("utf-8").splitlines():
        kind, ask, right = (part.strip() for part in line.split("|"))
        found = await search(services.database, who.workspace_id, Scope([base_id]), ask, settings, embeds)
        if not right:
            tally.refused.append(not found.results)
            tally.missed += (
                [f"(found though nothing is there) {ask}: {found.results[0].heading}"] if found.results else []
            )
            continue
        wanted = {place.strip() for place in right.split(";")}
        places = [f.heading if f.heading.startswith(f.title) else f"{f.title} › {f.heading}" for f in found.found[:5]]
        rank = next((n for n, place in enumerate(places, 1) if place in wanted), 0)
        tally.hits.setdefault(kind, []).append(bool(rank))
        tally.ranks.append(1 / rank if rank else 0.0)
        is_taken = any(f"{f.title} › {f.heading}" in wanted or f.heading in wanted for f in found.results)
        tally.wrongly_refused += bool(rank) and not is_taken
        tally.missed += [] if rank else [f"(missed, {kind}) {ask}: {places[:2]}"]
        tally.missed += [f"(not sure enough, {kind}) {ask}"] if rank and not is_taken else []
    return tally


async def speed(services: Services, who: Principal, admin: psycopg.Connection[Any], report: Report) -> None:
    """Index rate through the whole path; search with a filter at 50 000 passages, against the exact answer."""
    base = await services.knowledge_bases.create(who, "Large")
    category = await services.knowledge_bases.add_category(who, base.id, "Chosen")
    chance = random.Random(7)
    vocabulary = [f"{a}{b}{c}" for a in "бвгдклмнпрст" for b in ("ала", "оро", "ине", "ува", "ель") for c in _tails()]
    documents, per_document = 100, PASSAGES // 100
    began = time.perf_counter()
    for number in range(documents):
        text = "\n\n".join(
            f"## Розділ {number}-{n}\n\n" + " ".join(chance.choices(vocabulary, k=70)) for n in range(per_document)
        )
        place = {"category_id": category} if number % 10 == 0 else {}
        await services.knowledge_documents.add_file(who, base.id, f"d{number}.md", text.encode(), **place)
    adding = time.perf_counter() - began
    began = time.perf_counter()
    while await services.knowledge_ingest.run_next():
        pass
    seconds = time.perf_counter() - began
    count = (await services.knowledge_bases.get(who, base.id)).passages
    report.figures["index_passages_per_s"] = count / seconds
    report.notes.append(f"{count} passages were brought in {adding:.0f} s and read in {seconds:.0f} s by one worker.")
    vectors = np.random.default_rng(7).standard_normal((count, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    began = time.perf_counter()
    ids = [
        str(r[0])
        for r in admin.execute(
            "SELECT id::text FROM knowledge_passage WHERE knowledge_base_id = %s ORDER BY id", (base.id,)
        )
    ]
    for at in range(0, count, 1000):
        pairs = [(i, v.tolist()) for i, v in zip(ids[at : at + 1000], vectors[at : at + 1000], strict=True)]
        async with services.database.workspace(who.workspace_id) as connection:
            await rows.set_vectors(connection, MODEL, DIMENSIONS, pairs)
    report.notes.append(f"Vectors were written, index included, in {time.perf_counter() - began:.0f} s.")
    admin.execute("VACUUM (ANALYZE) knowledge_passage")
    chosen = {
        str(r[0]) for r in admin.execute("SELECT id::text FROM knowledge_passage WHERE category_id = %s", (category,))
    }
    await _searches(services, who, report, (base.id, category), (ids, vectors, chosen), vocabulary)


async def _searches(
    services: Services,
    who: Principal,
    report: Report,
    place: tuple[str, str],
    known: tuple[list[str], Any, set[str]],
    words: list[str],
) -> None:
    ids, vectors, chosen = known
    scope = Scope([place[0]], [place[1]])
    is_chosen = np.array([i in chosen for i in ids])
    chance, random_vector = random.Random(8), np.random.default_rng(8)
    took: list[float] = []
    by_words: list[float] = []
    recalls: list[float] = []
    for number in range(QUERIES + 10):
        vector = random_vector.standard_normal(DIMENSIONS).astype(np.float32)
        vector /= np.linalg.norm(vector)
        query = " ".join(chance.choices(words, k=5))
        embeds = [([place[0]], _gives(vector.tolist()))]
        began = time.perf_counter()
        await search(services.database, who.workspace_id, scope, query, SearchSettings(threshold=0.0), embeds)
        hybrid = time.perf_counter() - began
        began = time.perf_counter()
        await search(services.database, who.workspace_id, scope, query, SearchSettings(mode="keyword"))
        if number < 10:  # the first ones fill caches
            continue
        took.append(hybrid)
        by_words.append(time.perf_counter() - began)
        async with services.database.workspace(who.workspace_id) as connection:
            found = {r["passage_id"] for r in await rows.by_vector(connection, scope, MODEL, vector.tolist(), 10)}
        likeness = np.where(is_chosen, vectors @ vector, -2.0)
        exact = {ids[i] for i in np.argpartition(-likeness, 10)[:10]}
        recalls.append(len(found & exact) / 10)
    report.figures |= {
        "hybrid_filtered_p50_ms": statistics.median(took) * 1000,
        "hybrid_filtered_p95_ms": sorted(took)[int(len(took) * 0.95)] * 1000,
        "words_filtered_p95_ms": sorted(by_words)[int(len(by_words) * 0.95)] * 1000,
        "vector_recall_of_exact_ratio": statistics.mean(recalls),
    }
    report.goal("index_passages_per_s", ">=", 500)
    report.goal("hybrid_filtered_p95_ms", "<=", 30)
    report.goal("vector_recall_of_exact_ratio", ">=", 0.98)


def _gives(vector: list[float]) -> Embed:
    async def embed(_query: str) -> tuple[str, list[float]]:
        return MODEL, vector

    return embed


def _tails() -> list[str]:
    return [f"{a}{b}" for a in "абвгдежзиклмнопрстуфхцчшщ" for b in ("та", "нок", "сть", "вий", "ння", "ти")]
