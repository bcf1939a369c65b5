"""Redis is only a doorbell: it is killed, emptied, and away for long."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from tests.faults.hands import Hands
from tests.faults.history import History
from tests.faults.plan import Conversation, Shape, draw
from tests.faults.stage import Stage, p95
from tests.faults.system import Layout

ADDED_P95_SECONDS = 6.0


async def killed_and_flushed(stage: Stage) -> None:
    """F5. In turn; a wake-up that is lost with it costs seconds."""
    times = stage.size("kills and flushes", 6, 40)
    calm = stage.size("calm seconds before", 12, 60)
    talks = _steadily(stage, stage.size("conversations", 60, 200), seconds=calm + times * 6 + 10)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(calm)
        done = 0
        while done < times and stage.is_talking:
            if done % 2:
                await hands.flush_redis()
            else:
                await hands.kill_redis(stage.chance.uniform(0, 1.5))
            done += 1
            await asyncio.sleep(stage.chance.uniform(0, 1.5))
        stage.result.sizes["kills and flushes"] = done

    history = await stage.play(Layout(web=2, workers=2), talks, deeds)
    before, meanwhile = _before_and_meanwhile(history)
    stage.result.figures |= {"calm p95, s": before, "p95 meanwhile, s": meanwhile}
    stage.result.gate("added latency p95, s", round(meanwhile - before, 2), "<=", ADDED_P95_SECONDS)
    stage.result.note = "no limit is kept in Redis; half are kills, half flushes"


async def away(stage: Stage) -> None:
    """F6. Answers go on through the database; nobody who posts hears of it."""
    seconds = stage.size("seconds away", 20, 600)
    calm = stage.size("calm seconds before", 12, 60)
    talks = _steadily(stage, stage.size("conversations", 60, 200), seconds=calm + seconds + 5)
    gone: list[tuple[float, float]] = []

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(calm)
        since = time.time()
        await hands.kill_redis(seconds)
        gone.append((since, time.time()))

    history = await stage.play(Layout(web=2, workers=2), talks, deeds)
    before, meanwhile = _before_and_meanwhile(history)
    stage.result.figures["calm p95, s"] = before
    stage.result.gate("p95 meanwhile, s", meanwhile, "<=", round(2 * before + 5, 2))
    stage.result.gate("5xx answers", stage.result.figures["5xx"], "==", 0)
    since, until = gone[0]
    said = [e for e in history.noted("complete") if since < e["at"] < until]
    stage.result.gate("turns answered meanwhile", len(said), ">=", seconds)


def _steadily(stage: Stage, conversations: int, *, seconds: float) -> list[Conversation]:
    """Conversations that go on for about so long."""
    pause = 4.0 if stage.full else 1.5
    shape = Shape(conversations=conversations, turns=int(seconds / (pause + 1.5)) + 1, bye=0.0)
    return [replace(c, pause=pause) for c in draw(shape, stage.chance)]


def _before_and_meanwhile(history: History) -> tuple[float, float]:
    """p95 of turns completed before the first deed, and of those that met one."""
    deeds = [a for a in history.actions if a["kind"] == "hurt" and a["who"] == "redis"]
    first, last = deeds[0]["since"], deeds[-1]["at"]
    done = history.noted("complete")
    before = [e["seconds"] for e in done if e["at"] < first]
    meanwhile = [e["seconds"] for e in done if first <= e["at"] and e["at"] - e["seconds"] <= last]
    return p95(before or [0.0]), p95(meanwhile or [0.0])
