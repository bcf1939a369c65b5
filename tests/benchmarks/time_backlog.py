"""Very many timers that fell due while nothing ran: how long until all have fired, and what people who chat notice."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import psycopg

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.places import REPOSITORY
from tests.benchmarks.figures import Report
from tests.conversation_world import Process as Side
from tests.conversation_world import process, publish
from tests.engine.small_nodes import flow

Admin = psycopg.Connection[tuple[object, ...]]
CHATS = 150
PAUSE_SECONDS = 0.1
WITHIN_SECONDS = 120.0

REMINDER = flow(
    {
        "s": ("start", {}), "first": ("delay", {"duration": "PT1H"}), "one": ("send_message", {"text": "one"}),
        "second": ("delay", {"duration": "PT1S"}), "two": ("send_message", {"text": "two"}), "q": ("ask", {"text": "and?"}),
    },
    {"s.next": "first", "first.elapsed": "one", "one.next": "second", "second.elapsed": "two", "two.next": "q",
     "q.answered": "q"},
)  # fmt: skip
CHAT = flow({"s": ("start", {}), "q": ("ask", {"text": "say something"})}, {"s.next": "q", "q.answered": "q"})

# One conversation that rests is made by the product; the others are its copies, with their own contacts.
_COPIES = """
    WITH c AS (SELECT * FROM conversation WHERE id = %(id)s), t AS (SELECT * FROM timer WHERE conversation_id = %(id)s),
    people AS (INSERT INTO contact (workspace_id, name) SELECT c.workspace_id, 'p' || n FROM c, generate_series(2, %(count)s) n RETURNING id),
    made AS (
        INSERT INTO conversation SELECT (jsonb_populate_record(NULL::conversation, to_jsonb(c)
            || jsonb_build_object('id', uuidv7(), 'contact_id', p.id))).* FROM c, people p RETURNING id, workspace_id, turn_seq)
    INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq)
        SELECT m.workspace_id, m.id, t.due_at, m.turn_seq FROM made m, t
"""


async def measure_backlog(url: str, admin_url: str, folder: Path, report: Report, timers: int) -> None:
    """`timers` conversations wait for an hour that passes while nothing runs; each then waits a second more."""
    catalog = load_catalog(("nodes",))
    waiting = publish(admin_url, REMINDER)
    talking = publish(admin_url, CHAT)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        async with process(url, catalog=catalog) as web:
            first = await web.begin(waiting)
            admin.execute(_COPIES, {"id": first, "count": timers})
            admin.execute("ANALYZE")
            chat = await web.begin(talking)
            calm = await _chat(web, talking, chat, CHATS)
            admin.execute("UPDATE timer SET due_at = now() - random() * interval '1 hour'")
            worker = await _worker(url, folder)
            began = time.monotonic()
            assert worker.stdin is not None
            worker.stdin.write(b"go\n")
            draining = asyncio.create_task(_drained(admin, timers))
            busy: list[float] = []
            while not draining.done():
                busy += await _chat(web, talking, chat, 10)
            first_s, all_s = (moment - began for moment in await draining)
            worker.kill()
            await worker.wait()
        _look(admin, report, timers)
    report.figures |= {
        "backlog_timers": float(timers), "backlog_fired_s": round(first_s, 1), "backlog_both_s": round(all_s, 1),
        "chat_calm_p95_ms": _p95(calm), "chat_busy_p95_ms": _p95(busy),
        "chat_busy_ratio": round(_p95(busy) / _p95(calm), 2),
    }  # fmt: skip
    report.goal("backlog_fired_s", "<=", WITHIN_SECONDS)
    report.goal("backlog_wrong", "<=", 0.0)
    report.goal("backlog_out_of_order", "<=", 0.0)
    report.goal("chat_busy_ratio", "<=", 1.5)
    report.notes.append(
        f"{timers} timers fell due within an hour in which nothing ran; one worker fires them while somebody chats with another"
        " process; each conversation then waits a second more, so that its second timer falls due in the crowd."
    )


async def _worker(url: str, folder: Path) -> Process:
    with (folder / "worker.log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks._backlog_worker", url, stdin=PIPE, stdout=PIPE, stderr=log, cwd=REPOSITORY
        )  # fmt: skip
    assert worker.stdout is not None
    if await worker.stdout.readline() != b"ready\n":
        raise RuntimeError((folder / "worker.log").read_text("utf-8")[-2000:])
    return worker


async def _chat(web: Side, access: Any, conversation: str, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = time.monotonic()
        await web.say(access, conversation, "hello")
        taken.append(1000 * (time.monotonic() - began))
        await asyncio.sleep(PAUSE_SECONDS)
    return taken


async def _drained(admin: Admin, timers: int) -> tuple[float, float]:
    """When every conversation had said its first message, and when its second."""
    first = 0.0
    async with asyncio.timeout(20 * WITHIN_SECONDS):
        while True:
            row = await asyncio.to_thread(_said, admin)
            first = first or (time.monotonic() if row[0] >= timers else 0.0)
            if row[1] >= timers:
                return first, time.monotonic()
            await asyncio.sleep(1)


def _said(admin: Admin) -> tuple[int, int]:
    row = admin.execute(
        "SELECT count(*) FILTER (WHERE text = 'one'), count(*) FILTER (WHERE text = 'two') FROM message WHERE role = 'agent'"
    ).fetchone()
    assert row is not None
    return int(str(row[0])), int(str(row[1]))


def _look(admin: Admin, report: Report, timers: int) -> None:
    """Exactly once each, and in each conversation in the order in which it fell due."""
    wrong = admin.execute(
        "SELECT count(*) FROM (SELECT conversation_id, array_agg(text ORDER BY seq) AS said FROM message WHERE role = 'agent'"
        " AND text IN ('one', 'two') GROUP BY 1) m WHERE said <> '{one,two}'"
    ).fetchone()
    fired = admin.execute("SELECT count(*) FROM inbox WHERE kind = 'timer' AND state = 'done'").fetchone()
    late = admin.execute(
        "SELECT count(*) FROM (SELECT (payload ->> 'due_at')::timestamptz AS due, lag((payload ->> 'due_at')::timestamptz)"
        " OVER (PARTITION BY conversation_id ORDER BY done_at) AS before FROM inbox WHERE kind = 'timer') i WHERE due < before"
    ).fetchone()
    assert wrong is not None
    assert fired is not None
    assert late is not None
    report.figures["backlog_wrong"] = float(str(wrong[0])) + abs(float(str(fired[0])) - 2 * timers)
    report.figures["backlog_out_of_order"] = float(str(late[0]))


def _p95(values: list[float]) -> float:
    return round(sorted(values)[int(len(values) * 0.95)], 1)
