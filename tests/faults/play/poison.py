"""Messages and values that ruin the process which works on them."""

from __future__ import annotations

import asyncio

from tests.faults.hands import Hands
from tests.faults.plan import Conversation, Shape, Turn, draw
from tests.faults.stage import Stage
from tests.faults.system import Layout

DEAD_WITHIN_SECONDS = 90.0


async def poisoned(stage: Stage) -> None:
    """F13. Put aside after three attempts; the contact is told; everybody else goes on."""
    deadly = stage.size("deadly messages", 2, 10)
    big = stage.size("values of 100 MB", 1, 3)
    others = draw(Shape(conversations=stage.size("conversations", 60, 2_000), turns=4, pause=2.0), stage.chance)
    bad = [Conversation(f"bad{n}", "chat", (Turn(1), Turn(2, "poison"), Turn(3))) for n in range(deadly)]
    bad += [Conversation(f"big{n}", "api", (Turn(1), Turn(2, "bloat"), Turn(3))) for n in range(big)]

    async def deeds(stage: Stage, hands: Hands) -> None:
        # Every death by poison is a kill; it hits the calls in flight of that process.
        with hands.noted("poison"):
            while stage.is_talking:  # noqa: ASYNC110  # nothing to do but wait
                await asyncio.sleep(0.2)

    history = await stage.play(Layout(web=2, workers=2), [*bad, *others], deeds)
    dead = [row for row in history.inbox if row["state"] == "dead"]
    stage.result.gate("dead letters", len(dead), "==", deadly)
    stage.result.gate("attempts before it is put aside", max((r["attempts"] - 1 for r in dead), default=0), "<=", 3)
    ages = [row["done_at"] - row["received_at"] for row in dead]
    stage.result.gate("put aside within, s", round(max(ages, default=0), 1), "<=", DEAD_WITHIN_SECONDS)
    told = sum(e["sorry"] for e in history.noted("complete") if e["name"].startswith(("bad", "big")) and e["turn"] == 2)
    stage.result.gate("contacts that were told", told, "==", deadly + big)
    stage.result.note = (
        "a flow whose steps run in a circle without waiting cannot be published; a step that never ends is stopped by "
        "the limits of a turn (tests/engine)"
    )
