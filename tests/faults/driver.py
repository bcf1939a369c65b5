"""Lets many conversations happen at once, each with a client of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.faults.api_talk import ApiTalk
from tests.faults.chat_talk import ChatTalk
from tests.faults.connections import Connections
from tests.faults.hook_talk import HookTalk
from tests.faults.journal import Journal
from tests.faults.letter_box import LetterBox
from tests.faults.plan import HOOKS, Conversation
from tests.faults.system import System
from tests.faults.talk import Talk

ANSWER_SECONDS = 45.0
MOST_TALKING = 500
"""Of the thousands that may wait for the agent at the same time."""
LOOKS_A_SECOND = 60
"""Of all clients together; thousands that look every three seconds would be the only load."""


class Driver:
    """`at_once`: conversations in progress at the same time; `spread`: seconds between two that begin. Finished ones are
    counted in `done`."""

    def __init__(
        self, system: System, journal: Journal, *, at_once: int = 200, patience: float = 150.0, spread: float = 0.0
    ) -> None:
        self.journal = journal
        self.done = 0
        self._system = system
        self._places = asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._spread = spread
        self._talking = asyncio.Semaphore(MOST_TALKING)
        self._patience = patience
        self._letters = LetterBox(system.receiver_journal)
        self._connections = Connections(ANSWER_SECONDS)
        self._hooked: list[Conversation] = []

    async def run(self, conversations: Iterable[Conversation]) -> None:
        """Until all of them are over, one way or another. Each is asked for when there is a place for it."""
        reading = asyncio.create_task(self._letters.run(), name="letter box")
        try:
            async with asyncio.TaskGroup() as group:
                for conversation in conversations:
                    await self._places.acquire()
                    group.create_task(self._one(conversation))
                    await asyncio.sleep(self._spread)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self._connections.close()

    def talk(self, plan: Conversation) -> Talk:
        """The client that a conversation's channel needs."""
        if plan.channel in HOOKS:
            talk = HookTalk(self._system, self.journal, plan, self._patience, self._connections)
            self._letters.listeners[plan.name] = talk.hear
            self._hooked.append(plan)
            return talk
        if plan.channel == "chat":
            return ChatTalk(self._system, self.journal, plan, self._patience)
        caller = ApiTalk(self._system, self.journal, plan, self._patience, self._connections)
        caller.places = self._talking
        caller.longest_pause = max(3.0, self._at_once / LOOKS_A_SECOND)
        return caller

    async def all_again(self) -> int:
        """Every webhook of the finished conversations once more; how many were taken for new."""
        taken = 0
        for plan in self._hooked:
            self.journal.note("again", name=plan.name)
            taken += await HookTalk(self._system, self.journal, plan, self._patience, self._connections).again()
        self._connections.close()
        return taken

    async def _one(self, plan: Conversation) -> None:
        try:
            await self.talk(plan).run()
        finally:
            self._letters.listeners.pop(plan.name, None)
            self._places.release()
        self.done += 1
