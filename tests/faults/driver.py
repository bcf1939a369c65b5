"""Lets many conversations happen at once, each with a client of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import httpx2

from tests.faults.api_talk import ApiTalk
from tests.faults.chat_talk import ChatTalk
from tests.faults.journal import Journal
from tests.faults.plan import Conversation
from tests.faults.system import System
from tests.faults.talk import Talk

ANSWER_SECONDS = 45.0


class Driver:
    """`at_once`: conversations in progress at the same time. Finished ones are counted in `done`."""

    def __init__(self, system: System, journal: Journal, *, at_once: int = 200, patience: float = 150.0) -> None:
        self.journal = journal
        self.done = 0
        self._system = system
        self._places = asyncio.Semaphore(at_once)
        self._patience = patience

    async def run(self, conversations: Sequence[Conversation]) -> None:
        """Until all of them are over, one way or another."""
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        async with httpx2.AsyncClient(timeout=httpx2.Timeout(ANSWER_SECONDS, connect=5), limits=limits) as client:
            make: dict[str, Callable[[Conversation], Talk]] = {
                "chat": lambda c: ChatTalk(self._system, self.journal, c, self._patience)
            }

            def api(c: Conversation) -> Talk:
                return ApiTalk(self._system, self.journal, c, self._patience, client)

            async with asyncio.TaskGroup() as group:
                for conversation in conversations:
                    group.create_task(self._one(make.get(conversation.channel, api)(conversation)))

    async def _one(self, talk: Talk) -> None:
        async with self._places:
            await talk.run()
            self.done += 1
