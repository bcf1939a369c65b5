"""The short form of the proof: real processes, a few faults of each kind, one seed; gates on loss, doubles and leftovers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.delivery_proofs import BLIND, KEYED
from tests.faults.facts import Facts
from tests.faults.hands import Hands
from tests.faults.history import Rows
from tests.faults.journal import read
from tests.faults.plan import Conversation, Shape, Turn, draw
from tests.faults.play.receivers import again
from tests.faults.result import Result
from tests.faults.stage import Stage
from tests.faults.system import Layout

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SEED = 20261125


def stage_of(name: str, folder: Path, *, redis: bool = False) -> Stage:
    return Stage(Result(name, name, SEED), folder, full=False, redis=redis)


def proven(stage: Stage, least_turns: int) -> None:
    """Nothing broken, and enough was said for that to mean something."""
    assert stage.result.violations == []
    assert stage.result.figures["turns acknowledged"] >= least_turns


async def test_killed_frozen_poisoned_and_cut_off_from_power(tmp_path: Path) -> None:
    """Database and web exactly at the commit, workers, everything at once; a frozen process past its lease; copies; a
    deadly message."""
    stage = stage_of("short", tmp_path)
    shape = Shape(conversations=60, turns=4, pause=3.5)
    talks = draw(shape, stage.chance)
    turns = (Turn(1), Turn(2, "model slow10"), Turn(3, "model"))
    slow = [Conversation(f"slow{n}", "chat", turns, pause=3.0, home=0) for n in range(6)]
    bad = [Conversation("bad", "chat", (Turn(1), Turn(2, "poison"), Turn(3)))]
    struck = []

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(1.0)
        struck.append(await hands.kill_database_at_commit("web1", "before", nth=2))
        struck.append(await hands.kill_database_at_commit("web1", "after", nth=2))
        while stage.is_talking and len(await asyncio.to_thread(asked, stage)) < 3:  # noqa: ASYNC110  # books are silent
            await asyncio.sleep(0.2)
        held = {e["text"] for e in asked(stage)}
        since = time.time()
        frozen = asyncio.create_task(
            hands.freeze("web1", 30.0, lambda: any(e["at"] > since and e["text"] in held for e in asked(stage)))
        )
        struck.append(await hands.kill_at_commit("web2", "before", nth=2))
        await hands.kill("worker1")
        struck.append(await hands.kill_at_commit("web2", "after", nth=2))
        await hands.kill("worker2")
        await frozen
        await hands.kill_everything()

    layout = Layout(web=2, workers=2, relayed=True)
    history = await stage.play(
        layout, [*slow, *bad, *talks], deeds, at_once=70, more=replace(shape, conversations=20, prefix="more")
    )
    proven(stage, 220)
    assert struck == [True] * 4
    facts = Facts(history)
    assert facts.inbox[facts.trigger["bad", 2]]["state"] == "dead"
    assert sum(t["attempts"] > 1 for t in history.turns) >= 1
    assert stage.system.programs["web1"].says("lease_lost") >= 1, "nothing was in the hands of the frozen process"


def asked(stage: Stage) -> Rows:
    """The calls for slow answers that the model's maker has in its books."""
    return [e for e in read(stage.system.vendor_journal) if e["kind"] == "accepted" and "slow10" in e["text"]]


async def test_workers_redis_and_receivers_fail(tmp_path: Path) -> None:
    """Web only accepts; Redis is killed and emptied, workers are killed, receivers hang up after accepting."""
    stage = stage_of("redis", tmp_path, redis=True)
    shape = Shape(
        conversations=40, turns=3, pause=2.0, bye=0.0,
        mix={"webhook": 0.3, "hook_burst": 0.1, "blind": 0.2, "reconcile": 0.1, "chat": 0.15, "api": 0.15},
    )  # fmt: skip

    async def deeds(stage: Stage, hands: Hands) -> None:
        for lane in (KEYED, BLIND):
            await stage.system.receiver_fails(lane, "reset_after_accept", share=0.1)
        await asyncio.sleep(2.0)
        await hands.kill_redis(1.0)
        await hands.kill("worker1")
        await hands.flush_redis()
        await hands.kill("worker2")

    history = await stage.play(Layout(web=1, workers=2), shape, deeds)
    proven(stage, 120)
    for lane in (KEYED, BLIND):
        assert again(history.receiver, lane), "no message was taken in twice, so nothing was folded or marked"
    assert any(row["possibly_duplicate"] for row in history.outbox)
