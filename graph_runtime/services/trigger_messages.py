"""Triggers that listen to messages: which flow answers what a contact writes, before the main flow would."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from graph_runtime.contract.trigger_rules import Facts, exactness, hears, verdict
from graph_runtime.contract.triggers import OnMessage, StartFlow, Trigger
from graph_runtime.services.asked_once import AskedOnce
from graph_runtime.services.trigger_acts import Did, TriggerActs
from graph_runtime.services.trigger_runner import act, cause_of, facts_of
from graph_runtime.storage import trigger_messages as messages
from graph_runtime.storage import trigger_runs as runs
from graph_runtime.storage import triggers as rows
from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.receiving import Arrival, Received, Receiver
from graph_runtime.storage.turns import AcceptedTrigger, LeasedTurn, TurnStore

REMEMBERED_SECONDS: Final = 2.0
KEPT: Final = 2000


class _NotTaken(Exception):
    """The message was not taken in, so nothing that was done about it may stay."""

    def __init__(self, received: Received) -> None:
        super().__init__(received.problem)
        self.received = received


@dataclass(frozen=True, slots=True)
class Listening:
    """A trigger that hears this message."""

    id: str
    trigger: Trigger
    when: OnMessage


class MessageTriggers:
    """A message is taken in as always, in one transaction with the flow that it chose. What triggers there are is
    remembered for two seconds; a workspace without any pays nothing else."""

    def __init__(self, database: Database, store: TurnStore, receiver: Receiver, acts: TriggerActs) -> None:
        self._database = database
        self._store = store
        self._receiver = receiver
        self._acts = acts
        self._known: OrderedDict[str, tuple[float, list[tuple[str, str, Trigger]]]] = OrderedDict()
        self._asked = AskedOnce[list[tuple[str, str, Trigger]]]()

    async def any_in(self, workspace_id: str) -> bool:
        """Whether anything in the workspace listens."""
        return bool(await self._of(workspace_id))

    async def hearing(self, workspace_id: str, agent_id: str, channel: str, text: str) -> list[Listening]:
        """Triggers of an agent that hear this, the most exact first, of equals the oldest."""
        found = [
            Listening(trigger_id, trigger, trigger.when)
            for trigger_id, of_agent, trigger in await self._of(workspace_id)
            if of_agent == agent_id and isinstance(trigger.when, OnMessage) and not hears(trigger.when, channel, text)
        ]
        return sorted(found, key=lambda listening: -exactness(listening.when))

    async def receive(self, arrival: Arrival, agent_id: str, channel: str) -> tuple[Received, LeasedTurn | None]:
        """As `Receiver.receive`, after the triggers had their say. Raises: DatabaseAway, LeaseLost."""
        heard = await self.hearing(arrival.workspace_id, agent_id, channel, arrival.text)
        if not heard:
            return await self._receiver.receive(arrival)
        try:
            async with self._database.workspace(arrival.workspace_id) as connection:
                return await self._receive(connection, arrival, heard, channel)
        except _NotTaken as undone:
            return undone.received, None

    async def _receive(
        self, connection: Connection, arrival: Arrival, heard: list[Listening], channel: str
    ) -> tuple[Received, LeasedTurn | None]:
        place = (arrival.channel_id, arrival.dedupe_key, arrival.external_user_id)
        await messages.alone_with_sender(connection, *place)
        if await messages.is_known(connection, arrival.channel_id, arrival.dedupe_key):
            return await self._receiver.receive(arrival, connection)
        known = await messages.sender(connection, arrival.channel_id, arrival.external_user_id)
        open_id = known["open_id"] if known else None
        said = _Said(arrival.text, channel, arrival.dedupe_key, known["contact_id"] if known else None)
        is_busy = bool(open_id) and not arrival.begins_anew
        chosen = await self._choose(connection, heard, said, is_busy=is_busy, told=arrival.contact)
        if chosen is not None and chosen[1] is not None and open_id:
            await runs.end_conversation(connection, open_id)
        received, turn = await self._receiver.receive(arrival, connection)
        if received.problem:
            raise _NotTaken(received)
        if chosen is not None:
            listening, version = chosen
            if version is not None:
                await messages.pin(connection, str(received.conversation_id), version)
                turn = messages.with_version(turn, version)
            await self._carry_out(connection, listening, said, str(received.conversation_id))
        return received, turn

    async def accept(
        self, workspace_id: str, conversation_id: str, *, contact: tuple[str, str] | None, **message: Any
    ) -> tuple[AcceptedTrigger | None, LeasedTurn | None]:
        """As `TurnStore.accept` for a message to a known conversation, after the triggers had their say."""
        text = message["text"]
        if await self.any_in(workspace_id):
            async with self._database.workspace(workspace_id) as connection:
                head = await messages.head(connection, conversation_id, contact)
                heard = await self.hearing(workspace_id, head["agent_id"], head["channel_kind"], text) if head else []
                if head and heard and not await messages.is_known(connection, head["source_id"], message["dedupe_key"]):
                    said = _Said(text, head["channel_kind"], message["dedupe_key"], head["contact_id"])
                    chosen = await self._choose(connection, heard, said, is_busy=head["has_written"], told={})
                    if chosen is not None:
                        listening, version = chosen
                        place = (workspace_id, conversation_id)
                        if version is None:
                            found = await self._store.accept(*place, contact=contact, connection=connection, **message)
                        else:
                            found = await self._begin_anew(
                                connection, place, version, **{k: v for k, v in message.items() if k != "kind"}
                            )
                        await self._carry_out(connection, listening, said, conversation_id)
                        return found
        return await self._store.accept(workspace_id, conversation_id, contact=contact, **message)

    async def _choose(
        self, connection: Connection, heard: list[Listening], said: _Said, *, is_busy: bool, told: dict[str, Any]
    ) -> tuple[Listening, str | None] | None:
        """The trigger that fires with the version it starts; those that heard the message and do not fire are noted."""
        for listening in heard:
            row = await rows.get(connection, listening.id)
            if row is None or not row["is_on"]:
                continue
            if is_busy and not listening.when.interrupts:
                if listening.when.match != "any":
                    await said.note(connection, listening.id, row["now"], "busy")
                continue
            facts = await self._facts(connection, listening, said, row["now"], told)
            reason = verdict(listening.trigger, facts)
            version = None
            flow = next((a for a in listening.trigger.actions if isinstance(a, StartFlow)), None)
            if not reason and flow is not None:
                is_there, version = await runs.live_version(connection, row["agent_id"], flow.flow_id)
                reason = "" if version else "not_published" if is_there else "flow_gone"
            if not reason:
                return listening, version
            await said.note(connection, listening.id, row["now"], reason)
        return None

    async def _carry_out(self, connection: Connection, listening: Listening, said: _Said, conversation_id: str) -> None:
        """What else the trigger does, and the line of its log."""
        row = await rows.get(connection, listening.id)
        assert row is not None  # `_choose` has just read it
        if said.contact_id is None:
            said = _Said(said.text, said.channel, said.key, await messages.contact_of(connection, conversation_id))
        occasion = said.occasion(listening.id, row["now"])
        facts = await self._facts(connection, listening, said, row["now"], {})
        others = [a for a in listening.trigger.actions if not isinstance(a, StartFlow)]
        outcome = await act(connection, self._acts, listening.trigger.model_copy(update={"actions": tuple(others)}),
                            cause_of(row, occasion), facts)  # fmt: skip
        began = (
            [Did("start_flow", "", conversation_id, said.channel)]
            if len(others) < len(listening.trigger.actions)
            else []
        )
        did = [d.data() for d in (*began, *outcome.did)]
        state, reason = ("fired", "") if began else (outcome.state, outcome.reason)
        await runs.add(
            connection, listening.id, said.key, "message", contact_id=said.contact_id, data=occasion.data, state=state,
            reason=reason, did=did, conversation_id=conversation_id, at=row["now"],
        )  # fmt: skip

    async def _begin_anew(
        self, connection: Connection, place: tuple[str, str], version: str, **message: Any
    ) -> tuple[AcceptedTrigger, LeasedTurn | None]:
        """The same conversation from the start of another flow, with the message as its first."""
        await runs.end_conversation(connection, place[1])
        await messages.pin(connection, place[1], version)
        accepted, turn = await self._store.accept(*place, kind="restart", connection=connection, **message)
        assert accepted is not None  # this transaction holds the conversation
        return accepted, turn

    async def _facts(
        self, connection: Connection, listening: Listening, said: _Said, now: datetime, told: dict[str, Any]
    ) -> Facts:
        facts = await facts_of(connection, listening.trigger.limits, said.occasion(listening.id, now))
        contact = {**(facts.contact or {}), **told}
        return Facts(
            contact,
            facts.event,
            {},
            {"text": said.text},
            0,
            facts.fired_for_contact,
            facts.fired_in_all,
            facts.fired_lately,
        )

    async def _of(self, workspace_id: str) -> list[tuple[str, str, Trigger]]:
        known = self._known.get(workspace_id)
        if known is not None and time.monotonic() - known[0] < REMEMBERED_SECONDS:
            return known[1]
        return await self._asked.ask(workspace_id, lambda: self._look(workspace_id))

    async def _look(self, workspace_id: str) -> list[tuple[str, str, Trigger]]:
        now = time.monotonic()
        async with self._database.workspace(workspace_id) as connection:
            found = [(r["id"], r["agent_id"], _read(r)) for r in await rows.of_messages(connection)]
        listening = [(i, a, t) for i, a, t in found if t is not None]
        self._known[workspace_id] = (now, listening)
        self._known.move_to_end(workspace_id)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return listening


def _read(row: Row) -> Trigger | None:
    try:
        return Trigger.model_validate(row["document"])
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Said:
    """A message as triggers see it."""

    text: str
    channel: str
    dedupe_key: str
    contact_id: str | None

    @property
    def key(self) -> str:
        """Of its occasion."""
        return f"message:{self.dedupe_key}"[:300]

    def occasion(self, trigger_id: str, now: datetime) -> runs.Occasion:
        """Not kept yet."""
        data = {"type": "message", "text": self.text[:1000], "channel": self.channel}
        return runs.Occasion(
            "", trigger_id, self.key, "message", self.contact_id, None, False, None, now, data, 0, 0, now
        )  # fmt: skip

    async def note(self, connection: Connection, trigger_id: str, now: datetime, reason: str) -> None:
        """A line of the log: heard, and not fired."""
        await runs.add(
            connection, trigger_id, self.key, "message", contact_id=self.contact_id, at=now, state="not_fired", reason=reason,
            data=self.occasion(trigger_id, now).data,
        )  # fmt: skip
