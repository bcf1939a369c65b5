"""The test conversation of one editor tab: begun on a snapshot of the draft, its live events relayed to the tab."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from graph_runtime.api.errors import members_of
from graph_runtime.api.live import feed
from graph_runtime.contract.errors import BuilderError, InputInvalid
from graph_runtime.contract.messages import Reply
from graph_runtime.services.principal import Principal

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services

log = structlog.get_logger(__name__)
Frame = dict[str, Any]


class TestRun:
    """At most one conversation at a time; beginning another ends the one before."""

    __test__ = False  # not a test of ours, whatever its name says to pytest

    def __init__(
        self, services: Services, place: tuple[str, str], language: str, tell: Callable[[Frame], None]
    ) -> None:
        """`place`: flow and agent; `language`: of the member who looks on."""
        self._services = services
        self._language = language
        self._flow_id, self._agent_id = place
        self._tell = tell
        self._conversation_id = ""
        self._is_call = self._is_talk = False
        self._person = ""
        self._relay: asyncio.Task[None] | None = None

    async def start(
        self,
        who: Principal,
        *,
        language: str | None,
        contact: dict[str, Any],
        is_call: bool = False,
        is_talk: bool = False,
    ) -> None:
        """Begin on the draft as it is now; `is_call`: played as a phone call, `is_talk`: with sound.

        Raises: FlowInvalid when the draft cannot run, AccessDenied, NotFound; for a talk as `Talks.begin`.
        """
        await self.stop(who)
        self._is_call, self._is_talk = is_call or is_talk, is_talk
        spoken = ""
        if is_talk:
            spoken = language or (await self._services.agents.get(who, self._agent_id)).language or "en"
            await self._services.talks.check(who, self._agent_id, spoken)
        version_id = await self._services.publishing.snapshot(who, self._flow_id)
        conversation_id = await self._services.conversations.start(
            who,
            agent_id=self._agent_id,
            contact=contact,
            dedupe_key=uuid.uuid4().hex,
            is_test=True,
            version_id=version_id,
            language=language,
            is_call=self._is_call,
        )
        self._follow(who, conversation_id)
        if is_talk:
            ticket = await self._services.talks.begin(who, self._agent_id, conversation_id, spoken)
            shown = {"options_only": ticket.hears_options_only, "can_type": ticket.can_type}
            self._tell({"t": "live", "event": {"type": "talk", "ticket": ticket.secret, **shown}})

    async def say(self, who: Principal, *, client_id: str, text: str, option_id: str) -> None:
        """Send the tester's answer; repeating a `client_id` sends it once. Raises: InputInvalid, Conflict."""
        if not self._conversation_id:
            raise InputInvalid("No test is running. Start one first.")
        if self._is_call:
            hear = self._services.rehearsal.hear
            await hear(who, self._conversation_id, text, choice=option_id, key=client_id)
            return
        reply = Reply(text=text, option_id=option_id)
        await self._services.conversations.receive(
            who, self._conversation_id, reply, dedupe_key=client_id, client_id=client_id
        )

    async def play_person(self, who: Principal, what: str, text: str, client_id: str) -> None:
        """The tester is also the colleague: "accept", "reply", "return". Raises: InputInvalid, Conflict."""
        if not self._conversation_id:
            raise InputInvalid("No test is running. Start one first.")
        people = self._services.hand_offs
        if what == "accept":
            await people.accept(who, self._conversation_id)
        elif what == "reply":
            await people.reply(who, self._conversation_id, text, client_id=client_id)
        else:
            await people.give_back(who, self._conversation_id, note=text)
        await self._tell_person(who, self._conversation_id)

    async def _tell_person(self, who: Principal, conversation_id: str) -> None:
        state = (await self._services.hand_offs.desk(who, conversation_id)).row.state
        if state != self._person:
            self._person = state
            self._tell({"t": "live", "event": {"type": "person", "state": state}})

    async def skip(self, who: Principal, *, happens: bool = False) -> None:
        """The client stays silent: the waiting step's time is over now; `happens`: what it waits for happens instead.

        Raises: InputInvalid, Conflict.
        """
        if not self._conversation_id:
            raise InputInvalid("No test is running. Start one first.")
        if self._is_call:
            await self._services.rehearsal.stay_silent(who, self._conversation_id, key=uuid.uuid4().hex)
            return
        await self._services.conversations.skip_wait(who, self._conversation_id, happens=happens)

    async def stop(self, who: Principal) -> None:
        """End the conversation and stop watching it."""
        conversation_id, self._conversation_id = self._conversation_id, ""
        await self.leave()
        if conversation_id and self._is_talk:
            await self._services.talks.end(who, conversation_id)
        if conversation_id:
            await self._services.conversations.end(who, conversation_id, result="test_stopped")

    async def leave(self) -> None:
        """Stop watching; the conversation stays as it is."""
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)

    def _follow(self, who: Principal, conversation_id: str) -> None:
        self._conversation_id = conversation_id
        self._person = ""
        self._tell({"t": "test", "conversation_id": conversation_id})
        self._relay = asyncio.create_task(self._show(who, conversation_id), name="test run")

    async def _show(self, who: Principal, conversation_id: str) -> None:
        try:
            async with feed(self._services.conversations.watch(who, conversation_id)) as events:
                while True:
                    event = await events.next(3600)
                    if event is not None:
                        self._tell({"t": "live", "event": self._said(event)})
                        if event["type"] == "turn":
                            await self._tell_person(who, conversation_id)
                        if (
                            self._is_call
                            and not self._is_talk
                            and event["type"] == "turn"
                            and event.get("waits") == "reply"
                        ):
                            waits = await self._services.rehearsal.waits(who, conversation_id)
                            self._tell({"t": "live", "event": {"type": "call", "waits": waits}})
        except StopAsyncIteration:
            return
        except BuilderError as error:
            self.tell_error(error)

    def tell_error(self, error: BuilderError) -> None:
        """Show what could not be done."""
        event = {"type": "error", "code": error.code, "message": error.message, **members_of(error)}
        self._tell({"t": "live", "event": self._said(event)})

    def _said(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["type"] != "error":
            return event
        return event | {"message": self._services.catalog.in_language(event["message"], self._language)}
