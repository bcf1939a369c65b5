"""Runs one scenario: starts an installation, lets people talk, hurts it meanwhile, waits for quiet, checks."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.faults.checker import check
from tests.faults.collect import collect, until_quiet
from tests.faults.driver import Driver
from tests.faults.facts import Facts, calls_by_turn
from tests.faults.hands import Hands
from tests.faults.history import History, Rows
from tests.faults.journal import Journal
from tests.faults.plan import Conversation, Shape, draw
from tests.faults.result import Result
from tests.faults.system import Layout, System

QUIET_WITHIN_SECONDS = 120.0
Deeds = Callable[["Stage", Hands], Awaitable[None]]


class Stage:
    """One scenario's run. `full`: the numbers of delivery.md instead of the small ones; `redis`: as in `Layout`."""

    def __init__(self, result: Result, folder: Path, *, full: bool, redis: bool = False) -> None:
        self.result = result
        self.folder = folder
        self.full = full
        self.redis = redis
        self.chance = random.Random(f"{result.seed}/{result.id}")
        self.system: System
        self.driver: Driver
        self.history = History()
        self._talking: asyncio.Task[None] | None = None
        result.reduced = not full
        result.layout = "redis" if redis else "embedded"

    def size(self, name: str, small: int, full: int, *, promised: int = 0) -> int:
        """A number of the run, shown in the table. `promised`: delivery.md's, where `full` is smaller."""
        value = full if self.full else small
        if promised and self.full:
            self.result.promised[name] = promised
        self.result.sizes[name] = value
        return value

    async def play(
        self,
        layout: Layout,
        shape: Shape | Sequence[Conversation],
        deeds: Deeds,
        *,
        at_once: int = 200,
        patience: float = 150.0,
        spread: float = 0.0,
        keep_talking: bool = False,
        more: Shape | None = None,
    ) -> History:
        """Talk and hurt at the same time, until both are over.

        `spread`: seconds between two conversations that begin.
        `keep_talking`: when all has been said before the deeds are done, others go on talking; `more`: of this shape.
        """
        conversations = draw(shape, self.chance) if isinstance(shape, Shape) else shape
        if keep_talking and isinstance(shape, Shape):
            more = replace(shape, prefix="more")
        self.system = System(replace(layout, redis=self.redis), self.folder)
        journal = Journal(self.folder / "driver.jsonl")
        try:
            await self.system.start()
            self.driver = Driver(self.system, journal, at_once=at_once, patience=patience, spread=spread)
            hurting = asyncio.create_task(self._hurt(deeds), name="deeds")
            everybody = self._and_more(conversations, more, hurting)
            talking = self._talking = asyncio.create_task(self.driver.run(everybody), name="driver")
            try:
                await asyncio.wait({talking, hurting}, return_when=asyncio.FIRST_EXCEPTION)
                await asyncio.gather(talking, hurting)
            finally:
                for task in (talking, hurting):
                    task.cancel()
                await asyncio.gather(talking, hurting, return_exceptions=True)
            quiet = await asyncio.to_thread(until_quiet, self.system, QUIET_WITHIN_SECONDS)
            self.history = await asyncio.to_thread(collect, self.system, journal)
        finally:
            await self.system.close()
            journal.close()
        self.history.store(self.folder / "history.json")
        self.result.violations += check(self.history)
        self.result.figures["seconds until quiet"] = round(quiet, 2)
        self._count()
        return self.history

    @staticmethod
    def _and_more(
        conversations: Sequence[Conversation], more: Shape | None, hurting: asyncio.Task[None]
    ) -> Iterator[Conversation]:
        yield from conversations
        if more is not None:
            chance = random.Random(len(conversations))
            for n in itertools.count(1):
                for conversation in draw(replace(more, conversations=20, prefix=f"{more.prefix}{n}."), chance):
                    if hurting.done():
                        return
                    yield conversation

    async def _hurt(self, deeds: Deeds) -> None:
        await deeds(self, Hands(self.system, self.chance))

    @property
    def is_talking(self) -> bool:
        """Whether conversations are still in progress."""
        return self._talking is None or not self._talking.done()

    def _count(self) -> None:
        figures, history = self.result.figures, self.history
        figures["turns acknowledged"] = len(history.noted("acked"))
        figures["repeated model calls"] = sum(len(c) - 1 for c in calls_by_turn(Facts(history)).values())
        figures["apologies"] = sum(e["sorry"] for e in history.noted("complete"))
        figures["5xx"] = sum(e["status"] >= 500 for e in history.noted("status"))
        hit = interrupted(history)
        hurt, those = [e["seconds"] for e in hit], {id(e) for e in hit}
        calm = [e["seconds"] for e in history.noted("complete") if id(e) not in those]
        if hurt:
            figures["p95 of interrupted turns, s"] = p95(hurt)
        if calm:
            figures["p95 of other turns, s"] = p95(calm)


def interrupted(history: History) -> Rows:
    """Completed turns during which something was done to the installation."""
    hurts = [(a["since"], a["at"]) for a in history.actions if a["kind"] == "hurt"]
    return [
        e for e in history.noted("complete")
        if any(since <= e["at"] and until >= e["at"] - e["seconds"] for since, until in hurts)
    ]  # fmt: skip


def p95(values: Sequence[float]) -> float:
    """The 95th percentile, rounded for a table."""
    return round(statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0], 2)


async def seconds_of(work: Awaitable[None]) -> float:
    """How long it takes."""
    began = time.monotonic()
    await work
    return time.monotonic() - began
