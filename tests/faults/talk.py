"""What every client keeps: which replies it has got, and the waiting for those that are still missing."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from graph_runtime.engine.run import SORRY
from tests.faults.flows import HELLO, TOKEN
from tests.faults.journal import Journal
from tests.faults.plan import Conversation, Turn
from tests.faults.system import System

OPENING = 2
"""The ordinal of the question with which the flow begins."""


class Refused(Exception):
    """The product said no, and repeating would not help."""


class Talk:
    """One conversation as its contact lives it; channels say how to begin, to send and to look."""

    def __init__(self, system: System, journal: Journal, plan: Conversation, patience: float) -> None:
        self.system = system
        self.journal = journal
        self.plan = plan
        self.patience = patience
        self.chance = random.Random(plan.name)
        self.conversation_id = ""
        self.seen = 0
        self._got: dict[int, set[int]] = {}
        self._sorry: list[int] = []
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """From the beginning to the last answer."""
        try:
            await self.begin()
            await self._opening()
            if self.plan.rapid:
                await self._run_rapidly()
            else:
                for turn in self.plan.turns:
                    await asyncio.sleep(self.plan.pause)
                    await self._turn(turn)
        except Refused as refusal:
            self.journal.note("refused", name=self.plan.name, why=str(refusal))
        except TimeoutError:
            self.journal.note("gave_up", name=self.plan.name, turn=0)
        finally:
            await self.leave()

    async def _opening(self) -> None:
        """Whoever answers a question waits until it was asked. One who is told sorry instead says hello again."""
        began = time.monotonic()
        while OPENING not in self._got.get(0, set()):
            if time.monotonic() - began > self.patience:
                raise TimeoutError
            if self._sorry:
                await self._turn(Turn(0, HELLO))
                return
            await self.look()

    async def _run_rapidly(self) -> None:
        began = time.monotonic()
        for turn in self.plan.turns:
            if not await self.say(turn):
                return
        for turn in self.plan.turns:
            await self._wait(turn, began, len(self._sorry))

    async def _turn(self, turn: Turn) -> None:
        began, apologies = time.monotonic(), len(self._sorry)
        if await self.say(turn):
            await self._wait(turn, began, apologies)

    async def _wait(self, turn: Turn, began: float, apologies: int) -> None:
        while not turn.expected <= self._got.get(turn.number, set()):
            if len(self._sorry) > apologies and "timer" not in turn.flags:
                break
            if time.monotonic() - began > self.patience:
                self.journal.note("gave_up", name=self.plan.name, turn=turn.number)
                return
            await self.look()
        seconds = round(time.monotonic() - began, 3)
        missing = sorted(turn.expected - self._got.get(turn.number, set()))
        self.journal.note("complete", name=self.plan.name, turn=turn.number, seconds=seconds, sorry=bool(missing))

    def got(self, message: dict[str, Any], via: str) -> None:
        """A message arrived."""
        if message["role"] != "agent":
            self.seen = max(self.seen, message["seq"])
            return
        text = message["text"]
        self.journal.note("received", name=self.plan.name, seq=message["seq"], text=text, via=via)
        self.seen = max(self.seen, message["seq"])
        token = TOKEN.search(text)
        if token is not None and token["name"] in (self.plan.name, "new"):
            self._got.setdefault(int(token["turn"]), set()).add(int(token["ordinal"]))
        elif text in SORRY.values() and message["seq"] not in self._sorry:
            self._sorry.append(message["seq"])
        self._changed.set()

    async def until_changed(self, seconds: float) -> None:
        """Something arrived, or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    async def begin(self) -> None:
        """Open the conversation."""
        raise NotImplementedError

    async def say(self, turn: Turn) -> bool:
        """Send until it is acknowledged; False when this client does not repeat and got no acknowledgement."""
        raise NotImplementedError

    async def look(self) -> None:
        """See what there is."""
        raise NotImplementedError

    async def leave(self) -> None:
        """It is over."""
