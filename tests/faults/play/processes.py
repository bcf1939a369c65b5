"""Processes are killed, frozen and restarted while people talk."""

from __future__ import annotations

import asyncio

from tests.faults.flows import document
from tests.faults.hands import Hands
from tests.faults.history import History
from tests.faults.plan import Conversation, Shape, Turn
from tests.faults.stage import Stage, p95
from tests.faults.system import Layout
from tests.faults.world import publish_again

RESUME_P95_SECONDS = 35.0


async def _kill_repeatedly(stage: Stage, hands: Hands, kills: int, kinds: tuple[str, ...]) -> None:
    """One after the other; the next one falls while the one before is still starting, never on the same process."""
    await asyncio.sleep(1.0)
    places = asyncio.Semaphore(2)
    dying: set[str] = set()

    async def kill(name: str) -> None:
        try:
            await hands.kill(name)
        finally:
            dying.discard(name)
            places.release()

    async with asyncio.TaskGroup() as group:
        for _ in range(kills):
            await places.acquire()
            kind = stage.chance.choice(kinds)
            name = stage.chance.choice([n for n in stage.system.named(kind) if n not in dying])
            dying.add(name)
            group.create_task(kill(name))
            await asyncio.sleep(stage.chance.uniform(0.5, 2.5))


async def kill_those_that_run_turns(stage: Stage) -> None:
    """F1. Without a queue, web processes run turns too; workers send."""
    shape = Shape(
        conversations=stage.size("conversations", 200, 3_000, promised=10_000),
        turns=stage.size("turns", 3, 5),
        pause=1.0,
    )
    kills = stage.size("kills", 8, 100)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await _kill_repeatedly(stage, hands, kills, ("worker", "web"))

    history = await stage.play(Layout(web=3, workers=3), shape, deeds, keep_talking=True)
    _count_hits(stage, history)
    stage.result.gate(
        "resume p95, s", stage.result.figures.get("p95 of interrupted turns, s", 0), "<=", RESUME_P95_SECONDS
    )


def _count_hits(stage: Stage, history: History) -> None:
    figures = stage.result.figures
    again = {t["inbox_id"] for t in history.turns if t["attempts"] > 1}
    figures["turns with a second attempt"] = len(again)
    took = [row["done_at"] - row["received_at"] for row in history.inbox if row["id"] in again and row["done_at"]]
    figures["p95 of these from stored to answered, s"] = p95(took or [0.0])
    figures["deliveries tried again"] = sum(row["attempt"] > 1 for row in history.outbox)
    figures["marked as possibly duplicate"] = sum(row["possibly_duplicate"] for row in history.outbox)


async def kill_web(stage: Stage) -> None:
    """F2. Clients repeat as their documents say."""
    shape = Shape(
        conversations=stage.size("conversations", 200, 2_000, promised=10_000), turns=3, pause=2.0, flags={"model": 0.2}
    )
    kills = stage.size("kills", 8, 100)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await _kill_repeatedly(stage, hands, kills, ("web",))

    history = await stage.play(Layout(web=3), shape, deeds, keep_talking=True)
    _count_hits(stage, history)


async def kill_web_after_acknowledging(stage: Stage) -> None:
    """F3. What was acknowledged is answered although nobody sends it again.

    Each message by itself: who was not answered writes the next one at once, and both would be answered together.
    """
    shape = Shape(
        conversations=stage.size("conversations", 200, 2_000, promised=5_000), turns=3, flags={"model": 0.5}, pause=2.0,
        mix={"api_async": 0.5, "hook_once": 0.5},
    )  # fmt: skip
    kills = stage.size("kills", 8, 100)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await _kill_repeatedly(stage, hands, kills, ("web",))

    history = await stage.play(Layout(web=3, flow=document(gather_ms=0)), shape, deeds, keep_talking=True)
    _count_hits(stage, history)
    stage.result.figures["messages not acknowledged"] = len(history.noted("not_acked"))


async def frozen_past_its_lease(stage: Stage) -> None:
    """F15. The frozen process wakes with an answer in its hand and may not write it."""
    seconds = stage.size("seconds frozen", 40, 90)
    slow = 15  # longer than until the freeze, shorter than any caller of a model waits
    count = stage.size("conversations", 12, 60)
    talks = [
        Conversation(
            f"c{n}", "api_async" if n % 2 else "chat", (Turn(1, f"model slow{slow}"), Turn(2, "model"), Turn(3))
        )
        for n in range(count)
    ]

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(4.0)
        await hands.freeze(f"{stage.system.runners}1", seconds)
        await hands.freeze("worker2", 3.0)

    history = await stage.play(Layout(web=2, workers=2), talks, deeds)
    taken_over = sum(t["attempts"] > 1 for t in history.turns)
    fenced = stage.system.programs[f"{stage.system.runners}1"].says("lease_lost")
    stage.result.gate("turns taken over", taken_over, ">=", 1)
    stage.result.gate("writes refused to the woken process", fenced, ">=", 1)


async def rolling_restart(stage: Stage) -> None:
    """F20. Every process is asked to end, one after another; a new version is published in between."""
    rounds = stage.size("rounds", 2, 8, promised=10)
    shape = Shape(conversations=stage.size("conversations", 120, 2_000, promised=5_000), turns=4, pause=2.0)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(2.0)
        environment = stage.system.programs["web1"].environment
        for n in range(rounds):
            for name in ("web1", "worker1", "web2"):
                code = await hands.terminate(name)
                stage.result.figures["exits that were not clean"] = stage.result.figures.get(
                    "exits that were not clean", 0
                ) + (code != 0)
            await publish_again(environment, stage.system.world, document(version=n + 2))

    history = await stage.play(Layout(web=2), shape, deeds, keep_talking=True)
    stage.result.gate("5xx answers", stage.result.figures["5xx"], "==", 0)
    stage.result.gate("conversations that changed their version", _changed_version(history.messages), "==", 0)
    stage.result.note = "clients choose another web process when one hangs up, as a load balancer does"


def _changed_version(messages: list[dict[str, object]]) -> int:
    words: dict[object, set[str]] = {}
    for message in messages:
        last = str(message["text"]).rsplit(" ", 1)[-1]
        if message["role"] == "agent" and last.startswith("v") and last[1:].isdecimal():
            words.setdefault(message["conversation_id"], set()).add(last)
    return sum(len(found) > 1 for found in words.values())


async def power_cut(stage: Stage) -> None:
    """Everything is gone at once, in the middle of many conversations, several times."""
    shape = Shape(conversations=stage.size("conversations", 500, 500), turns=3, pause=1.0)
    cuts = stage.size("power cuts", 2, 5)

    async def deeds(stage: Stage, hands: Hands) -> None:
        total, done = shape.conversations, 0
        while done < cuts and stage.is_talking:
            await asyncio.sleep(3.0)
            if stage.driver.done >= total * 0.9:
                break
            await hands.kill_everything(stage.chance.uniform(0.2, 1.5))
            done += 1
        stage.result.sizes["power cuts"] = done

    await stage.play(Layout(web=2), shape, deeds, at_once=500)
