"""A message of a chain to very many people over a channel whose vendor has a limit (F24), and what people who chat notice."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from graph_runtime.places import REPOSITORY
from tests.benchmarks.figures import Report
from tests.chain_world import ChainProcess, chaining, message
from tests.conversation_world import publish
from tests.delivery_world import Channel, Place
from tests.engine.small_nodes import flow

MESSAGES, SECONDS, BURST = 30, 1.0, 10
"""What the vendor allows an account: as Telegram does a bot, 30 in any second."""
WARM_SECONDS, CALM_SECONDS = 5.0, 30.0
PAUSE_SECONDS = 0.1
AT_ONCE = 10_000
CHAT = flow({"s": ("start", {}), "q": ("ask", {"text": "say something"})}, {"s.next": "q", "q.answered": "q"})

_PEOPLE = """
    WITH people AS (INSERT INTO contact (workspace_id, name) SELECT %(workspace)s, 'p' || n FROM generate_series(1, %(count)s) n
                    RETURNING id, name)
    INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id)
        SELECT (%(channels)s::uuid[])[1 + row_number() OVER () %% %(accounts)s], name, %(workspace)s, id FROM people
"""


async def measure_broadcast(
    url: str, admin_url: str, folder: Path, report: Report, people: int, accounts: int = 1
) -> None:
    """One web process enrolls `people`, spread over `accounts` of the vendor's, and answers who chats; one worker runs the
    steps and sends."""
    place, talking = Place(admin_url), publish(admin_url, CHAT)
    vendor = await _start(folder, "vendor", str(MESSAGES), str(SECONDS), str(accounts))
    worker = await _start(folder, "worker", url, str(MESSAGES), str(SECONDS), str(BURST), until=b"ready\n")
    try:
        async with chaining(url, datetime.now(UTC), is_started=False) as web:
            channels = [await web.add(place, "fake_blind", address) for address in json.loads(vendor.first)]
            chain = await web.chain(place.who, message("news", "News for {{ contact.name }}"))
            ids = _people(admin_url, place, channels, people)
            chat = await web.begin(talking)
            await _chat(web, talking, chat, WARM_SECONDS)
            calm = await _chat(web, talking, chat, CALM_SECONDS)
            began = time.monotonic()
            entering = asyncio.create_task(_enroll(web, place, chain, ids))
            busy: list[float] = []
            while (
                await vendor.ask("count") < people
                and time.monotonic() - began < 60 + 4 * people * SECONDS / MESSAGES / accounts
            ):
                busy += await _chat(web, talking, chat, 2.0)
            took = time.monotonic() - began
            entered_s = await entering - began
            calm += await _chat(web, talking, chat, CALM_SECONDS)  # the machine may have got other work since
        seen = await vendor.ask("report")
    finally:
        await worker.end()
        await vendor.end()
    report.figures |= {
        "broadcast_people": float(people), "broadcast_accounts": float(accounts), "broadcast_s": round(took, 1), "broadcast_enrolled_s": round(entered_s, 1),
        "broadcast_missing": float(people - seen["people"]), "broadcast_doubles": float(seen["doubles"]),
        "broadcast_over_limit": float(seen["over"]), "broadcast_most_in_window": float(seen["most"]),
        "broadcast_chat_calm_p95_ms": _p95(calm), "broadcast_chat_busy_p95_ms": _p95(busy),
        "broadcast_chat_ratio": round(_p95(busy) / _p95(calm), 2),
    }  # fmt: skip
    for key in ("missing", "doubles", "over_limit"):
        report.goal(f"broadcast_{key}", "<=", 0.0)
    report.goal("broadcast_chat_ratio", "<=", 1.2)
    report.notes.append(
        f"One message of a chain to {people} people over {accounts} channel(s) whose vendor allows each {MESSAGES} in any {SECONDS:g} s"
        " and counts by its own clock; one web process enrolls them all while somebody chats with it, one worker runs the steps and sends."
    )


def _people(admin_url: str, place: Place, channels: list[Channel], count: int) -> list[str]:
    values = {
        "workspace": place.workspace_id, "channels": [c.row.id for c in channels], "accounts": len(channels), "count": count
    }  # fmt: skip
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(_PEOPLE, values)
        admin.execute("ANALYZE")
        found = admin.execute("SELECT id::text FROM contact WHERE workspace_id = %(workspace)s", values)
        return [str(row[0]) for row in found.fetchall()]


async def _enroll(web: ChainProcess, place: Place, chain: str, ids: list[str]) -> float:
    """When all were in."""
    for start in range(0, len(ids), AT_ONCE):
        await web.chains.enroll(place.who, chain, ids[start : start + AT_ONCE])
    return time.monotonic()


async def _chat(web: ChainProcess, access: Any, conversation: str, seconds: float) -> list[float]:
    taken, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        await web.say(access, conversation, "hello")
        taken.append(1000 * (time.monotonic() - began))
        await asyncio.sleep(PAUSE_SECONDS)
    return taken


class _Other:
    """A process beside this one, which says a line when it is ready."""

    def __init__(self, process: Process, first: bytes) -> None:
        self._process = process
        self.first = first

    async def ask(self, what: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n".encode())
        return json.loads(await self._process.stdout.readline())

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def _start(folder: Path, name: str, *arguments: str, until: bytes = b"") -> _Other:
    place = folder / f"{name}.log"
    with place.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"tests.benchmarks._broadcast_{name}", *arguments, stdin=PIPE, stdout=PIPE, stderr=log,
            cwd=REPOSITORY,
        )  # fmt: skip
    assert process.stdout is not None
    first = await process.stdout.readline()
    if not first or (until and first != until):
        raise RuntimeError(place.read_text("utf-8")[-2000:])
    return _Other(process, first)


def _p95(values: list[float]) -> float:
    return round(sorted(values)[int(len(values) * 0.95)], 1)
