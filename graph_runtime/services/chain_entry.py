"""The way into a chain and out of it, for one contact, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from graph_runtime.contract.chain_times import Planned, due, is_alike_for_all
from graph_runtime.contract.chains import Chain, ContactFacts, read_chain
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.days_off import calendar_of
from graph_runtime.storage import chains as rows
from graph_runtime.storage.database import Connection

Problem = Literal["", "no_chain", "off", "no_contact", "opted_out", "inside", "nothing_to_do"]
SENTENCES: Final[dict[str, str]] = {
    "no_chain": "There is no such chain in this workspace.",
    "off": "This chain is off. Publish it and switch it on first.",
    "no_contact": "There is no such contact in this workspace.",
    "opted_out": "This contact does not want to be written to.",
    "inside": "This contact is in the chain already.",
    "nothing_to_do": "No step of this chain can ever be due for this contact.",
}


@dataclass(frozen=True, slots=True)
class Entered:
    """What became of one contact; `problem` "" when they are in the chain now."""

    contact_id: str
    enrollment_id: str = ""
    problem: Problem = ""

    @property
    def sentence(self) -> str:
        """The problem in words."""
        return SENTENCES.get(self.problem, "")


@dataclass(frozen=True, slots=True)
class Door:
    """A chain that people are put into, held as it is by the caller's transaction; `chain` None: it takes nobody."""

    id: str
    version_id: str
    chain: Chain | None
    at: datetime


async def open_door(connection: Connection, chain_id: str, now: datetime | None = None) -> Door | None:
    """None: there is no such chain. `now` None: the database's clock."""
    row = await rows.live(connection, chain_id, now)
    if row is None:
        return None
    is_open = row["is_on"] and row["document"] is not None
    return Door(row["id"], row["version_id"] or "", read_chain(row["document"]) if is_open else None, row["at"])


async def enroll_one(
    connection: Connection, door: Door | None, contact_id: str, *, source: str, enrollment_id: str = ""
) -> Entered:  # fmt: skip
    """Put a contact into the live version of a chain. Twice is once: a contact is in a chain at most once."""
    if door is None:
        return Entered(contact_id, problem="no_chain")
    if door.chain is None:
        return Entered(contact_id, problem="off")
    row = await rows.contact(connection, contact_id) if is_uuid(contact_id) else None
    if row is None:
        return Entered(contact_id, problem="no_contact")
    one = _entering(door, door.chain, facts_of(row["contact"]), enrollment_id or row["new_id"])
    if isinstance(one, Entered):
        return one
    if not await rows.insert_enrollment(connection, {**one.values, "source": source}, one.passed):
        return Entered(one.values["contact"], problem="inside")
    return Entered(one.values["contact"], one.values["id"])


async def enroll_many(
    connection: Connection, door: Door | None, contact_ids: Sequence[str], *, source: str
) -> list[Entered]:  # fmt: skip
    """As `enroll_one` for each, in the order given, in a few statements."""
    if door is None or door.chain is None:
        problem: Problem = "no_chain" if door is None else "off"
        return [Entered(c, problem=problem) for c in contact_ids]
    known = {r["asked"]: r for r in await rows.contacts(connection, [c for c in contact_ids if is_uuid(c)])}
    found: dict[str, Entered] = {}
    wanted: dict[str, tuple[str, _Entering]] = {}
    known_times: dict[tuple[str, str], Planned] = {}
    for contact_id in dict.fromkeys(contact_ids):
        row = known.get(contact_id)
        if row is None:
            found[contact_id] = Entered(contact_id, problem="no_contact")
            continue
        one = _entering(door, door.chain, facts_of(row["contact"]), row["new_id"], known_times)
        if isinstance(one, Entered):
            found[contact_id] = one
        else:
            wanted[one.values["id"]] = contact_id, one
    values = [{**one.values, "source": source} for _, one in wanted.values()]
    passed = [(i, *step) for i, (_, one) in wanted.items() for step in one.passed]
    inside = await rows.insert_enrollments(connection, values, passed)
    for enrollment_id, (asked, one) in wanted.items():
        contact_id = one.values["contact"]
        found[asked] = (
            Entered(contact_id, enrollment_id) if enrollment_id in inside else Entered(contact_id, problem="inside")
        )
    first: dict[str, int] = {}
    for place, contact_id in enumerate(contact_ids):
        first.setdefault(contact_id, place)
    return [found[c] if first[c] == place else _twice(found[c]) for place, c in enumerate(contact_ids)]


def _twice(entered: Entered) -> Entered:
    return entered if entered.problem else Entered(entered.contact_id, problem="inside")


@dataclass(frozen=True, slots=True)
class _Entering:
    """A row to be written, and the steps that are passed over: (step, kind, reason)."""

    values: dict[str, Any]
    passed: list[tuple[str, str, str]]


def _entering(
    door: Door, chain: Chain, contact: ContactFacts, enrollment_id: str,
    known: dict[tuple[str, str], Planned] | None = None,
) -> _Entering | Entered:  # fmt: skip
    """`known`: steps that are due for everybody under one clock at one time, by step and zone; filled on the way."""
    if contact.is_opted_out:
        return Entered(contact.id, problem="opted_out")
    calendar = calendar_of(chain, contact)
    passed: list[tuple[str, str, str]] = []
    for step in chain.steps:
        one = None if known is None else known.get((step.id, calendar.zone.key))
        if one is None:
            one = due(chain, step, contact, door.at, door.at, calendar, key=enrollment_id)
            if known is not None and is_alike_for_all(chain, step):
                known[step.id, calendar.zone.key] = one
        if one.due_at is None:
            passed.append((step.id, step.kind, one.reason))
            continue
        values = {
            "id": enrollment_id, "chain": door.id, "version": door.version_id, "contact": contact.id,
            "step_id": step.id, "due_at": one.due_at, "at": door.at,
        }  # fmt: skip
        return _Entering(values, passed)
    return Entered(contact.id, problem="nothing_to_do")


async def leave_one(
    connection: Connection, contact_id: str, chain_id: str, reason: str, now: datetime | None = None
) -> int:  # fmt: skip
    """Take a contact out of a chain ("" of all); how many enrollments ended."""
    return await rows.stop(connection, reason=reason, contact_id=contact_id, chain_id=chain_id or None, now=now)


def facts_of(contact: Mapping[str, Any]) -> ContactFacts:
    """From the row of a contact."""
    return ContactFacts(
        id=str(contact["id"]), name=contact.get("name") or "", phone=contact.get("phone") or "",
        email=contact.get("email") or "", tags=tuple(contact.get("tags") or ()),
        time_zone=contact.get("time_zone") or "", language=contact.get("language") or "",
        is_opted_out=bool(contact.get("opted_out_at")), fields=contact.get("fields") or {},
        variables=contact.get("variables") or {},
    )  # fmt: skip
