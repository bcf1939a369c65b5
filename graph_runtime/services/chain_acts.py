"""What the steps of a chain do: write, start a flow, ring, leave a note, tell a subscription, change the contact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from graph_runtime.contract.chains import (
    CallStep,
    Chain,
    ChainStep,
    ContactFacts,
    CrmStep,
    FlowStep,
    MessageStep,
    NotifyStep,
    UpdateStep,
    WebhookStep,
    read_chain,
    wording_for,
)
from graph_runtime.contract.errors import BuilderError, TooMany
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.messages import Text, dump_part
from graph_runtime.services.calls_out import PlacedCall
from graph_runtime.services.chain_entry import enroll_one, facts_of, leave_one, open_door
from graph_runtime.services.crm_wishes import write_down
from graph_runtime.services.principal import Principal, system_principal
from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.storage import chain_steps as rows
from graph_runtime.storage.chain_steps import Claim
from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.outbox import PULLING_CHANNELS
from graph_runtime.storage.turns import TurnStore

log = structlog.get_logger(__name__)
WEBHOOK_EVENT: Final = "chain.step"
"""The type of the event that a step sends to one subscription; it cannot be subscribed to."""
CALL_IS_OVER_SECONDS: Final = 45
ASK_AGAIN_SECONDS: Final = 30
MOST_LOOKS: Final = 20
_CANNOT_WRITE: Final = frozenset({"api", "test"})
"""A message there would be seen by nobody; nor on phone lines."""
_NOT_REACHED: Final = frozenset({"no_answer", "busy", "failed", "rejected", "unreachable", "machine"})


@dataclass(frozen=True, slots=True)
class Done:
    """What a step came to. `again_at`: it is not over, look again then; `is_news`: that is worth a line of the log."""

    what: str = "done"
    reason: str = ""
    wording: str = ""
    channel_id: str | None = None
    conversation_id: str | None = None
    effect_key: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    said: tuple[tuple[str, int, bool], ...] = ()
    started: tuple[str, ...] = ()
    again_at: datetime | None = None
    note: str = ""
    tries: int = 0
    is_news: bool = True


class PlacesCalls(Protocol):
    """What steps need of `CallsOut`. `line_connectors`: whose channels are phone lines."""

    @property
    def line_connectors(self) -> frozenset[str]: ...

    async def place(
        self, principal: Principal, channel_id: str, number: str, *, key: str, ring_seconds: int = 30
    ) -> PlacedCall: ...


class Acts:
    """Everything here happens in the transaction of the step, except a call, which its key keeps from ringing twice."""

    def __init__(self, calls: PlacesCalls, store: TurnStore, runner: TurnRunner) -> None:
        self._calls = calls
        self._cannot_write = _CANNOT_WRITE | calls.line_connectors
        self._store = store
        self._runner = runner

    @property
    def line_connectors(self) -> frozenset[str]:
        """Connectors whose channels are phone lines."""
        return self._calls.line_connectors

    def with_calls(self, calls: PlacesCalls) -> Acts:
        """The same with other calls."""
        return Acts(calls, self._store, self._runner)

    async def do(
        self, connection: Connection, claimed: Claim, chain: Chain, step: ChainStep, contact: ContactFacts
    ) -> Done:  # fmt: skip
        """Carry out one step; whatever it raises undoes it all."""
        key = f"chain:{claimed.id}/{claimed.version_id}/{step.id}"
        if isinstance(step, MessageStep):
            return await self._message(connection, claimed, chain, step, contact, key)
        if isinstance(step, FlowStep):
            return await self._flow(connection, claimed, chain, step, contact, key)
        if isinstance(step, CallStep):
            return await self._call(connection, claimed, step, contact, key)
        if isinstance(step, NotifyStep):
            await rows.add_note(connection, claimed, step.member_id or None, contact.render(step.text)[:4000])
            return Done()
        if isinstance(step, WebhookStep):
            data = {
                "chain_id": claimed.chain_id, "enrollment_id": claimed.id, "step_id": step.id, "key": key,
                "note": contact.render(step.note), "contact": contact.values(),
            }  # fmt: skip
            is_told = await rows.tell_subscription(connection, step.subscription_id, WEBHOOK_EVENT, data)
            return Done() if is_told else Done("skipped", "no_subscription")
        if isinstance(step, CrmStep):
            return await self._crm(connection, claimed, step, contact, key)
        await self._update(connection, step, contact)
        return Done()

    def tell(self, workspace_id: str, said: list[tuple[str, int, bool]], started: list[str]) -> None:
        """After the commit: watchers look, senders send, and conversations that began run their first turn."""
        for conversation_id, seq, is_sent in said:
            self._store.news.tell(workspace_id, conversation_id, seq)
            if is_sent:
                self._store.sends.tell()
        for conversation_id in started:
            self._runner.start(workspace_id, conversation_id)

    async def _message(
        self, connection: Connection, claimed: Claim, chain: Chain, step: MessageStep, contact: ContactFacts, key: str
    ) -> Done:
        wording = wording_for(step, claimed.id)
        text = contact.render(wording.text(contact.language)).strip() if wording else ""
        if wording is None or not text:
            return Done("skipped", "empty_text")
        ways = await self._ways(connection, claimed.contact_id, step.channels)
        busy: tuple[datetime, str] | None = None
        for way in ways:
            until = await _busy_until(connection, chain, way, claimed.at)
            if until is not None:
                busy = min(busy or until, until)
                continue
            message = {"parts": [dump_part(Text(text=text))], "text": text, "language": _language(contact)}
            said = await rows.say(connection, way, claimed.contact_id, key, message)
            if said is None:
                continue
            return Done(
                wording=wording.id, channel_id=way["channel_id"], conversation_id=said["conversation_id"], effect_key=key,
                data={"channel": way["connector"], "tried": [way["channel_id"]]},
                said=((said["conversation_id"], said["seq"], way["recipient"] is not None),),
            )  # fmt: skip
        if busy is not None:
            return Done(again_at=busy[0], note=busy[1], is_news=claimed.note != busy[1])
        return Done("skipped", "no_channel")

    async def fall_back(
        self, connection: Connection, data: Mapping[str, Any], said: list[tuple[str, int, bool]]
    ) -> None:  # fmt: skip
        """A message of a chain was given up: say it on the next channel, or mark the step as failed."""
        sent = await rows.sent_step(connection, str(data.get("effect_key", "")))
        if sent is None:
            return
        chain = read_chain(sent["document"])
        place = chain.place(sent["step_id"])
        step = chain.steps[place] if place < len(chain.steps) else None
        if not isinstance(step, MessageStep):
            return
        tried = [*sent["data"].get("tried", [])]
        contact = facts_of(sent["contact"])
        wording = next((w for w in step.wordings if w.id == sent["wording"]), None)
        text = contact.render(wording.text(contact.language)).strip() if wording else ""
        ways = await self._ways(connection, sent["contact_id"], step.channels)
        for way in ways if text and not contact.is_opted_out else ():
            if way["channel_id"] in tried:
                continue
            key = f"{str(data['effect_key']).partition('#')[0]}#{len(tried) + 1}"
            message = {"parts": [dump_part(Text(text=text))], "text": text, "language": _language(contact)}
            spoken = await rows.say(connection, way, sent["contact_id"], key, message)
            if spoken is not None:
                note = {**sent["data"], "channel": way["connector"], "tried": [*tried, way["channel_id"]]}
                await rows.change_line(
                    connection, sent["id"], channel_id=way["channel_id"], effect_key=key, data=note,
                    conversation_id=spoken["conversation_id"], reason="fell_back",
                )  # fmt: skip
                said.append((spoken["conversation_id"], spoken["seq"], way["recipient"] is not None))
                return
        await rows.change_line(
            connection, sent["id"], what="failed", reason=f"undelivered:{data.get('reason', '')}"[:100]
        )

    async def _flow(
        self, connection: Connection, claimed: Claim, chain: Chain, step: FlowStep, contact: ContactFacts, key: str
    ) -> Done:
        ways = await self._ways(connection, claimed.contact_id, step.channels)
        language = _language(contact) if contact.language in LANGUAGES else None
        busy: tuple[datetime, str] | None = None
        reason = "no_channel"
        for way in ways:
            if way["agent_id"] != step.agent_id:
                continue
            until = await _busy_until(connection, chain, way, claimed.at)
            if until is not None:
                busy = min(busy or until, until)
                continue
            full = {**way, "recipient": way["external_user_id"]}
            opened = await rows.start_flow(connection, full, step.flow_id, key, language)
            if opened is None or opened["problem"]:
                reason = "not_published"
                continue
            return Done(
                channel_id=way["channel_id"], conversation_id=opened["conversation_id"],
                data={"channel": way["connector"]}, started=(opened["conversation_id"],),
            )  # fmt: skip
        if busy is not None:
            return Done(again_at=busy[0], note=busy[1], is_news=claimed.note != busy[1])
        return Done("skipped", reason)

    async def _call(
        self, connection: Connection, claimed: Claim, step: CallStep, contact: ContactFacts, key: str
    ) -> Done:  # fmt: skip
        if not contact.phone:
            return Done("skipped", "no_phone")
        calling = claimed.note.partition("calling:")[2].split("/")
        if len(calling) == 2:
            return await self._called(connection, claimed, step, calling[0], int(calling[1]))
        tries = claimed.tries + 1
        try:
            placed = await self._calls.place(
                system_principal(str(claimed.contact["workspace_id"])), step.channel_id, contact.phone,
                key=f"{key}/{tries}", ring_seconds=step.ring_seconds,
            )  # fmt: skip
        except TooMany:
            later = claimed.at + timedelta(seconds=ASK_AGAIN_SECONDS)
            return Done(again_at=later, note="line_busy", tries=claimed.tries, is_news=False)
        except BuilderError as error:
            return Done("failed", f"call:{error.code}")
        over = claimed.at + timedelta(seconds=step.ring_seconds + CALL_IS_OVER_SECONDS)
        return Done(again_at=over, note=f"calling:{placed.id}/0", tries=tries, data={"call_id": placed.id})

    async def _called(self, connection: Connection, claimed: Claim, step: CallStep, call_id: str, looks: int) -> Done:
        result = await rows.call_result(connection, call_id)
        data = {"call_id": call_id, "result": result or "", "tries": claimed.tries}
        if result == "" and looks < MOST_LOOKS:
            later = claimed.at + timedelta(seconds=ASK_AGAIN_SECONDS)
            note = f"calling:{call_id}/{looks + 1}"
            return Done(again_at=later, note=note, tries=claimed.tries, is_news=False)
        if (result or "failed") in _NOT_REACHED:
            if claimed.tries < step.tries:
                later = claimed.at + timedelta(minutes=step.again_minutes)
                return Done(again_at=later, note="not_reached", tries=claimed.tries, is_news=False)
            return Done("failed", f"call:{result or 'failed'}", data=data)
        return Done(data=data)

    async def _ways(self, connection: Connection, contact_id: str, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
        known = await rows.ways_to(connection, contact_id)
        return ways_for([w for w in known if w["connector"] not in self._cannot_write], wanted)

    async def _update(self, connection: Connection, step: UpdateStep, contact: ContactFacts) -> None:
        tags: list[str] | None = None
        if step.add_tags or step.remove_tags:
            gone = {t.casefold() for t in step.remove_tags}
            kept = [t for t in contact.tags if t.casefold() not in gone]
            known = {t.casefold() for t in kept}
            tags = [*kept, *(t for t in dict.fromkeys(step.add_tags) if t.casefold() not in known)]
        changed = {c.name: contact.render(c.value) for c in step.fields}
        await rows.change_contact(connection, contact.id, changed, tags)

    async def _crm(
        self, connection: Connection, claimed: Claim, step: CrmStep, contact: ContactFacts, key: str
    ) -> Done:  # fmt: skip
        known = contact.phone if step.by == "phone" else contact.email
        reason = await write_down(
            connection,
            step,
            step.agent_id,
            (contact.id, contact.name, known),
            key=key,
            render=contact.render,
            at=claimed.at,
        )
        return Done("skipped", reason) if reason else Done(effect_key=key)

    async def flow_asked(
        self, connection: Connection, contact_id: str, data: Mapping[str, Any], now: datetime | None
    ) -> None:  # fmt: skip
        """A step of a flow enrolls the contact or takes them out. What cannot be is a line in the log, not an error."""
        chain_id = str(data.get("chain_id", ""))
        if data.get("leaves"):
            await leave_one(connection, contact_id, chain_id, "flow", now)
            return
        door = await open_door(connection, chain_id, now)
        outcome = await enroll_one(connection, door, contact_id, source="flow")
        if outcome.problem:
            log.warning("flow_did_not_enroll", chain_id=chain_id, problem=outcome.problem)


def ways_for(known: list[Row], wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    """Channels to try, in order: those named, else every one that pushes. `recipient` None where the channel pulls."""
    usable = [w for w in known if w["is_on"]]
    if wanted:
        usable = [w for channel_id in wanted for w in usable if w["channel_id"] == channel_id]
    else:
        usable = [w for w in usable if w["connector"] not in PULLING_CHANNELS]
    return [
        {
            **w, "external_user_id": w["recipient"],
            "recipient": None if w["connector"] in PULLING_CHANNELS else w["recipient"],
        }
        for w in usable
    ]  # fmt: skip


async def _busy_until(
    connection: Connection, chain: Chain, way: Mapping[str, Any], at: datetime
) -> tuple[datetime, str] | None:
    """Until when a channel has said as much as it may in an hour or a day, and by which rule; None: it may say more."""
    limits = [(chain.caps.per_channel_day, 24, "channel_day"), (chain.caps.per_channel_hour, 1, "channel_hour")]
    if not any(most for most, _, _ in limits):
        return None
    await rows.alone_with(connection, way["channel_id"])
    found: tuple[datetime, str] | None = None
    for most, hours, rule in limits:
        if most:
            span = timedelta(hours=hours)
            count, first = await rows.channel_said(connection, way["channel_id"], at - span)
            if count >= most and first is not None and (found is None or first + span > found[0]):
                found = first + span, rule
    return found


def _language(contact: ContactFacts) -> str:
    return contact.language if contact.language in LANGUAGES else "en"
