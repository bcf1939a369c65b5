"""How quick the search is among very many passages, by way of searching, filter and kind of question; against exact answers."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psutil
import psycopg

from graph_runtime.bootstrap import Services
from graph_runtime.knowledge.meaning import Embed, Meant
from graph_runtime.knowledge.search import Mode, SearchSettings, search
from graph_runtime.services.principal import Principal
from graph_runtime.storage import passages as rows
from graph_runtime.storage.passages import Scope
from tests.benchmarks.figures import Report
from tests.benchmarks.parts.knowledge_fill import (
    MODEL,
    WORDS,
    Filled,
    Floats,
    Vectors,
    fill,
    filled_before,
    vocabulary,
    without_indexes,
)

K: Final = 10
SMALL: Final = 300
COMMON: Final = 17
"""So many of the invented words are each in about a third of all passages, or in more."""
EACH: Final = 100
WARM: Final = 10
MODES: Final[dict[str, Mode]] = {"words": "keyword", "likeness": "semantic", "hybrid": "hybrid"}

Admin = psycopg.Connection[Any]


@dataclass(frozen=True)
class Place:
    """Something to search: its scope, and which passages of a fill are in it."""

    workspace_id: str
    scope: Scope
    filled: Filled
    members: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Question:
    """`kind`: plain (words of a passage), common (one of them is in a third of all), commons (only such), typo."""

    kind: str
    text: str
    vector: list[float]


@dataclass(frozen=True)
class Measured:
    """Two bases to search, by (workspace, base, categories); as JSON it names them to a later run."""

    count: int
    large: tuple[str, str, list[str]]
    small: tuple[str, str, list[str]]


async def prepare(
    services: Services, new_owner: Callable[[str], Principal], admin: Admin, report: Report, count: int
) -> Measured:
    """Fill a large base and a small one beside it."""
    great, small = new_owner("Large"), new_owner("Small")
    made = Measured(
        count,
        (great.workspace_id, *await _base(services, great)),
        (small.workspace_id, *await _base(services, small)),
    )
    began = time.perf_counter()
    with without_indexes(admin, count) as built:
        fill(admin, *made.large, count)
        fill(admin, *made.small, SMALL, seed=8)
        report.notes.append(f"{count} passages were copied in {time.perf_counter() - began:.0f} s.")
    report.notes += built
    # Without statistics the planner does not know what is frequent; autovacuum brings them within a minute.
    admin.execute("VACUUM (ANALYZE) knowledge_passage, knowledge_lookup, knowledge_document, knowledge_word")
    return made


async def scale(services: Services, made: Measured, admin: Admin, report: Report) -> None:
    """Search and compare."""
    count = made.count
    main = filled_before(admin, *made.large[1:], count)
    other = filled_before(admin, *made.small[1:], SMALL, seed=8)
    size = admin.execute(
        "SELECT pg_table_size('knowledge_passage'), pg_table_size('knowledge_lookup'), pg_relation_size('knowledge_passage_384'),"
        " pg_relation_size('knowledge_lookup_words'), current_setting('shared_buffers')"
    ).fetchone()
    assert size is not None
    report.notes.append(
        f"Passages {size[0] / 1e6:.0f} MB, their words {size[1] / 1e6:.0f} MB, vectors' index {size[2] / 1e6:.0f} MB, words' index"
        f" {size[3] / 1e6:.0f} MB; PostgreSQL keeps {size[4]} of them by itself."
    )
    shares, languages = np.array(main.shares), np.array(main.languages)
    large, small = made.large[0], made.small[0]
    places = {
        "base": Place(large, Scope([main.base]), main, np.arange(count)),
        "language": Place(large, Scope([main.base], None, ["ru"]), main, np.flatnonzero(languages == 1)),
        "tenth": Place(large, Scope([main.base], [main.categories[1]]), main, np.flatnonzero(shares == 1)),
        "hundredth": Place(large, Scope([main.base], [main.categories[0]]), main, np.flatnonzero(shares == 0)),
        "small_base": Place(small, Scope([other.base]), other, np.arange(SMALL)),
    }
    worst: dict[str, list[float]] = {mode: [] for mode in MODES}
    lowest, complete = 1.0, 1.0
    by_kind: dict[str, list[float]] = {}
    processor = _Processor(admin)
    for place in places.values():  # other questions: a server that has just started has nothing in its memory
        await _timed(services, place, asked(place, 200, seed=10), "hybrid")
    for name, place in places.items():
        questions = asked(place)
        for mode, setting in MODES.items():
            before = processor.now()
            took, enough = await _timed(services, place, questions, setting)
            report.figures[f"{mode}_{name}_processor_ms"] = (processor.now() - before) / len(questions)
            times = sorted(ms for _, ms in took)
            report.figures[f"{mode}_{name}_p50_ms"] = statistics.median(times)
            report.figures[f"{mode}_{name}_p95_ms"] = p95(times)
            worst[mode].append(p95(times))
            if mode != "words":
                complete = min(complete, enough)
            elif name == "base":
                for kind, ms in took:
                    by_kind.setdefault(kind, []).append(ms)
        recall, full = await _recall(services, place)
        report.figures[f"likeness_{name}_recall_ratio"] = recall
        lowest, complete = min(lowest, recall), min(complete, full)
    report.figures |= {f"words_base_{kind}_p95_ms": p95(times) for kind, times in by_kind.items()}
    report.figures |= {
        "hybrid_filtered_p95_ms": max(worst["hybrid"]),
        "vector_recall_of_exact_ratio": lowest,
        "k_found_ratio": complete,
    }
    report.yardsticks["select_1_ms"] = await _select_1(services, large)
    report.goal("hybrid_filtered_p95_ms", "<=", 30 if count <= 50_000 else 60)
    report.goal("vector_recall_of_exact_ratio", ">=", 0.98)
    report.goal("k_found_ratio", ">=", 1.0)
    report.notes.append(f"Load of the machine at the end: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores.")


async def _select_1(services: Services, workspace_id: str) -> float:
    """Median of the shortest statement there is, to compare machines and loads by."""
    took = []
    async with services.database.workspace(workspace_id) as connection:
        for _ in range(300):
            began = time.perf_counter()
            await connection.execute("SELECT 1")
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


class _Processor:
    """Processor milliseconds of this process and of PostgreSQL, which other programs on the machine hardly change."""

    def __init__(self, admin: Admin) -> None:
        row = admin.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        self._server = psutil.Process(row[0]).parent()

    def now(self) -> float:
        """So far."""
        assert self._server is not None
        spent = [psutil.Process().cpu_times()]
        for program in [*self._server.children(), *psutil.Process().children()]:
            with contextlib.suppress(psutil.Error):
                spent.append(program.cpu_times())
        return sum(t.user + t.system for t in spent) * 1000


async def _base(services: Services, who: Principal) -> tuple[str, list[str]]:
    base = await services.knowledge_bases.create(who, "Measured")
    names = ("A hundredth", "A tenth", "The rest")
    return base.id, [await services.knowledge_bases.add_category(who, base.id, name) for name in names]


def asked(place: Place, count: int = EACH + WARM, *, seed: int = 8) -> list[Question]:
    """Questions whose answers are there: of ten six plain, two with a common word, one of common words, one mistyped."""
    chance = random.Random(seed)
    vectors = Vectors(7)
    targets = [int(chance.choice(place.members)) for _ in range(count)]
    kinds = ["plain"] * 6 + ["common"] * 2 + ["commons", "typo"]
    near = vectors.near(rows_of(place.filled.vectors, targets))
    found = []
    for number, target in enumerate(targets):
        kind = kinds[number % 10]
        drawn = rows_of(place.filled.drawn, [target])[0]
        rarer = sorted({int(w) for w in drawn if w >= COMMON})
        words = chance.sample(rarer, 4)
        if kind == "common":
            words = [*words[:3], chance.randrange(COMMON)]
        elif kind == "commons":
            words = chance.sample(range(COMMON), 3)
        texts = [place.filled.vocabulary[w] for w in words]
        if kind == "typo":
            longest = max(texts, key=len)
            at = len(longest) // 2
            texts[texts.index(longest)] = longest[:at] + longest[at + 1 :]
        found.append(Question(kind, " ".join(texts), near[number].tolist()))
    return found


def rows_of(parts: list[np.ndarray[Any, Any]], numbers: list[int]) -> Floats:
    """Rows by number of arrays that lie one after the other, all but the last of one length."""
    each = len(parts[0])
    return np.stack([parts[n // each][n % each] for n in numbers])


async def _timed(
    services: Services, place: Place, questions: list[Question], mode: Mode
) -> tuple[list[tuple[str, float]], float]:
    """(kind, milliseconds) of each question after the first, and the share that got K results."""
    settings = SearchSettings(mode=mode, threshold=0.0, top_k=K, tokens=1_000_000)
    took, enough = [], 0
    for number, question in enumerate(questions):
        embeds = [] if mode == "keyword" else [(place.scope.base_ids, gives(question.vector))]
        began = time.perf_counter()
        found = await search(
            services.database, place.workspace_id, place.scope, question.text, settings, embeds, is_explained=False
        )
        spent = (time.perf_counter() - began) * 1000
        if number >= WARM:
            took.append((question.kind, spent))
            enough += len(found.results) == min(K, len(place.members))
    return took, enough / len(took)


async def _recall(services: Services, place: Place) -> tuple[float, float]:
    """Of the K nearest by comparing everything here; and the share that got K."""
    questions = asked(place)[:50]
    wanted = np.array([q.vector for q in questions], dtype=np.float32)
    likeness = np.concatenate([wanted @ part.T for part in place.filled.vectors], axis=1)[:, place.members]
    recalls, full = [], 0
    for question, row in zip(questions, likeness, strict=True):
        exact = {place.filled.ids[place.members[n]] for n in np.argsort(-row)[:K]}
        async with services.database.workspace(place.workspace_id) as connection:
            found = await rows.by_vector(connection, place.scope, MODEL, question.vector, K)
        recalls.append(len(exact & {r["passage_id"] for r in found}) / len(exact))
        full += len(found) == len(exact)
    return statistics.mean(recalls), full / len(questions)


def gives(vector: list[float]) -> Embed:
    """An embedder that knows the answer."""

    async def embed(_query: str) -> Meant:
        return Meant(MODEL, vector)

    return embed


def p95(values: list[float]) -> float:
    """The 95th of a hundred."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.95))]


async def reading(services: Services, who: Principal, admin: Admin, report: Report, count: int) -> None:
    """Passages a second through the whole path: file → reading process → passages and words, one worker, no embedder."""
    base = await services.knowledge_bases.create(who, "Read")
    chance = np.random.default_rng(9)
    words = np.array(vocabulary())
    often = np.cumsum(1 / (np.arange(WORDS) + 3.7))
    per_file = 500

    def text(number: int) -> bytes:
        drawn = words[np.searchsorted(often, chance.random((per_file, 80)) * often[-1])]
        return "\n\n".join(f"## Розділ {number}-{n}\n\n" + " ".join(row) for n, row in enumerate(drawn)).encode()

    await services.knowledge_documents.add_file(who, base.id, "warm.md", b"# Warm\n\nThe reading process starts.")
    await services.knowledge_ingest.run_next()
    rates = []
    processor = _Processor(admin)
    before = processor.now()
    for number in range(max(1, count // per_file)):
        await services.knowledge_documents.add_file(who, base.id, f"f{number}.md", text(number))
        began = time.perf_counter()
        assert await services.knowledge_ingest.run_next()
        rates.append(per_file / (time.perf_counter() - began))
    found = (await services.knowledge_bases.get(who, base.id)).passages
    assert found == per_file * len(rates) + 1, found
    report.figures["index_processor_ms_of_a_passage"] = (processor.now() - before) / (per_file * len(rates))
    report.figures["index_passages_per_s"] = statistics.median(rates)
    report.figures["index_slowest_passages_per_s"] = min(rates)
    report.goal("index_passages_per_s", ">=", 500)
    report.notes.append(f"{found} passages of 80 words were read, {per_file} a file; the reading process ran already.")
