"""A program that talks through the API and repeats what was not answered, under the same key, as documented."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from tests.faults.caller import Caller
from tests.faults.connections import Answer, Connections
from tests.faults.journal import Journal
from tests.faults.plan import Conversation, Turn
from tests.faults.system import System
from tests.faults.talk import Talk

SOON = 10.0
"""Seconds: clients whose longest pause is longer are thousands, and begin with longer ones, too."""


class ApiTalk(Talk):
    """`api_burst` sends copies, `api_async` neither waits nor repeats."""

    def __init__(
        self, system: System, journal: Journal, plan: Conversation, patience: float, connections: Connections
    ) -> None:
        super().__init__(system, journal, plan, patience)
        keys = system.world.keys
        self._headers = {"Authorization": f"Bearer {keys[zlib.crc32(plan.name.encode()) % len(keys)]}"}
        self._caller = Caller(plan.name, system.addresses, journal, self.chance, connections)
        self._looks = 0
        self.longest_pause = 3.0
        self.places = asyncio.Semaphore()
        """Of those who are talking; who only waits for the agent needs none."""

    async def begin(self) -> None:
        async with self.places:
            await self._begin()

    async def _begin(self) -> None:
        path = f"/agents/{self.system.world.agent_id}/conversations"
        body = {"external_user_id": self.plan.name, "wait": self.plan.channel != "api_async"}
        answer = await self._insist("POST", path, body, key=f"{self.plan.name}.begin")
        self.conversation_id = answer["conversation_id"]
        self.journal.note("begun", name=self.plan.name, conversation_id=self.conversation_id, channel=self.plan.channel)
        self._take(answer["messages"], "answer")

    async def say(self, turn: Turn) -> bool:
        async with self.places:
            return await self._say(turn)

    async def _say(self, turn: Turn) -> bool:
        name, text = self.plan.name, turn.words(self.plan.name)
        key = f"{name}.t{turn.number}"
        path = f"/conversations/{self.conversation_id}/messages"
        self.journal.note("sent", name=name, turn=turn.number, flags=turn.flags, channel=self.plan.channel)
        if self.plan.channel == "api_async":
            answer = await self._once("POST", path, {"text": text, "wait": False, "client_id": key})
            if answer is None or answer.status >= 300:
                self.journal.note("not_acked", name=name, turn=turn.number)
                return False
            said = answer.json()
        elif self.plan.channel == "api_burst":
            said = await self._burst(path, {"text": text, "client_id": key})
        else:
            wait = not self.plan.rapid
            said = await self._insist("POST", path, {"text": text, "client_id": key, "wait": wait}, key=key)
        self.journal.note("acked", name=name, turn=turn.number, seq=said["accepted_seq"])
        self._take(said["messages"], "answer")
        return True

    async def _burst(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Copies without an Idempotency-Key: the message's own id folds them. One comes later, with other words."""
        copies = [self._insist("POST", path, body) for _ in range(self.plan.copies)]
        said = await asyncio.gather(*copies)
        changed = {**body, "text": body["text"] + " changed", "wait": False}
        await self._insist("POST", path, changed)
        return said[0]

    async def look(self) -> None:
        # Who waits for long asks less often, as a decent client does; of thousands each asks more seldom.
        first, growth = (0.4, 1.2) if self.longest_pause <= SOON else (self.longest_pause / 40, 2.0)
        waited = min(self.longest_pause, first * growth**self._looks)
        self._looks += 1
        await asyncio.sleep(self.chance.uniform(0.7, 1.3) * waited)
        path = f"/conversations/{self.conversation_id}/messages?after={self.seen}"
        answer = await self._once("GET", path)
        if answer is not None and answer.status == 200:
            messages = answer.json()["messages"]
            self._looks = 0 if messages else self._looks
            self._take(messages, "poll")

    def _take(self, messages: list[dict[str, Any]], via: str) -> None:
        for message in messages:
            self.got(message, via)

    async def _once(self, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> Answer | None:
        return await self._caller.once(method, f"/api/v1{path}", body, lambda: self._with(key))

    async def _insist(self, method: str, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        return await self._caller.insist(method, f"/api/v1{path}", body, lambda: self._with(key), self.patience)

    def _with(self, key: str) -> dict[str, str]:
        return self._headers | ({"Idempotency-Key": key} if key else {})
