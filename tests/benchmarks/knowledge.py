"""Knowledge: how good the search is on a labelled set in three languages, and how quick it is among very many passages.

`--passages N` are copied into a database of its own and searched; `--read N` more go through the whole path of reading.
Either may be 0, and `--quick` leaves the labelled set out. With `--keep DIR` the filled database stays there, and later
runs search it again. `--model FOLDER`: a sentence model on this machine, in place of the likeness of letters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from pydantic import SecretStr

from graph_runtime.bootstrap import Services, build
from graph_runtime.knowledge.meaning import Embed, Meant
from graph_runtime.knowledge.search import SearchSettings, search
from graph_runtime.knowledge.words import normal, tokens
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.settings import Settings
from graph_runtime.storage import migrate
from graph_runtime.storage import passages as rows
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.passages import Scope
from tests.benchmarks.figures import Report, parser
from tests.benchmarks.parts.knowledge_scale import Measured, prepare, reading, scale

SET = Path(__file__).parent / "parts" / "knowledge"
LANGUAGES = ("en", "ru", "uk")
GOALS = {"en": 0.85, "ru": 0.85, "uk": 0.80}
PASSAGES, READ, FEWEST = 50_000, 5_000, 10_000
LIKENESS = "bench/likeness"
NAMES = {"keyword": "words", "hybrid": "words_and_{}", "semantic": "{}"}


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """`--passages N`, `--read N`, `--quick`, `--model FOLDER`, `-v`."""
    flags = parser("knowledge")
    flags.add_argument(
        "--passages", type=int, default=PASSAGES, help=f"passages to search (default {PASSAGES}; 0: none)"
    )
    flags.add_argument("--read", type=int, default=READ, help=f"passages to read from files (default {READ}; 0: none)")
    flags.add_argument("--quick", action="store_true", help="without the labelled set")
    flags.add_argument("--keep", metavar="DIR", default="", help="keep the filled database there, for the next run")
    flags.add_argument(
        "--model",
        metavar="FOLDER",
        type=lambda text: Path(text).absolute(),
        help="a folder with model.onnx and tokenizer.json",
    )
    flags.add_argument("-v", action="store_true", help="name the questions of the labelled set that were missed")
    chosen = flags.parse_args(arguments)
    if 0 < chosen.passages < FEWEST:
        flags.error(f"--passages: at least {FEWEST}, so that a hundredth of them is enough to search; or 0")
    return chosen


def main(arguments: Sequence[str]) -> int:
    """Measure and report; the exit code."""
    chosen = options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the folder goes with us
    report = Report("knowledge")
    asyncio.run(measure(report, chosen))
    return report.show([flag for flag in ("--json", "--check") if getattr(chosen, flag[2:])])


async def measure(report: Report, chosen: argparse.Namespace) -> None:
    """Everything, on a database of its own with fsync on, which is removed afterwards unless it is to be kept."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(chosen.keep or made)
        with EmbeddedPostgres(folder / "data") as server:
            migrate.upgrade(server.admin_url)
            before = folder / "filled.json"
            filled = Measured(**json.loads(before.read_text())) if before.exists() else None
            async with _running(server) as (services, admin):
                if not chosen.quick:
                    await quality(services, owner(admin, "Quality"), report, model=chosen.model, is_wordy=chosen.v)
                if chosen.read:
                    await reading(services, owner(admin, "Read"), admin, report, chosen.read)
                if chosen.passages and (filled is None or filled.count != chosen.passages):
                    filled = await prepare(services, lambda name: owner(admin, name), admin, report, chosen.passages)
                    before.write_text(json.dumps(asdict(filled)))
            if chosen.passages and filled is not None:
                server.stop()  # the next start gives it memory by what it holds
                server.start()
                async with _running(server) as (services, admin):
                    await scale(services, filled, admin, report)


@asynccontextmanager
async def _running(server: EmbeddedPostgres) -> AsyncIterator[tuple[Services, psycopg.Connection[Any]]]:
    settings = Settings(database_url=SecretStr(server.app_url), secret_key=SecretStr("for measuring only, " * 3))
    services = await build(settings)
    try:
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            yield services, admin
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


async def quality(
    services: Services, who: Principal, report: Report, *, model: Path | None = None, is_wordy: bool = False
) -> None:
    """Recall at 5, rank of the right passage and how often nothing is rightly found, for each way and language.

    All three languages are in one base. Without a model “likeness” stands in: it only knows which letters stand together.
    """
    base = await services.knowledge_bases.create(who, "Set")
    embed = await _model(services, who, base.id, model) if model else _likeness
    for language in LANGUAGES:
        for article in (SET / f"{language}.md").read_text("utf-8").split("\n# "):
            title, _, text = article.removeprefix("# ").partition("\n")
            await services.knowledge_documents.add_article(who, base.id, title.strip(), text.strip())
    while await services.knowledge_ingest.run_next():
        pass
    if model is None:
        await _add_likeness(services, who, base.id)
    count = (await services.knowledge_bases.get(who, base.id)).passages
    for mode in ("keyword", "hybrid", "semantic"):
        for language in LANGUAGES:
            tally = await ask_all(services, who, base.id, language, (mode, embed))
            about = f"{NAMES[mode].format('model' if model else 'likeness')}_{language}"
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
                report.notes += tally.missed if is_wordy else []


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


async def _likeness(query: str) -> Meant:
    return Meant(LIKENESS, likeness_vector(query))


async def _model(services: Services, who: Principal, base_id: str, folder: Path) -> Embed:
    """The base gets its vectors from this model, and so do questions."""
    key = await services.credentials.create(who, "local_embedder", "Bench", {"folder": str(folder.parent)})
    await services.knowledge_bases.set_embedder(who, base_id, key.id, folder.name)
    embedder = await services.knowledge_embedders.open(who.workspace_id, key.id, folder.name)

    async def embed(query: str) -> Meant:
        (vector,) = await embedder.embed([query], is_query=True)
        return Meant(embedder.name, vector, embedder.unrelated(query))

    return embed


async def ask_all(services: Services, who: Principal, base_id: str, language: str, how: tuple[Any, Embed]) -> Tally:
    """Every question of the set in one language, in one way. `how`: mode, and what makes vectors."""
    mode, embed = how
    tally, settings = Tally(), SearchSettings(mode=mode, threshold=0.4)
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
