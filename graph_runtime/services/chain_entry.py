"""The way into a chain and out of it, for one contact, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from graph_runtime.contract.chain_times import due
from graph_runtime.contract.chains import ContactFacts, read_chain
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


async def enroll_one(
    connection: Connection, chain_id: str, contact_id: str, *, source: str, now: datetime | None = None
) -> Entered:
    """Put a contact into the live version of a chain. Twice is once: a contact is in a chain at most once."""
    head = await rows.live(connection, chain_id, now)
    if head is None:
        return Entered(contact_id, problem="no_chain")
    if not head["is_on"] or head["document"] is None:
        return Entered(contact_id, problem="off")
    row = await rows.contact(connection, contact_id)
    if row is None:
        return Entered(contact_id, problem="no_contact")
    contact = facts_of(row)
    if contact.is_opted_out:
        return Entered(contact_id, problem="opted_out")
    chain, at = read_chain(head["document"]), head["at"]
    calendar = calendar_of(chain, contact)
    enrollment_id = await rows.new_id(connection)
    passed = []
    for step in chain.steps:
        one = due(chain, step, contact, at, at, calendar, key=enrollment_id)
        if one.due_at is None:
            passed.append((step, one.reason))
            continue
        values = {
            "id": enrollment_id, "chain": head["id"], "version": head["version_id"], "contact": contact.id,
            "step_id": step.id, "due_at": one.due_at, "at": at, "source": source,
        }  # fmt: skip
        if not await rows.insert_enrollment(connection, values, [(s.id, s.kind, reason) for s, reason in passed]):
            return Entered(contact.id, problem="inside")
        return Entered(contact.id, enrollment_id)
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
