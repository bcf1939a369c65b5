"""Follow-ups of very many people: files of contacts into a chain, its calendar, triggers of one event, a month played."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from graph_runtime.contract.trigger_rules import Facts, verdict
from graph_runtime.contract.triggers import Trigger
from graph_runtime.services.chain_calendar import ChainCalendar
from graph_runtime.services.chain_play import Sample, Script
from graph_runtime.services.contact_imports import ContactImports
from tests.benchmarks.figures import Report
from tests.chain_world import ChainProcess, after, message
from tests.delivery_world import Place

ZONES = ("Europe/Kyiv", "America/New_York", "Asia/Kolkata", "")
BROKEN = ("12,", "+380671,", "nobody knows,", ",Mars/Olympus", "0671234567,")
"""Phones and time zones that are none."""
TRIGGERS = 200
MONTH = 30

Admin = psycopg.Connection[tuple[object, ...]]


async def measure_many(side: ChainProcess, place: Place, admin: Admin, report: Report, people: int) -> None:
    """Add the figures of `people` people."""
    steps = [
        message(f"m{n}", "Hello {{ contact.name }}", delay=after(2 * n, "working_days", "11:00")) for n in range(5)
    ]
    chain = await side.chain(place.who, *steps)
    imports = ContactImports(side.database)
    good = "".join(f"c{n},+38067{1_000_000 + n},{ZONES[n % 4]}\n" for n in range(people))
    report.figures["csv_enroll_s"] = await _file(imports, place, chain, good)
    enrolled = admin.execute("SELECT count(*) FROM enrollment").fetchone()
    assert enrolled == (people,), enrolled
    broken = "".join(
        f"b{n},{BROKEN[n // 2 % len(BROKEN)]}\n" if n % 2 else f"g{n},+38050{1_000_000 + n},\n"
        for n in range(2 * people)
    )
    report.figures["csv_broken_s"] = await _file(imports, place, chain, broken)
    found = admin.execute("SELECT count(*), (SELECT count(*) FROM enrollment) FROM contact_import_problem").fetchone()
    assert found == (people, 2 * people), found
    admin.execute("ANALYZE")
    calendar, today = ChainCalendar(side.database), datetime.now(UTC).date()
    counted = await calendar.days(place.who, chain, today, 31)
    assert sum(c.count for c in counted) >= 2 * people
    report.figures["calendar_s"] = await _timed(lambda: calendar.days(place.who, chain, today, 31))
    month = [message(f"d{n}", f"Day {n}", delay=after(1, at="11:00")) for n in range(MONTH)]
    played = await side.chain(place.who, *month)

    async def play() -> Any:
        return await side.play.play(place.who, played, Sample(values={"name": "Nina"}), Script(datetime.now(UTC)))

    assert sum(h.what in {"done", "skipped"} for h in (await play()).happenings) == MONTH
    report.figures["play_month_s"] = await _timed(play)
    report.figures["triggers_ms"] = _triggers(admin, place)
    report.goal("csv_enroll_s", "<=", 60 * people / 100_000)
    report.goal("calendar_s", "<=", 2.0)
    report.goal("play_month_s", "<=", 3.0)
    report.goal("triggers_ms", "<=", 20.0)
    report.notes.append(
        f"A file of {people} contacts enters a chain of five steps; a second one has as many broken rows between as many good"
        f" ones; then {2 * people} people are inside. {TRIGGERS} triggers hear one event (kept in its transaction) and decide."
    )


async def _file(imports: ContactImports, place: Place, chain: str, rows: str) -> float:
    began = time.monotonic()
    import_id = await imports.keep(place.who, "people.csv", ("name,phone,time_zone\n" + rows).encode())
    await imports.start(place.who, import_id, ["name", "phone", "time_zone"], chain_id=chain)
    assert await imports.run_next()
    progress = await imports.progress(place.who, import_id)
    assert progress.state == "done", progress
    return round(time.monotonic() - began, 1)


async def _timed(work: Callable[[], Awaitable[Any]]) -> float:
    taken = []
    for _ in range(3):
        began = time.monotonic()
        await work()
        taken.append(time.monotonic() - began)
    return round(statistics.median(taken), 3)


def _triggers(admin: Admin, place: Place) -> float:
    """What an event costs that 200 triggers hear: keeping the occasions, and deciding about each."""
    document = {
        "name": "Quiet", "when": {"kind": "event", "event": "contact.tagged"},
        "condition": {"all": [{"left": {"ref": "contact.tier"}, "op": "eq", "right": {"value": "gold"}},
                              {"left": {"ref": "event.tag"}, "op": "eq", "right": {"value": "vip"}}]},
        "actions": [{"do": "notify", "text": "Look at them"}],
    }  # fmt: skip
    trigger = Trigger.model_validate(document)
    taken = []
    with admin.transaction(force_rollback=True):
        admin.execute(
            "INSERT INTO agent_trigger (workspace_id, agent_id, name, is_on, kind, event, document)"
            " SELECT %s, %s, 't' || n, true, 'event', 'contact.tagged', %s FROM generate_series(1, %s) n",
            (place.workspace_id, place.agent_id, Jsonb(document), TRIGGERS),
        )
        row = admin.execute("SELECT id FROM contact WHERE workspace_id = %s LIMIT 1", (place.workspace_id,)).fetchone()
        assert row is not None
        for n in range(5):
            began = time.monotonic()
            admin.execute(
                "SELECT hear_triggers(%s, NULL, 'contact.tagged', %s, NULL, %s, %s)",
                (place.workspace_id, row[0], f"e{n}", Jsonb({"tag": "vip"})),
            )
            facts = Facts(contact={"tier": "silver"}, event={"type": "contact.tagged", "tag": "vip"})
            decided = [verdict(trigger, facts) for _ in range(TRIGGERS)]
            taken.append(1000 * (time.monotonic() - began))
            assert all(decided)
        heard = admin.execute("SELECT count(*) FROM trigger_run").fetchone()
        assert heard == (5 * TRIGGERS,), heard
    return round(statistics.median(taken), 1)
