"""What channels cost: taking in webhooks, and keeping bots connected that are asked for their messages."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from graph_runtime.services.conversation_side import Part
from graph_runtime.storage import migrate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.benchmarks.figures import Report, parser
from tests.delivery_world import Place
from tests.fakes.telegram import TelegramFake, telegram
from tests.telegram_world import BotProcess, bots

BOTS = 50
RATE = 500
SECONDS = 6.0


def main(arguments: Sequence[str]) -> int:
    """Measure and report; with --check the exit code says whether the goals hold."""
    parser("connectors").parse_args(arguments)
    report = Report("connectors")
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server, telegram() as fake:
        migrate.upgrade(server.admin_url)
        asyncio.run(_measure(report, server, fake))
    report.goal("bots_50_mb", "<=", 150)
    report.goal("accept_500_p99_ms", "<=", 200)
    return report.show(arguments)


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
    # A web process that leaves turns to workers.
    part = Part(runs_what_it_accepts=False)
    async with bots(server.app_url, public_url="https://bots.example.com", part=part) as side:
        await _accept(report, side, place, fake)


async def _accept(report: Report, side: BotProcess, place: Place, fake: TelegramFake) -> None:
    """A steady rate from many people, whether or not the ones before are answered."""
    bot = fake.bot("Posted")
    row = await side.connect(place, bot)
    while not bot.webhook:  # noqa: ASYNC110  # in another thread
        await asyncio.sleep(0.05)
    headers = {"x-telegram-bot-api-secret-token": bot.webhook["secret_token"]}
    public_id = row.path.rpartition("/")[2]
    await side.stop_sending()
    # The fake shares this process: thanking it would be measured twice.
    side.intake._doors = None
    took: list[float] = []

    async def post(number: int) -> None:
        person = {"id": 10_000 + number % 2000, "is_bot": False, "first_name": "P", "type": "private"}
        message = {"message_id": number, "from": person, "chat": person, "date": 1, "text": f"m{number}"}
        body = json.dumps({"update_id": number, "message": message}).encode()
        began = time.perf_counter()
        await side.hooks.receive("telegram", public_id, body, headers)
        took.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    posts: list[asyncio.Task[None]] = []
    for number in range(int(RATE * SECONDS)):
        posts.append(asyncio.create_task(post(number)))
        await asyncio.sleep(max(0.0, began + (number + 1) / RATE - time.perf_counter()))
    await asyncio.gather(*posts)
    report.figures["accept_per_second"] = len(took) / (time.perf_counter() - began)
    took.sort()
    report.figures["accept_500_p50_ms"] = took[len(took) // 2]
    report.figures["accept_500_p99_ms"] = took[int(len(took) * 0.99)]


def _megabytes() -> float:
    gc.collect()
    return psutil.Process(os.getpid()).memory_info().rss / 1_000_000
