"""Talks: a member tries an agent with their own voice, as a caller whose telephone is the editor's page."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, Literal
from uuid import uuid4

from graph_runtime.contract.calls import HungUp, TransferOutcome, Transferred
from graph_runtime.contract.errors import Conflict, CredentialRejected, InputInvalid, NotFound, TooMany
from graph_runtime.contract.speech import speaks
from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.services.call_triggers import CallTriggers
from graph_runtime.services.conversation_side import ConversationSide
from graph_runtime.services.principal import Principal
from graph_runtime.services.typed_speech import TypedSpeech
from graph_runtime.storage.phone_calls import PhoneCallRows
from graph_runtime.storage.talks import TalkRows

MOST_TALKS: Final = 5
"""Of a workspace at a time; a member has one."""
LONGEST_SECONDS: Final = 900
NO_SUCH: Final = "This talk is over, or its door was used already. Start another one."


@dataclass(frozen=True, slots=True)
class Ticket:
    """Opens the door of one talk, once, within a minute. `hears_options_only`: free speech is not understood."""

    secret: str
    hears_options_only: bool
    can_type: bool


@dataclass(frozen=True, slots=True)
class Talk:
    """A talk whose door was opened. `id` is the name of its audio."""

    id: str
    conversation_id: str
    language: str


@dataclass(frozen=True, slots=True)
class Next:
    """What follows when the audio was given back: as `PhoneCalls.next`, for a telephone system that is played."""

    kind: Literal["again", "wait", "rings", "over", "full"]
    target: str = ""
    is_warm: bool = False


class Talks:
    """Between the editor's page and the media process: the rights, the limits, and what a dialplan would ask."""

    def __init__(self, side: ConversationSide, speech: BoundSpeech, typed: TypedSpeech) -> None:
        self._rows = TalkRows(side.database)
        self._calls = PhoneCallRows(side.database)
        self._triggers = CallTriggers(side.store, side.starts, side.live)
        self._side = side
        self._speech = speech
        self._typed = typed

    async def check(self, principal: Principal, agent_id: str, language: str) -> bool:
        """Whether only the options of a question will be understood. Raises: AccessDenied, CredentialRejected (nothing
        hears or speaks, or not this language; `reason` is "no_speech")."""
        principal.require("flow.edit")
        try:
            hears = await self._speech.transcriber(principal.workspace_id, agent_id)
            talks = await self._speech.synthesizer(principal.workspace_id, agent_id)
        except CredentialRejected as error:
            raise CredentialRejected(error.message, reason="no_speech") from error
        offers = (hears.connector.transcriber, talks.connector.synthesizer)
        for offer, does in zip(offers, ("understands", "speaks"), strict=True):
            if offer is not None and not speaks(offer.languages, language):
                raise CredentialRejected(
                    f"Nothing {does} the language “{language}” here. Choose a speech connection on the agent's tab Phone.",
                    reason="no_speech",
                )
        return offers[0] is not None and offers[0].has_grammar

    async def begin(self, principal: Principal, agent_id: str, conversation_id: str, language: str) -> Ticket:
        """Let a test conversation be talked with. Raises: as `check`; NotFound, TooMany."""
        options_only = await self.check(principal, agent_id, language)
        if principal.member_id is None:
            raise NotFound("Only a member of the workspace can talk to an agent here.")
        place = await self._calls.place(principal.workspace_id, conversation_id)
        if place is None or not place["is_test"]:
            raise NotFound("There is no such test conversation here.", conversation_id=conversation_id)
        secret = secrets.token_urlsafe(32)
        values = {
            "id": str(uuid4()), "agent_id": agent_id, "conversation_id": conversation_id, "member_id": principal.member_id,
            "ticket": _hash(secret), "most": MOST_TALKS, "seconds": LONGEST_SECONDS + 60,
        }  # fmt: skip
        if not await self._rows.begin(principal.workspace_id, values):
            raise TooMany(
                f"{MOST_TALKS} people of this workspace are talking to agents. Try again when one has ended.",
                retry_after=60.0,
            )
        return Ticket(secret, options_only, await self._typed.can_speak(language))

    async def admit(self, principal: Principal, secret: str) -> Talk:
        """The door was opened: once for each ticket. Raises: AccessDenied, NotFound."""
        principal.require("flow.edit")
        row = None
        if principal.member_id is not None:
            row = await self._rows.admit(principal.workspace_id, principal.member_id, _hash(secret))
        place = await self._calls.place(principal.workspace_id, str(row["conversation_id"])) if row else None
        if row is None or place is None:
            raise NotFound(NO_SUCH)
        return Talk(str(row["id"]), str(row["conversation_id"]), place["language"])

    async def is_open(self, principal: Principal, talk_id: str) -> bool:
        """Whether nobody and nothing has ended it. Raises: AccessDenied."""
        principal.require("flow.edit")
        row = await self._rows.get(principal.workspace_id, principal.member_id or "", talk_id)
        return row is not None and row["state"] != "ended"

    async def typed(self, principal: Principal, text: str, language: str) -> bytes:
        """Typed words as a caller would say them: samples at 8 kHz. Raises: AccessDenied, InputInvalid, ConnectorError."""
        principal.require("flow.edit")
        return await self._typed.samples(text, language)

    async def next(self, principal: Principal, talk_id: str) -> Next:
        """The media process has given the audio back, or is gone. Raises: AccessDenied, NotFound."""
        row = await self._row(principal, talk_id)
        if row["decision"] == "desk":
            await self._calls.end(principal.workspace_id, talk_id, 0)
            return Next("full")
        if row["state"] == "ended" or row["decision"] == "hangup":
            await self._calls.end(principal.workspace_id, talk_id, 0)
            return Next("over")
        if row["state"] == "moving" or row["decision"] == "transfer":
            if row["state"] != "moving":
                await self._calls.move(principal.workspace_id, talk_id)
            target, _, warm = str(row["transfer_to"]).split("|", 1)[0], "", str(row["transfer_to"]).endswith("|warm")
            return Next("rings", target, warm)
        if row["decision"] == "again":
            await self._calls.take_again(principal.workspace_id, talk_id)
            return Next("again")
        return Next("wait")

    async def moved(self, principal: Principal, talk_id: str, result: TransferOutcome) -> Next:
        """How the rehearsed transfer ended; whom somebody has answered talks to them. Raises: AccessDenied, NotFound,
        Conflict when nothing rings."""
        row = await self._row(principal, talk_id)
        if row["state"] != "moving":
            raise Conflict("Nobody is being rung in this talk.", reason="no_transfer")
        place = (principal.workspace_id, str(row["conversation_id"]))
        await self._triggers.take(*place, f"{talk_id}:moved:{row['moves']}", Transferred(result=result))
        await self._calls.moved(principal.workspace_id, talk_id, result)
        if result != "answered":
            return Next("again")
        await self._side.conversations.wait_until_idle(principal, place[1], 10)
        await self._calls.end(principal.workspace_id, talk_id, 0)
        await self._triggers.take(*place, f"{talk_id}:end", HungUp())
        return Next("over")

    async def end(self, principal: Principal, conversation_id: str) -> None:
        """The test was stopped: its talk is over. Raises: AccessDenied."""
        principal.require("flow.edit")
        await self._rows.end_of(principal.workspace_id, conversation_id)

    async def _row(self, principal: Principal, talk_id: str) -> dict[str, object]:
        principal.require("flow.edit")
        row = await self._rows.get(principal.workspace_id, principal.member_id or "", talk_id)
        if row is None:
            raise NotFound(NO_SUCH)
        return row


def outcome(text: str) -> TransferOutcome:
    """Raises: InputInvalid."""
    results: dict[str, TransferOutcome] = {
        "answered": "answered", "busy": "busy", "no_answer": "no_answer", "declined": "declined",
    }  # fmt: skip
    if text not in results:
        raise InputInvalid("A transfer ends answered, busy, no_answer or declined.", field="result")
    return results[text]


def _hash(secret: str) -> str:
    return "talk:" + hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
