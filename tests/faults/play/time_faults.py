"""Clocks that are wrong, and timers that fall due while nobody is there."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

from tests.faults.clock import build_shim
from tests.faults.flows import document
from tests.faults.hands import Hands
from tests.faults.plan import Conversation, Shape, Turn
from tests.faults.stage import Stage
from tests.faults.system import Layout

FIRED_WITHIN_SECONDS = 300.0
SPREAD = 0.04
"""Seconds between two conversations that begin: thousands at once would test something else."""
CALM_SECONDS = 10.0


async def clocks_off(stage: Stage) -> None:
    """F14. One worker lives an hour ahead, one an hour behind, a web process 50 s behind (tokens tolerate 60 s)."""
    shim = build_shim(stage.folder)
    if shim is None:
        stage.result.missing, stage.result.note = "not run", "needs a C compiler for the library that shifts the clock"
        return
    shape = Shape(
        conversations=stage.size("conversations", 80, 2_000), turns=3, pause=1.5,
        flags={"model slow2": 0.3, "timer": 0.3},
    )  # fmt: skip

    async def deeds(stage: Stage, hands: Hands) -> None:
        # Started again with wrong clocks before most has been said.
        for name, seconds in (("worker1", 3600), ("web2", -50), ("worker2", -3600)):
            program = stage.system.programs[name]
            program.environment |= {"LD_PRELOAD": str(shim), "SHIFT_SECONDS": str(seconds)}
            await hands.kill(name)
        await asyncio.sleep(3.0)
        await hands.kill("web1")

    history = await stage.play(Layout(web=2, workers=2), shape, deeds)
    attempts = sum(t["attempts"] > 1 for t in history.turns)
    stage.result.figures["turns with a second attempt"] = attempts
    fenced = sum(p.says("lease_lost") for p in stage.system.programs.values())
    stage.result.gate("leases stolen from the living", fenced, "==", 0)
    stage.result.note = "signatures of webhooks: tests/api/test_hooks.py"


async def timers_due_while_down(stage: Stage) -> None:
    """F22. All processes are down when the timers fall due; each fires once, soon after the return."""
    count = stage.size("timers", 300, 10_000)
    down = stage.size("seconds down", 5, 3_600)
    talks = [Conversation(f"c{n}", "api_async", (Turn(1, "timer"), Turn(2))) for n in range(count)]
    far = 3_000
    waiting = 0

    async def deeds(stage: Stage, hands: Hands) -> None:
        nonlocal waiting
        system, began = stage.system, time.monotonic()
        while stage.is_talking:
            before, (waiting, pending) = waiting, await asyncio.to_thread(_timers, stage)
            # Some of them may have been refused as too many at once, and do not repeat.
            is_calm = waiting == before > 0 and time.monotonic() - began > count * SPREAD + CALM_SECONDS
            if not pending and (waiting == count or is_calm):
                break
            await asyncio.sleep(2.0)
        with hands.noted("down", "everything"):
            async with system.hands_on():
                for program in system.programs.values():
                    if program is not system.vendor:
                        program.kill()
                await asyncio.to_thread(_move_timers, stage)
                await asyncio.sleep(min(down, 60))
            back = time.time()
            for name in system.named("web"):
                await system.until_ready(name)
        system.actions.note("back", when=back)

    layout = Layout(workers=1, flow=document(timer_seconds=far))
    history = await stage.play(layout, talks, deeds, at_once=count, patience=900, spread=SPREAD)
    back = next(a["when"] for a in history.actions if a["kind"] == "back")
    fired = [row for row in history.inbox if row["kind"] == "timer"]
    stage.result.gate("timers set", waiting, ">=", count * 0.8)
    stage.result.gate("timers that fired", len(fired), "==", waiting)
    late = max((row["done_at"] or 1e12) - back for row in fired) if fired else 0.0
    stage.result.gate("all answered after the return, s", round(late, 1), "<=", FIRED_WITHIN_SECONDS)
    order = [row["due_at"] for row in sorted(fired, key=lambda r: r["received_at"])]
    stage.result.figures["fired before an earlier one"] = sum(a > b for a, b in pairwise(order))
    stage.result.note = "due times are moved into the past while everything is down, instead of waiting for an hour"


def _timers(stage: Stage) -> tuple[int, int]:
    """How many are set, and how many messages were not answered yet."""
    with stage.system.database.look() as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM timer), (SELECT count(*) FROM inbox WHERE state = 'pending')"
        ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _move_timers(stage: Stage) -> None:
    with stage.system.database.look() as connection:
        connection.execute("UPDATE timer SET due_at = now() - random() * interval '1 hour'")
