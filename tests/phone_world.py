"""A phone line of a published agent on real services, and short ways to hold a call on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import (
    Begin,
    CallEvent,
    Drop,
    HangUp,
    Heard,
    Hold,
    Listen,
    MessageEnds,
    Record,
    Sound,
    Speech,
    Transfer,
    WaitBegins,
    Words,
)
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.principal import Principal

FROM, DID = "+380441234567", "4930123456"


def phone_flow(nodes: dict[str, Any], edges: dict[str, str], **more: Any) -> dict[str, Any]:
    """A flow whose nodes are {id: (type, settings)}."""
    return {
        "format": "flow/1",
        "name": "Calls",
        "locale": "en",
        "entry": {"message": "n_start", "call": "n_start"},
        "nodes": {
            key: {"type": kind, "v": 1, "settings": settings}
            for key, (kind, settings) in {"n_start": ("start", {}), **nodes}.items()
        },
        "edges": edges,
    } | more


@dataclass
class Turn:
    """One turn as the media process sees it. `said`: words of each message; `end`: how it ended."""

    events: list[CallEvent]

    @property
    def said(self) -> list[str]:
        spoken: dict[str, str] = {}
        for event in self.events:
            if isinstance(event, Words):
                spoken[event.key] = spoken.get(event.key, "") + event.text
            elif isinstance(event, Drop):
                spoken.pop(event.key, None)
        return [text.strip() for text in spoken.values()]

    @property
    def end(self) -> CallEvent | None:
        return self.events[-1] if self.events else None


async def until(events: AsyncIterator[CallEvent], kind: type[CallEvent], seconds: float = 15) -> list[CallEvent]:
    """Events up to the first of a kind."""
    found: list[CallEvent] = []
    async with asyncio.timeout(seconds):
        async for event in events:
            found.append(event)
            if isinstance(event, kind):
                return found
    raise AssertionError(f"no {kind.__name__} in {found}")


@dataclass
class Line:
    """One line and its secret."""

    services: Services
    owner: Principal
    agent_id: str
    channel_id: str
    secret: str

    async def ring(self, uuid: str = "", from_number: str = FROM) -> str:
        """Announce a call."""
        uuid = uuid or str(uuid4())
        await self.services.phone_calls.announce(self.secret, uuid, from_number, DID)
        return uuid

    async def answered(self, uuid: str = "") -> tuple[PhoneCall, Turn]:
        """Announce, attach, begin."""
        call = await self.services.phone_calls.attach(await self.ring(uuid))
        return call, await self.turn(call, Begin())

    async def turn(self, call: PhoneCall, heard: Heard | str) -> Turn:
        """One whole turn; a text is speech."""
        heard = Speech(text=heard, confidence=0.9) if isinstance(heard, str) else heard
        async with asyncio.timeout(20), aclosing(self.services.phone_calls.turn(call, heard)) as events:
            found = [event async for event in events]
        if found:
            assert isinstance(found[-1], Listen | Record | Transfer | HangUp)
            assert all(isinstance(e, Words | Sound | Drop | MessageEnds | WaitBegins | Hold) for e in found[:-1])
        return Turn(found)

    async def texts(self, call: PhoneCall) -> list[str]:
        """The transcript; the contact's with "> "."""
        transcript = await self.services.conversations.transcript(self.owner, call.conversation_id, limit=500)
        return [("> " if m["role"] == "contact" else "") + m["text"] for m in transcript.messages]

    async def status(self, call: PhoneCall) -> tuple[str, str]:
        """(status, result) of the conversation, once nothing runs."""
        assert await self.services.conversations.wait_until_idle(self.owner, call.conversation_id, 10)
        detail = await self.services.conversations.get(self.owner, call.conversation_id)
        return detail.row.status, detail.row.result


async def new_line(services: Services, owner: Principal, document: dict[str, Any], **settings: Any) -> Line:
    """An agent with a published flow that is on, and its line."""
    agent = await services.agents.create(owner, name="Reception", language="en")
    await services.drafts.replace(owner, agent.main_flow_id, document)
    draft = await services.drafts.open(owner, agent.main_flow_id)
    await services.publishing.publish(owner, agent.main_flow_id, revision=draft.revision)
    await services.agents.set_on(owner, agent.id, True)
    channel, secret = await services.channel_setup.create(owner, agent.id, "asterisk", settings=settings)
    return Line(services, owner, agent.id, channel.id, secret)
