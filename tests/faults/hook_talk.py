"""A program on a push channel: it posts signed events and gets the agent's messages at its own address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from graph_runtime.contract import signatures
from tests.faults.caller import Caller
from tests.faults.connections import Answer, Connections
from tests.faults.journal import Journal
from tests.faults.plan import HOOKS, Conversation, Turn
from tests.faults.system import System
from tests.faults.talk import Talk


class HookTalk(Talk):
    """Repeats an event until it is told 202; `hook_burst` sends copies and other words, `hook_once` never repeats."""

    def __init__(
        self, system: System, journal: Journal, plan: Conversation, patience: float, connections: Connections
    ) -> None:
        super().__init__(system, journal, plan, patience)
        self._caller = Caller(plan.name, system.addresses, journal, self.chance, connections)
        self._hook = system.world.hooks[HOOKS[plan.channel]]
        self._known: set[str] = set()

    async def begin(self) -> None:
        answer = await self._insist("begin", f"{self.plan.name} hello")
        self.conversation_id = answer["events"][0]["conversation_id"]
        self.journal.note("begun", name=self.plan.name, conversation_id=self.conversation_id, channel=self.plan.channel)
        async with asyncio.timeout(self.patience):
            while not self.seen:
                await self.until_changed(0.5)

    async def say(self, turn: Turn) -> bool:
        name, key, text = self.plan.name, f"t{turn.number}", turn.words(self.plan.name)
        self.journal.note("sent", name=name, turn=turn.number, flags=turn.flags, channel=self.plan.channel)
        if self.plan.channel == "hook_once":
            answer = await self._once(key, text)
            if answer is None or answer.status >= 300:
                self.journal.note("not_acked", name=name, turn=turn.number)
                return False
        elif self.plan.channel == "hook_burst":
            await asyncio.gather(*(self._insist(key, text) for _ in range(self.plan.copies)))
            await self._insist(key, f"{text} changed")
        else:
            await self._insist(key, text)
        self.journal.note("acked", name=name, turn=turn.number, seq=None)
        return True

    async def again(self) -> int:
        """Everything once more, as a vendor does after days; how much of it was taken for new."""
        said = [("begin", f"{self.plan.name} hello")]
        said += [(f"t{turn.number}", turn.words(self.plan.name)) for turn in self.plan.turns]
        answers = [await self._insist(key, text) for key, text in said]
        return sum(event["is_new"] for answer in answers for event in answer["events"])

    async def look(self) -> None:
        await self.until_changed(0.5)

    def hear(self, entry: dict[str, Any]) -> None:
        """A message was taken in at the program's address; repeats of a key are folded."""
        if entry["key"] not in self._known:
            self._known.add(entry["key"])
            self.got({"role": "agent", "seq": entry["seq"], "text": entry["text"]}, "hook")

    async def _once(self, key: str, text: str) -> Answer | None:
        body, headers = self._signed(key, text)
        return await self._caller.once("POST", self._hook.path, body, headers)

    async def _insist(self, key: str, text: str) -> dict[str, Any]:
        body, headers = self._signed(key, text)
        return await self._caller.insist("POST", self._hook.path, body, headers, self.patience)

    def _signed(self, key: str, text: str) -> tuple[bytes, Any]:
        body = json.dumps({"user_id": self.plan.name, "text": text}).encode()

        def headers() -> Mapping[str, str]:
            message_id = f"{self.plan.name}.{key}"
            return signatures.signed_headers([self._hook.secret], message_id, datetime.now(UTC), body)

        return body, headers
