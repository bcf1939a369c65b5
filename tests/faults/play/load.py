"""Clients that send too often, too fast, or too much."""

from __future__ import annotations

import asyncio

from tests.faults.flows import document
from tests.faults.hands import Hands
from tests.faults.plan import Conversation, Shape, Turn, draw
from tests.faults.stage import Stage, p95
from tests.faults.system import Layout


async def redelivered(stage: Stage) -> None:
    """F8. Copies at once, a later one with other words, and all of it again two days later."""
    mix = {"api_burst": 0.5, "hook_burst": 0.5}
    shape = Shape(
        conversations=stage.size("conversations", 60, 400, promised=1_000),
        turns=3,
        mix=mix,
        flags={"model": 0.2},
        copies=10,
    )
    stage.result.sizes["copies of each message"] = 10
    counts: list[int] = []

    async def deeds(stage: Stage, hands: Hands) -> None:
        while stage.is_talking:  # noqa: ASYNC110  # nothing to do but wait
            await asyncio.sleep(0.2)
        await asyncio.to_thread(_two_days_pass, stage)
        counts.append(await stage.driver.all_again())

    history = await stage.play(Layout(web=2), shape, deeds)
    stage.result.gate("taken for new after two days", counts[0], "==", 0)
    last = max(e["at"] for e in history.driver if e["kind"] == "again")
    stage.result.gate("messages made after that", sum(m["created_at"] > last for m in history.messages), "==", 0)
    stage.result.note = "two days: the times of what was taken in are moved back, and everything is posted once more"


async def in_quick_succession(stage: Stage) -> None:
    """F9. Messages come while the answer to the one before is still being made; every answer in order."""
    shape = Shape(
        conversations=stage.size("conversations", 100, 1_000), turns=6, rapid=True, flags={"model slow1": 0.3},
        mix={"api": 0.5, "chat": 0.5},
    )  # fmt: skip

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(3.0)
        await hands.kill(f"{stage.system.runners}1")

    await stage.play(Layout(web=2, flow=document(gather_ms=0)), shape, deeds)
    stage.result.note = "order of arrival; no channel carries a vendor's own sequence yet"


async def one_hot_conversation(stage: Stage) -> None:
    """F23. Others hardly notice; the talkative one is told to slow down, politely, and everything is answered."""
    messages = stage.size("messages of the hot one", 60, 300, promised=1_000)
    calm = draw(
        Shape(
            conversations=stage.size("conversations", 40, 400),
            turns=stage.size("turns", 6, 20),
            pause=1.0,
            prefix="calm",
        ),
        stage.chance,
    )
    hot = Conversation("hot", "chat", tuple(Turn(n) for n in range(1, messages + 1)), rapid=True)

    async def deeds(stage: Stage, hands: Hands) -> None:
        return

    history = await stage.play(Layout(flow=document(gather_ms=0)), [hot, *calm], deeds, patience=1_200)
    first, last = _span(history.noted("acked"))
    during = [e["seconds"] for e in history.noted("complete") if e["name"] != "hot" and first <= e["at"] <= last]
    stage.result.figures["p95 of others meanwhile, s"] = p95(during or [0.0])
    told = sum(e["code"] == "too_many" for e in history.noted("chat_error"))
    stage.result.gate("times it was told to slow down", told, ">=", 1)
    stage.result.note = (
        "the effect on others is shown, not gated: the machine is shared; the hot one repeats what was refused, and is let "
        "have sixty messages a minute"
    )


def _two_days_pass(stage: Stage) -> None:
    with stage.system.database.look() as connection:
        connection.execute(
            "UPDATE inbox SET received_at = received_at - interval '48 hours', done_at = done_at - interval '48 hours'"
        )


def _span(acked: list[dict[str, object]]) -> tuple[float, float]:
    times = [float(str(e["at"])) for e in acked if e["name"] == "hot"]
    return (times[0], times[-1]) if times else (0.0, 0.0)
