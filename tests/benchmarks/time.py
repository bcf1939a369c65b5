"""How late steps of chains start, with many rows in the future: `./patchcord bench time`.

`--rows` enrollments lie in the future; `--steps` more fall due within half a minute. A worker runs them; late is the time
from due to the start of the step's transaction, by the database's clock. Early is never.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import uvloop

from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.chains import ChainTimers
from tests.benchmarks.figures import Report, parser
from tests.benchmarks.time_backlog import measure_backlog
from tests.benchmarks.time_broadcast import measure_broadcast
from tests.benchmarks.time_many import measure_many
from tests.chain_world import chaining
from tests.delivery_world import Place

SPREAD_SECONDS = 30

_CONTACTS = "INSERT INTO contact (workspace_id, name) SELECT %s, 'c' || n FROM generate_series(1, %s) n"
_FUTURE = """
    INSERT INTO enrollment (workspace_id, chain_id, version_id, contact_id, step_id, due_at)
    SELECT k.workspace_id, %(chain)s, (SELECT live_version_id FROM chain WHERE id = %(chain)s), k.id, 'note',
           now() + interval '1 hour' + random() * interval '300 days' FROM contact k
"""
_SOON = """
    UPDATE enrollment SET due_at = now() + interval '2 seconds' + random() * make_interval(secs => %(spread)s)
    WHERE id IN (SELECT id FROM enrollment ORDER BY id LIMIT %(steps)s)
"""
_LATE = """
    SELECT extract(epoch FROM l.at - d.due_at) * 1000 FROM chain_log l JOIN due d ON d.id = l.enrollment_id WHERE l.what = 'done'
"""


async def measure(rows: int, steps: int, people: int, timers: int = 0, broadcast: int = 0, accounts: int = 1) -> Report:
    """Fill, run, look."""
    report = Report("time")
    if rows:
        await _late(report, rows, steps)
    if people:
        await _many(report, people)
    if timers:
        with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
            migrate.upgrade(server.admin_url)
            await measure_backlog(server.app_url, server.admin_url, Path(folder), report, timers)
    if broadcast:
        with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
            migrate.upgrade(server.admin_url)
            await measure_broadcast(server.app_url, server.admin_url, Path(folder), report, broadcast, accounts)
    return report


async def _late(report: Report, rows: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        migrate.upgrade(server.admin_url)
        place = Place(server.admin_url)
        async with chaining(server.app_url, datetime.now(UTC), is_started=False) as side:
            chain = await side.chain(place.who, {"id": "note", "kind": "notify", "text": "Ring {{ contact.name }}"})
            with psycopg.connect(server.admin_url, autocommit=True) as admin:
                began = time.monotonic()
                admin.execute(_CONTACTS, (place.workspace_id, rows + steps))
                admin.execute(_FUTURE, {"chain": chain})
                admin.execute("ANALYZE enrollment, contact")
                report.figures["fill_s"] = round(time.monotonic() - began, 1)
                admin.execute(_SOON, {"spread": SPREAD_SECONDS, "steps": steps})
                admin.execute(
                    "CREATE TABLE due AS SELECT id, due_at FROM enrollment ORDER BY id LIMIT " + str(int(steps))
                )
                await _run(side.by_the_database(), admin, steps)
                late = sorted(float(row[0]) for row in admin.execute(_LATE).fetchall())
    report.figures |= {
        "future_rows": float(rows), "steps": float(len(late)), "p50_ms": late[len(late) // 2],
        "p99_ms": late[int(len(late) * 0.99)], "latest_ms": late[-1], "earliest_ms": late[0],
    }  # fmt: skip
    report.goal("steps", ">=", float(steps))
    report.goal("earliest_ms", ">=", 0.0)
    report.goal("p50_ms", "<=", 10.0)
    report.goal("p99_ms", "<=", 100.0)
    report.notes.append(
        f"{rows} enrollments lie in the future, {steps} fall due within {SPREAD_SECONDS} s; one worker runs them."
    )


async def _many(report: Report, people: int) -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        migrate.upgrade(server.admin_url)
        place = Place(server.admin_url)
        async with chaining(server.app_url, datetime.now(UTC), is_started=False) as side:
            with psycopg.connect(server.admin_url, autocommit=True) as admin:
                await measure_many(side, place, admin, report, people)


async def _run(timers: ChainTimers, admin: psycopg.Connection[tuple[object, ...]], steps: int) -> None:
    running = asyncio.create_task(timers.run())
    async with asyncio.timeout(SPREAD_SECONDS * 10 + 60):
        while admin.execute("SELECT count(*) FROM chain_log WHERE what = 'done'").fetchone() != (steps,):  # noqa: ASYNC110  # a row tells nobody
            await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def main(arguments: Sequence[str]) -> int:
    """Measure and report."""
    options = parser("time")
    options.add_argument(
        "--rows", type=int, default=1_000_000, help="enrollments that lie in the future; 0 leaves it out"
    )
    options.add_argument("--steps", type=int, default=1000, help="steps that fall due")
    options.add_argument("--people", type=int, default=100_000, help="rows of the file of contacts; 0 leaves it out")
    options.add_argument("--timers", type=int, default=10_000, help="timers that fall due at once; 0 leaves it out")
    options.add_argument(
        "--broadcast", type=int, default=10_000, help="people a chain writes to while somebody chats; 0 leaves it out"
    )
    options.add_argument("--accounts", type=int, default=1, help="of the vendor's, over which the broadcast is spread")
    chosen = options.parse_args([*arguments])
    shown = [flag for flag in ("--json", "--check") if getattr(chosen, flag[2:])]
    report = measure(chosen.rows, chosen.steps, chosen.people, chosen.timers, chosen.broadcast, chosen.accounts)
    return uvloop.run(report).show(shown)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
