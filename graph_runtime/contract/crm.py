"""Customer systems as the product sees them: contacts, companies and leads with typed fields, notes and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

Entity = Literal["contact", "company", "lead"]
ENTITIES: Final[tuple[Entity, ...]] = ("contact", "company", "lead")
FieldKind = Literal["text", "number", "boolean", "date", "choice", "choices", "phone", "email", "tags"]
FindBy = Literal["phone", "email", "id", "field"]


@dataclass(frozen=True, slots=True)
class CrmField:
    """One field of a kind of record. `id` is what flows keep; `options`: (id, label) of a choice."""

    id: str
    label: str
    kind: FieldKind = "text"
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CrmStage:
    """One stage of a pipeline; `id` names both, so that one choice is enough."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class CrmPipeline:
    """A pipeline with its stages in order."""

    id: str
    label: str
    stages: tuple[CrmStage, ...] = ()


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """A contact, company or lead. `values`: field id → value; `url` opens it in the system's own screens.

    `created`: when it was made, in seconds since 1970; None where the system does not say. `contact`: (id, name) of whose a
    lead is, where the system told it with the lead.
    """

    entity: Entity
    id: str
    name: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    created: float | None = None
    contact: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"values": dict(self.values)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CrmRecord:
        """The opposite of `to_json`."""
        contact = data.get("contact")
        return cls(**{**data, "contact": (contact[0], contact[1]) if contact else None})


@dataclass(frozen=True, slots=True)
class CrmQuery:
    """Which record is meant. A lead looked for by phone or e-mail is the newest open one of that contact.

    `field` (an id) only with by "field".
    """

    entity: Entity
    by: FindBy
    value: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class CrmTask:
    """Something a person is to do. `due_at`: aware UTC; `person`: id of who, "" whoever the system chooses."""

    text: str
    due_at: datetime
    person: str = ""


class Crm(Protocol):
    """One account of one customer system; safe for concurrent use. Nothing is repeated inside.

    Every method raises: Unreachable, RateLimited, CredentialRejected, Refused (with the field, where it is known),
    OutcomeUnknown (a write may have been carried out), BadAnswer.
    """

    async def find(self, query: CrmQuery) -> CrmRecord | None:
        """The best match, the newest first; None when there is none."""
        ...

    async def newest(self, entity: Entity) -> CrmRecord | None:
        """The record that was made last, as an example; None when there is none. Raises also: Refused where the system has no
        way to ask for it."""
        ...

    async def find_made(self, entity: Entity, key: str) -> CrmRecord | None:
        """The record that `create` made under this key, None when there is none."""
        ...

    async def contact_of(self, lead: CrmRecord) -> CrmRecord | None:
        """The contact a lead belongs to, its main one of several; None when there is none."""
        ...

    async def create(self, entity: Entity, values: Mapping[str, Any], *, key: str, contact: str = "") -> CrmRecord:
        """Make a record that `find_made` finds by `key`; `contact`: id of the contact a lead belongs to."""
        ...

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None:
        """Change fields; None when there is no such record."""
        ...

    async def add_note(self, entity: Entity, record_id: str, text: str) -> str:
        """Its id."""
        ...

    async def find_note(self, entity: Entity, record_id: str, text: str, since: datetime) -> str | None:
        """The id of such a note written since then."""
        ...

    async def add_task(self, entity: Entity, record_id: str, task: CrmTask) -> str:
        """Its id."""
        ...

    async def find_task(self, entity: Entity, record_id: str, task: CrmTask, since: datetime) -> str | None:
        """The id of such a task made since then."""
        ...

    async def fields(self, entity: Entity) -> tuple[CrmField, ...]:
        """The fields that can be written, common ones first."""
        ...

    async def pipelines(self) -> tuple[CrmPipeline, ...]:
        """Empty where the system has none."""
        ...

    async def people(self) -> tuple[tuple[str, str], ...]:
        """(id, name) of those who can be made responsible; empty where that is not known."""
        ...


class CrmDoor(Protocol):
    """A customer system for one step: every call is recorded, a repeated turn looks before it creates again.

    In tests (`is_planned`) nothing is written: writes return a record with the id "test", and the tester sees what
    would have been written.
    """

    @property
    def is_planned(self) -> bool: ...

    async def find(self, query: CrmQuery) -> CrmRecord | None: ...

    async def create(self, entity: Entity, values: Mapping[str, Any], *, contact: str = "") -> CrmRecord: ...

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None: ...

    async def note(self, entity: Entity, record_id: str, text: str) -> str: ...

    async def task(self, entity: Entity, record_id: str, task: CrmTask) -> str: ...


class CrmKeeper(CrmDoor, Protocol):
    """The door of a step, which can also put a write aside until the system is back."""

    async def was_put_aside(self) -> bool:
        """Whether an earlier run of this turn did so: then nothing more is to be done."""
        ...

    async def has_earlier(self) -> bool:
        """Whether earlier writes of the conversation still wait: what comes now goes behind them, or they would undo it."""
        ...

    async def put_aside(self, write: Mapping[str, Any]) -> None:
        """Let the program do it, as `crm_writing.CrmWrite.to_json` gave it, as soon as it can be done."""
        ...


TEST_ID: Final = "test"
