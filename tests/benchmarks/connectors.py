"""What the outside world costs: taking in webhooks, keeping bots connected, writing to a customer system.

`--only bots`, `--only accept` or `--only crm` measures one of them; `--seconds`: how long webhooks come.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import uvloop

from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.benchmarks.figures import Report, parser
from tests.benchmarks.parts import accepting, crm_write
from tests.delivery_world import Place
from tests.fakes.telegram import TelegramFake, telegram
from tests.telegram_world import bots

BOTS = 50
RATE = 500
SECONDS = 60.0


def main(arguments: Sequence[str]) -> int:
    """Measure and report; with --check the exit code says whether the goals hold."""
    options = parser("connectors")
    options.add_argument("--only", choices=("bots", "accept", "crm"), help="measure this alone")
    options.add_argument("--seconds", type=float, default=SECONDS, help="how long webhooks come")
    wanted = options.parse_args(arguments)
    report = Report("connectors")
    if wanted.only in (None, "accept"):
        report.figures |= asyncio.run(accepting.measure(RATE, wanted.seconds))
        report.goal("accept_p99_ms", "<=", 200)
        report.goal("accept_other_than_2xx", "<=", 0)
        report.goal("accept_lost", "<=", 0)
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server, telegram() as fake:
        migrate.upgrade(server.admin_url)
        if wanted.only in (None, "crm"):
            report.figures |= uvloop.run(crm_write.measure(server))
            report.goal("crm_write_own_ms", "<=", 5)
            report.goal("crm_outage_ratio", "<=", 1.1)
            report.goal("crm_put_aside", ">=", 1)
            report.goal("crm_updates_lost", "<=", 0)
        if wanted.only in (None, "bots"):
            asyncio.run(_measure(report, server, fake))
            report.goal("bots_50_mb", "<=", 150)
    report.notes.append(
        f"Everything shares {os.cpu_count()} cores; load of the minute before the end {os.getloadavg()[0]:.1f}."
    )
    return report.show([a for a in arguments if a in ("--json", "--check")])


async def _measure(report: Report, server: EmbeddedPostgres, fake: TelegramFake) -> None:
    place = Place(server.admin_url)
    async with bots(server.app_url) as side:
        await side.connect(place, fake.bot("Warm"))
        await asyncio.sleep(2)
        before = _megabytes()
        made = [fake.bot(f"B{n}") for n in range(BOTS)]
        for bot in made:
            await side.connect(place, bot)
        while not all(bot.calls("getUpdates") for bot in made):  # noqa: ASYNC110  # in another thread
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        report.figures["bots_50_mb"] = _megabytes() - before
        began = time.process_time()
        await asyncio.sleep(5)
        report.figures["bots_50_idle_cpu_percent"] = (time.process_time() - began) / 5 * 100
        made[-1].write("hello")
        asked = time.perf_counter()
        while not made[-1].texts():  # noqa: ASYNC110  # in another thread
            await asyncio.sleep(0.002)
        report.figures["polled_answer_ms"] = (time.perf_counter() - asked) * 1000


def _megabytes() -> float:
    """Held by this process, without what it has freed and could give back: bots would be served from that and seem to cost
    nothing."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc's alone
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process(os.getpid()).memory_info().rss / 1_000_000
