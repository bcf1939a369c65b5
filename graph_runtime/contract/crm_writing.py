"""What a step writes to a customer system, as data: it is carried out in the turn, or later when the system is back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from graph_runtime.contract.crm import CrmDoor, CrmQuery, CrmRecord, CrmTask, Entity
from graph_runtime.contract.errors import ConnectorError, Refused

NAMES: Final = ("name", "first_name", "last_name")
"""What a name is read from, in contacts and in variables."""


@dataclass(frozen=True, slots=True)
class CrmWrite:
    """One record with what is written to it; everything is filled in. `by` "new": always another record.

    `known`: what is looked for; `own_name`: the contact's name, for a record that needs one. `record_id`: the record that was
    found or made already, so that only note and task are left.
    """

    entity: Entity
    by: Literal["phone", "email", "id", "field", "new"]
    known: str = ""
    field_id: str = ""
    creates: bool = True
    values: Mapping[str, Any] = field(default_factory=dict)
    own_name: str = ""
    note: str = ""
    task: str = ""
    due_at: datetime | None = None
    record_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        due_at = self.due_at.isoformat() if self.due_at else None
        names = ("entity", "by", "known", "field_id", "creates", "own_name", "note", "task", "record_id")
        return {name: getattr(self, name) for name in names} | {"values": dict(self.values), "due_at": due_at}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CrmWrite:
        """The opposite of `to_json`."""
        due_at = datetime.fromisoformat(data["due_at"]) if data.get("due_at") else None
        return cls(**{**data, "due_at": due_at})


@dataclass(frozen=True, slots=True)
class CrmWritten:
    """What came of it. `record` None without an error: there is none, and none is to be made. `done`: "record", "note", "task".
    `rest`: what is left to be written after an error."""

    record: CrmRecord | None = None
    created: bool = False
    done: tuple[str, ...] = ()
    error: ConnectorError | None = None
    rest: CrmWrite | None = None


def name_of(contact: Mapping[str, Any], said: Mapping[str, Any] | None = None) -> str:
    """What a contact is called, for records made for them: as they are known, else as they said it in this conversation
    (`said`: its variables); "" when nobody knows."""
    for known in (contact, said or {}):
        whole = " ".join(str(known.get("name") or "").split())
        parts = " ".join(str(known[part]).strip() for part in ("first_name", "last_name") if known.get(part))
        if whole or parts:
            return (whole or parts)[:200]
    return ""


def is_unnamed(name: str, known: str = "") -> bool:
    """Whether a record has no name that a person gave it: none, digits, or the address it was made with."""
    name = name.strip()
    return not any(c.isalpha() for c in name) or "@" in name or name.casefold() == known.strip().casefold()


async def carry_out(crm: CrmDoor, write: CrmWrite) -> CrmWritten:
    """Record, note, task, in this order; never raises a ConnectorError."""
    record, created, done = None, False, []
    try:
        if write.record_id:
            record = CrmRecord(write.entity, write.record_id)
        else:
            record, created = await _record(crm, write)
            if record is None:
                return CrmWritten()
            done.append("record")
            write = replace(write, record_id=record.id)
        if write.note:
            await crm.note(write.entity, record.id, write.note)
            done.append("note")
            write = replace(write, note="")
        if write.task and write.due_at:
            await crm.task(write.entity, record.id, CrmTask(write.task, write.due_at))
            done.append("task")
    except ConnectorError as error:
        return CrmWritten(record, created, tuple(done), error, write)
    return CrmWritten(record, created, tuple(done))


async def _record(crm: CrmDoor, write: CrmWrite) -> tuple[CrmRecord | None, bool]:
    """The record with the values written, and whether it was made. Raises: ConnectorError."""
    found = None
    if write.by != "new" and write.known:
        query = CrmQuery(write.entity, write.by, write.known, write.field_id if write.by == "field" else "")
        found = await crm.find(query)
    if found is not None:
        wanted = {k: v for k, v in write.values.items() if v not in (None, "")}
        if write.own_name and write.entity == "contact" and is_unnamed(found.name, write.known):
            wanted.setdefault("name", write.own_name)
        elif write.own_name and write.entity == "lead":
            await _name_contact(crm, write, found)
        changed = await crm.update(write.entity, found.id, wanted) if wanted else found
        return changed and replace(changed, url=changed.url or found.url), False
    if write.by != "new" and not write.creates:
        return None, False
    contact = await _contact(crm, write) if write.entity == "lead" else ""
    own = {write.by: write.known} if write.by in ("phone", "email") and write.entity != "lead" and write.known else {}
    values = dict(write.values)
    if write.own_name and not values.get("name"):
        values["name"] = write.own_name
    return await crm.create(write.entity, own | values, contact=contact), True


async def _contact(crm: CrmDoor, write: CrmWrite) -> str:
    """The contact a new deal belongs to; made when nobody has this phone or e-mail yet."""
    if write.by not in ("phone", "email") or not write.known:
        return ""
    found = await crm.find(CrmQuery("contact", write.by, write.known))
    if found is None:
        return (await crm.create("contact", {"name": write.own_name or write.known, write.by: write.known})).id
    await _give_name(crm, write, found.id, found.name)
    return found.id


async def _name_contact(crm: CrmDoor, write: CrmWrite, lead: CrmRecord) -> None:
    """The contact of a deal that was found may have been made before anybody knew what they are called."""
    if write.by not in ("phone", "email"):
        return
    if lead.contact is not None:
        await _give_name(crm, write, *lead.contact)
    elif (found := await crm.find(CrmQuery("contact", write.by, write.known))) is not None:
        await _give_name(crm, write, found.id, found.name)


async def _give_name(crm: CrmDoor, write: CrmWrite, contact_id: str, name: str) -> None:
    if write.own_name and is_unnamed(name, write.known):
        # A system that does not let us write this field keeps nobody's deal from being written.
        with suppress(Refused):
            await crm.update("contact", contact_id, {"name": write.own_name})
