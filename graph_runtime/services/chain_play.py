"""A chain played for one contact before it is let loose: the real steps on the real database under a clock that jumps,
in one transaction that is always taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from graph_runtime.contract.chain_times import zone_of
from graph_runtime.contract.chains import Chain, ContactFacts, problems, read_chain
from graph_runtime.contract.errors import FlowInvalid, InputInvalid, NotFound
from graph_runtime.services.calls_out import PlacedCall
from graph_runtime.services.chain_acts import Acts
from graph_runtime.services.chain_entry import Door, enroll_one, facts_of
from graph_runtime.services.chain_runner import ChainRunner
from graph_runtime.services.contact_values import check_standard
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import chain_play as rows
from graph_runtime.storage import chains as chain_rows
from graph_runtime.storage.database import Connection, Database, Row

MOST_HAPPENINGS: Final = 1000
MOST_ANSWERS: Final = 50
CallEnd: TypeAlias = Literal["answered", "no_answer", "busy"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Whom it is played for: a contact (a copy of them), or somebody who is described and known on every channel."""

    contact_id: str = ""
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the tester writes as the contact, and when."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """One play. `end`: nothing after it is played; None: to the end. `call_ends`: how every call goes.

    `key`: of an earlier play, so that draws (wordings, jitter) fall the same way again.
    """

    start: datetime
    end: datetime | None = None
    answers: Sequence[Answer] = ()
    call_ends: CallEnd = "answered"
    key: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened at a moment of the play. `what`: as in the log of a chain, or "answered" (the tester).

    `text`: what was written; `channel`: the connector it went over; `until`: to when the step was put off.
    """

    at: datetime
    what: str
    step_id: str = ""
    kind: str = ""
    reason: str = ""
    text: str = ""
    channel: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """How far it came. `state`: of the enrollment, as everywhere; `refused`: why the contact did not get in at all."""

    happenings: list[Happening]
    zone: str
    now: datetime
    next_at: datetime | None
    state: str
    reason: str
    key: str
    refused: str = ""


class _TakenBack(Exception):
    """Ends the transaction of a play."""


class _CallsOnPaper:
    """Calls that ring nobody and end as the tester says; what `Acts` needs of `CallsOut`."""

    def __init__(self, connection: Connection, ends: CallEnd, line_connectors: frozenset[str]) -> None:
        self._connection = connection
        self._ends = ends
        self.line_connectors = line_connectors

    async def place(
        self, principal: Principal, channel_id: str, number: str, *, key: str, ring_seconds: int = 30
    ) -> PlacedCall:
        """A call that is over already."""
        return PlacedCall(**await rows.add_call(self._connection, channel_id, number, self._ends))


class ChainPlay:
    """Nothing of a play stays, and nobody outside hears of it: no message, no call, no event leaves the transaction."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def play(self, principal: Principal, chain_id: str, sample: Sample, script: Script) -> Played:
        """Play the draft for a contact who enters at `script.start`. The same script gives the same play.

        Raises: AccessDenied, NotFound, FlowInvalid with what is to be mended first, InputInvalid.
        """
        principal.require("flow.edit")
        if len(script.answers) > MOST_ANSWERS:
            raise InputInvalid(f"At most {MOST_ANSWERS} answers fit into one play.", field="answers")
        played: Played | None = None
        try:
            async with self._database.workspace(principal.workspace_id) as connection:
                played = await self._play(connection, chain_id, sample, script)
                raise _TakenBack
        except _TakenBack:
            pass
        assert played is not None
        return played

    async def _play(self, connection: Connection, chain_id: str, sample: Sample, script: Script) -> Played:
        row = await chain_rows.get(connection, chain_id)
        if row is None:
            raise NotFound("There is no such chain in this workspace.")
        chain = read_chain(row["document"])
        if found := problems(chain):
            raise FlowInvalid("This chain cannot be played yet. Mend what is marked.", problems=tuple(found))
        contact = await self._contact(connection, sample)
        zone = zone_of(contact, chain.time_zone)
        key = await rows.free_id(connection, script.key if is_uuid(script.key) else None)
        version_id = await rows.add_version(connection, row["id"], row["document"])
        door = Door(row["id"], version_id, chain, script.start)
        entered = await enroll_one(connection, door, contact.id, source="play", enrollment_id=key)
        if entered.problem:
            return Played([], zone.key, script.start, None, "stopped", "", key, entered.problem)
        return await self._run(connection, chain, contact, zone, script, key)

    async def _run(
        self, connection: Connection, chain: Chain, contact: ContactFacts, zone: ZoneInfo, script: Script, key: str
    ) -> Played:
        calls = _CallsOnPaper(connection, script.call_ends, self._acts.line_connectors)
        runner = ChainRunner(self._database, self._acts.with_calls(calls))
        answers = sorted(script.answers, key=lambda a: a.at)
        told: list[Happening] = []
        now = script.start
        state = await rows.state(connection, key)
        due = _due(state)
        for _ in range(MOST_HAPPENINGS):
            answer = answers[0] if answers else None
            if answer is not None and (due is None or answer.at <= due):
                now = max(now, answer.at)
                await rows.add_reply(connection, contact.id, answer.text)
                told.append(Happening(now, "answered", text=answer.text))
                await runner.look_within(connection, contact.id, now)
                del answers[0]
            elif due is None or (script.end is not None and due > script.end):
                break
            else:
                now = max(now, due)
                await runner.run_within(connection, key, now)
            state = await rows.state(connection, key)
            due = _due(state)
        if script.end is not None and state["state"] == "active":
            now = max(now, script.end)
        happenings = sorted([*told, *await _log(connection, key)], key=lambda h: h.at)
        return Played(happenings, zone.key, now, due, state["state"], state["reason"], key)

    async def _contact(self, connection: Connection, sample: Sample) -> ContactFacts:
        if sample.contact_id:
            contact_id = await rows.copy_contact(connection, sample.contact_id) if is_uuid(sample.contact_id) else None
            if contact_id is None:
                raise NotFound("There is no such contact in this workspace.")
        else:
            given = {k: v for k, v in sample.values.items() if v}
            contact_id = await rows.describe_contact(connection, check_standard(given), [*self._acts.line_connectors])
        found = await chain_rows.contact(connection, contact_id)
        assert found is not None
        return facts_of(found["contact"])


def _due(state: Row) -> datetime | None:
    due: datetime | None = state["due_at"] if state["state"] == "active" else None
    return due


async def _log(connection: Connection, enrollment_id: str) -> list[Happening]:
    return [
        Happening(
            at=row["at"], what=row["what"], step_id=row["step_id"], kind=row["kind"], reason=row["reason"],
            text=row["text"] or "", channel=str(row["data"].get("channel", "")), until=str(row["data"].get("until", "")),
        )
        for row in await rows.log(connection, enrollment_id)
    ]  # fmt: skip
