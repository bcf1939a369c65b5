"""F29: processes and the database die exactly before and exactly after the one transaction of a turn."""

from __future__ import annotations

import asyncio
import itertools
from typing import get_args

from tests.faults.commit_trap import Moment
from tests.faults.hands import Hands
from tests.faults.plan import Shape
from tests.faults.stage import Stage
from tests.faults.system import Layout


async def at_the_commit(stage: Stage) -> None:
    """In turn: web before, web after, database before, database after; also while a worker repeats the turn."""
    strikes = stage.size("strikes", 12, 60, promised=200)
    shape = Shape(conversations=stage.size("conversations", 60, 500), turns=4, pause=2.0)

    async def deeds(stage: Stage, hands: Hands) -> None:
        await asyncio.sleep(1.0)
        struck = tried = 0
        turns = itertools.cycle(itertools.product(("process", "database"), get_args(Moment)))
        while struck < strikes and tried < 3 * strikes:
            tried += 1
            victim, moment = next(turns)
            nth = stage.chance.randint(1, 6)
            name = f"{stage.system.runners}1"  # the only one: otherwise another would commit
            if victim == "process":
                struck += await hands.kill_at_commit(name, moment, nth=nth)
            else:
                struck += await hands.kill_database_at_commit(name, moment, nth=nth)
        stage.result.gate("strikes that hit", struck, "==", strikes)

    history = await stage.play(
        Layout(web=1, workers=1, relayed=True), shape, deeds, at_once=50, patience=400, keep_talking=True
    )
    stage.result.figures["turns with a second attempt"] = sum(t["attempts"] > 1 for t in history.turns)
