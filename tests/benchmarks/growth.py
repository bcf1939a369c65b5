"""Whether a turn gets dearer as history and stored conversations grow, and whether memory does over many turns."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import uvloop

from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.benchmarks.figures import Report, parser
from tests.benchmarks.parts import through_http
from tests.benchmarks.turns import Durable, chain
from tests.conversation_world import Process, process, publish
from tests.faults.system import Layout, System

SHORT, LONG = 10, 10_000
FEW, MANY = 1_000, 1_000_000
ROUNDS = 5
EACH = 200
WARM_SHARE = 0.1
PART = 20_000


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """`--stored N` conversations, `--turns N` for the memory; `--only` one of the two."""
    flags = parser("growth")
    flags.add_argument("--stored", type=int, default=MANY, help="conversations stored at the end (default 1 000 000)")
    flags.add_argument("--turns", type=int, default=200_000, help="turns for the memory, 0: none (default 200 000)")
    flags.add_argument(
        "--only", choices=("costs", "memory"), help="one of the two; the memory of 200 000 turns takes minutes"
    )
    return flags.parse_args(arguments)


class Cost:
    """Processor milliseconds of this process and of PostgreSQL: other programs on the machine do not change them."""

    def __init__(self, server: int) -> None:
        self._programs = [psutil.Process(), *psutil.Process(server).children(recursive=True)]

    def now(self) -> float:
        """So far."""
        spent = (p.cpu_times() for p in self._programs if p.is_running())
        return sum(t.user + t.system for t in spent) * 1000


async def turns(talks: Sequence[Durable], server: int) -> list[tuple[float, float]]:
    """(processor ms, median ms) of a turn of each talk, over rounds in which they alternate."""
    cost = Cost(server)
    found: list[tuple[list[float], list[float]]] = [([], []) for _ in talks]
    for talk in talks:
        for _ in range(30):
            await talk.turn()
    for _ in range(ROUNDS):
        for talk, (spent, took) in zip(talks, found, strict=True):
            before = cost.now()
            took += [await talk.turn() for _ in range(EACH)]
            spent.append((cost.now() - before) / EACH)
    return [(statistics.median(spent), statistics.median(took)) for spent, took in found]


def write_history(admin_url: str, conversation: str, messages: int) -> None:
    """Messages that were said before, and their turns."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        place = {"id": conversation, "n": messages}
        connection.execute("UPDATE message SET seq = seq + %(n)s WHERE conversation_id = %(id)s", place)
        connection.execute(
            "INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text)"
            " SELECT workspace_id, id, n, CASE n %% 2 WHEN 0 THEN 'agent' ELSE 'contact' END,"
            "  jsonb_build_array(jsonb_build_object('kind', 'text', 'text', 'Said ' || n)), 'Said ' || n"
            " FROM conversation, generate_series(1, %(n)s) n WHERE id = %(id)s",
            place,
        )
        connection.execute("UPDATE conversation SET message_seq = message_seq + %(n)s WHERE id = %(id)s", place)
        connection.execute("ANALYZE message")


def store_conversations(admin_url: str, like: str, count: int) -> None:
    """As many conversations of contacts of their own as there are to be, each with its beginning."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM conversation").fetchone()
        missing = count - (row[0] if row else 0)
        while missing > 0:
            part = min(missing, 50_000)
            connection.execute(
                "WITH model AS (SELECT * FROM conversation WHERE id = %(like)s),"
                " person AS (INSERT INTO contact (workspace_id) SELECT workspace_id FROM model, generate_series(1, %(n)s)"
                "  RETURNING id, workspace_id),"
                " known AS (INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id)"
                "  SELECT model.channel_id, 'visitor:' || person.id, person.workspace_id, person.id FROM person, model),"
                " talk AS (INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id,"
                "   channel_kind, language, waits, node_id, checkpoint, message_seq, turn_seq, preview, updated_at)"
                "  SELECT m.workspace_id, m.agent_id, m.channel_id, p.id, m.version_id, m.channel_kind, m.language,"
                "   m.waits, m.node_id, m.checkpoint, 1, 1, m.preview, now() - random() * interval '90 days'"
                "  FROM person p, model m RETURNING id, workspace_id, channel_id, created_at),"
                " asked AS (INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind, state)"
                "  SELECT workspace_id, channel_id, 'start:' || id, id, 'start', 'done' FROM talk),"
                " ran AS (INSERT INTO turn (conversation_id, seq, workspace_id, inbox_id, trigger, started_at, ms,"
                "   attempts, steps) SELECT id, 1, workspace_id, id, 'start', created_at, 1, 1, '[]' FROM talk)"
                " INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text)"
                '  SELECT workspace_id, id, 1, \'agent\', \'[{"kind": "text", "text": "Next?"}]\', \'Next?\' FROM talk',
                {"like": like, "n": part},
            )
            missing -= part
        connection.execute("VACUUM ANALYZE")


async def costs(report: Report, stored: int) -> None:
    """Processor time of a turn with little and much history, among few and many conversations."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as postgres:
        migrate.upgrade(postgres.admin_url)
        access = publish(postgres.admin_url, chain(5))
        async with process(postgres.app_url) as side:
            with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
                row = connection.execute("SELECT pg_backend_pid()").fetchone()
                server = psutil.Process(row[0] if row else 0).ppid()
            first = await side.begin(access)
            store_conversations(postgres.admin_url, first, FEW)
            (short, short_ms), (long, long_ms) = await turns(
                [await _with_history(side, access, postgres.admin_url, n) for n in (SHORT, LONG)], server
            )
            few = [await turns([Durable(side, access, await side.begin(access))], server)]
            await asyncio.to_thread(store_conversations, postgres.admin_url, first, stored)
            few.append(await turns([Durable(side, access, await side.begin(access))], server))
    ((few_cost, few_ms),), ((many_cost, many_ms),) = few
    report.figures |= {
        "history_10_cost_ms": short,
        "history_10000_cost_ms": long,
        "history_10_p50_ms": short_ms,
        "history_10000_p50_ms": long_ms,
        "history_cost_ratio": long / short,
        "conversations_stored": float(stored),
        "conversations_1000_cost_ms": few_cost,
        "conversations_stored_cost_ms": many_cost,
        "conversations_1000_p50_ms": few_ms,
        "conversations_stored_p50_ms": many_ms,
        "conversations_cost_ratio": many_cost / few_cost,
    }
    report.goal("history_cost_ratio", "<=", 1.1)
    report.goal("conversations_cost_ratio", "<=", 1.1)


async def _with_history(side: Process, access: ChannelAccess, admin_url: str, messages: int) -> Durable:
    conversation = await side.begin(access)
    await asyncio.to_thread(write_history, admin_url, conversation, messages)
    return Durable(side, access, conversation)


async def memory(report: Report, count: int) -> None:
    """Resident bytes of web process and worker after a tenth of the turns, and after all of them."""
    with tempfile.TemporaryDirectory() as folder:
        system = System(Layout(flow=through_http.flow()), Path(folder))
        try:
            await system.start()
            await system.until_ready("web1")
            plan: dict[str, Any] = {
                "port": int(system.addresses[0].rpartition(":")[2]), "keys": system.world.keys, "in_flight": 16,
                "begin": f"/api/v1/agents/{system.world.agent_id}/conversations", "texts": ["hello", "long"],
                "path": "/api/v1/conversations/{id}/messages",
            }  # fmt: skip
            began = time.monotonic()
            done = int(count * WARM_SHARE)
            await through_http.load(**plan, requests=done)
            before = _resident(system)
            while done < count:
                part = min(PART, count - done)
                await through_http.load(**plan, requests=part)
                done += part
                said = ", ".join(f"{kind} {now / 1e6:.1f} MB" for kind, now in _resident(system).items())
                print(f"{done} turns: {said}", file=sys.stderr, flush=True)
            for kind, after in _resident(system).items():
                report.figures[f"{kind}_rss_mb"] = after / 1e6
                report.figures[f"{kind}_memory_ratio"] = after / before[kind]
                report.goal(f"{kind}_memory_ratio", "<=", 1.05)
            report.figures["turns"] = float(done)
            report.figures["turns_per_s"] = done / (time.monotonic() - began)
        finally:
            await system.close()


def _resident(system: System) -> dict[str, int]:
    """Bytes of the web process and of the worker."""
    kinds = ("web", "worker")
    return {kind: psutil.Process(system.programs[f"{kind}1"].pid).memory_info().rss for kind in kinds}


async def measure(stored: int, count: int, only: str | None = None) -> Report:
    """Both, or one of them."""
    report = Report("growth")
    if only != "memory":
        await costs(report, stored)
    if count and only != "costs":
        await memory(report, count)
    report.notes.append(
        f"Costs are processor time of the process and of PostgreSQL for one durable five-step turn, medians of {ROUNDS} "
        f"rounds of {EACH} turns. Memory is compared with what it was after a tenth of the turns."
    )
    return report


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    chosen = options(arguments)
    shown = [flag for flag in ("--json", "--check") if getattr(chosen, flag[2:])]
    return uvloop.run(measure(chosen.stored, chosen.turns, chosen.only)).show(shown)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
