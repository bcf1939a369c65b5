"""What the programs at the other end of push channels do to us: they ask for a pause, hang up, and post very much."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

from graph_runtime.places import REPOSITORY
from tests.faults.delivery_proofs import BLIND, KEYED
from tests.faults.hands import Hands
from tests.faults.history import History, Rows
from tests.faults.plan import HOOKS, Shape, draw
from tests.faults.stage import Stage, p95
from tests.faults.system import Layout

PAUSE_SECONDS = 35
IN_FLIGHT_SECONDS = 1.0
"""What was under way when the receiver asked for a pause still arrives."""
P99_SECONDS = 0.2
RATES = (50, 100, 150, 200, 300, 400, 500)
"""Webhooks a second; the last one is the promise."""


async def asked_for_a_pause(stage: Stage) -> None:
    """F11. Nothing reaches that receiver before the pause is over; everybody else goes on."""
    pauses = stage.size("pauses", 1, 2)
    calm = stage.size("calm seconds before", 15, 60)
    mix = {"webhook": 0.4, "blind": 0.2, "reconcile": 0.1, "chat": 0.3}
    seconds = calm + pauses * (PAUSE_SECONDS + 10)
    shape = Shape(
        conversations=stage.size("conversations", 60, 200), turns=int(seconds / 2.5), mix=mix, flags={}, bye=0.0
    )
    talks = [replace(c, pause=1.5) for c in draw(shape, stage.chance)]

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(calm)
        for _ in range(pauses):
            await stage.system.receiver_fails(KEYED, "rate_limited", seconds=PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS + 8)

    history = await stage.play(Layout(web=2, workers=2), talks, deeds)
    asked = [e["at"] for e in history.receiver if e["kind"] == "arrived" and e["fault"] == "rate_limited"]
    stage.result.gate("pauses asked for", len(asked), "==", pauses)
    early = [
        e for e in history.receiver for at in asked
        if e["kind"] == "arrived" and e["lane"] == KEYED and at + IN_FLIGHT_SECONDS < e["at"] < at + PAUSE_SECONDS
    ]  # fmt: skip
    stage.result.gate("calls before it was over", len(early), "==", 0)
    stage.result.figures["calls in flight when it was asked for"] = sum(
        e["kind"] == "arrived" and e["lane"] == KEYED and at < e["at"] <= at + IN_FLIGHT_SECONDS
        for e in history.receiver for at in asked
    )  # fmt: skip
    before, meanwhile = _others(history, calm, asked)
    stage.result.figures["p95 of others before, s"] = before
    stage.result.gate("p95 of others meanwhile, s", meanwhile, "<=", round(1.1 * before, 2))


def _others(history: History, calm: float, asked: list[float]) -> tuple[float, float]:
    """p95 of the channels that nobody paused, before the first pause and during all of them."""
    channel = {e["name"]: e["channel"] for e in history.noted("begun")}
    done = [e for e in history.noted("complete") if HOOKS.get(channel.get(e["name"], "")) != KEYED]
    first = min(asked, default=0.0)
    before = [e["seconds"] for e in done if first - calm / 2 < e["at"] < first]
    meanwhile = [e["seconds"] for e in done if any(at < e["at"] < at + PAUSE_SECONDS for at in asked)]
    return p95(before or [0.0]), p95(meanwhile or [0.0])


async def reset_after_accepting(stage: Stage) -> None:
    """F12. The receiver has the message and hangs up: each send class by its own rule."""
    share = 0.15
    mix = {"webhook": 0.4, "blind": 0.3, "reconcile": 0.3}
    shape = Shape(conversations=stage.size("conversations", 60, 600), turns=3, mix=mix, bye=0.0)
    stage.result.sizes["share of requests"] = share

    async def deeds(stage: Stage, hands: Hands) -> None:
        for lane in sorted(set(HOOKS.values())):
            await stage.system.receiver_fails(lane, "reset_after_accept", share=share)

    history = await stage.play(Layout(web=2, workers=2), shape, deeds, patience=240)
    for lane in sorted(set(HOOKS.values())):
        resets = [e for e in history.receiver if e["kind"] == "arrived" and e["lane"] == lane and e["fault"]]
        stage.result.gate(f"resets by {lane}", len(resets), ">=", 10)
        stage.result.figures[f"taken in again by {lane}"] = len(again(history.receiver, lane))
    marked = {row["vendor_key"] for row in history.outbox if row["possibly_duplicate"]}
    unmarked = [e for e in again(history.receiver, BLIND) if e["key"] not in marked]
    stage.result.gate("repeats to BLIND that are not marked", len(unmarked), "==", 0)
    stage.result.note = "webhook folds by key; at most once: tests/integration/test_deliveries_killed.py"


def again(receiver: Rows, lane: str) -> Rows:
    """What a receiver took in under a key that it had."""
    seen: set[str] = set()
    found: Rows = []
    for entry in receiver:
        if entry["kind"] == "arrived" and entry["lane"] == lane and entry["accepted"]:
            found += [entry] if entry["key"] in seen else []
            seen.add(entry["key"])
    return found


async def many_webhooks(stage: Stage) -> None:
    """F30. A load generator posts on a timetable: first to find the rate that this machine bears, then for long."""
    seconds = stage.size("seconds at that rate", 10, 600)
    each = stage.size("seconds of each trial", 5, 15)
    contacts = stage.size("contacts", 50, 50)
    reports: list[dict[str, Any]] = []

    async def load(stage: Stage, rate: int, seconds: int) -> float:
        """The p99 of the latency."""
        hook = stage.system.world.hooks[KEYED]
        report = stage.folder / "load.json"
        wanted = {
            "addresses": stage.system.addresses, "path": hook.path, "secret": hook.secret, "rate": rate,
            "seconds": seconds, "contacts": contacts, "prefix": f"load{len(reports)}.", "report": str(report),
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "tests.faults.webhook_load", json.dumps(wanted),
            stdin=asyncio.subprocess.PIPE, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        assert await process.wait() == 0, "the load generator failed"
        reports.append(json.loads(report.read_text("utf-8")))
        return _p99(reports[-1])

    async def deeds(stage: Stage, hands: Hands) -> None:
        borne = RATES[0]
        for rate in RATES:
            if await load(stage, rate, each) > P99_SECONDS:
                break
            borne = rate
            await asyncio.sleep(3.0)
        stage.result.gate("webhooks a second with a p99 of 0.2 s", borne, ">=", RATES[-1])
        await asyncio.sleep(5.0)
        await load(stage, borne, seconds)

    talks = draw(Shape(conversations=5, turns=3, pause=1.0), stage.chance)
    history = await stage.play(Layout(web=2), talks, deeds)
    made = reports[-1]["latencies"]
    stage.result.gate("p99 at that rate, s", _p99(reports[-1]), "<=", P99_SECONDS)
    stage.result.figures |= {"p50 at that rate, s": made[len(made) // 2], "slowest, s": made[-1]}
    refused = sum(n for r in reports for status, n in r["statuses"].items() if not 200 <= int(status) < 300)
    stage.result.gate("answers other than 2xx", refused, "==", 0)
    stored = {row["dedupe_key"]: row["state"] for row in history.inbox}
    lost = [key for r in reports for key in r["acknowledged"] if stored.get(f"hook:{key}") != "done"]
    stage.result.gate("acknowledged and not processed", len(lost), "==", 0)
    stage.result.note = (
        "generator, receivers, clients, database and product share the cores; messages of one contact that come in quick "
        "succession are answered together"
    )


def _p99(report: dict[str, Any]) -> float:
    latencies: list[float] = report["latencies"]
    return round(latencies[int(len(latencies) * 0.99)], 3)
