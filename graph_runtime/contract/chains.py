"""The chain document `chain/1`: a timed sequence of steps for contacts, as data; and what keeps it from going live."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from graph_runtime.contract.conditions import Condition, evaluate, references
from graph_runtime.contract.errors import FlowDamaged, TemplateInvalid
from graph_runtime.contract.local_time import is_time_zone
from graph_runtime.contract.templates import parse, render
from graph_runtime.contract.working_hours import WorkingHours, load_hours

StepId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Unit = Literal["minutes", "hours", "days", "working_days", "weeks", "months"]
CALENDAR_UNITS: Final = frozenset({"days", "working_days", "weeks", "months"})
"""Units that count dates of the contact's calendar; the others count elapsed time."""
MAX_STEPS: Final = 100
MAX_DOCUMENT_BYTES: Final = 500_000
Id = Annotated[str, StringConstraints(max_length=60)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Delay(_Data):
    """When a step is due: so long after the previous step, the enrollment, or a date in a field of the contact.

    `at`: wall time of the contact, for units of days and longer. `before`: only with a field. 29 February plus a year
    is 28 February: a month that is too short gives its last day.
    """

    amount: int = Field(default=0, ge=0, le=1000)
    unit: Unit = "days"
    since: Literal["previous", "enrollment", "field"] = "previous"
    field: str = Field(default="", max_length=100)
    before: bool = False
    at: ClockTime | Literal[""] = ""


class Window(_Data):
    """Hours of the contact in which something may happen; `start` after `end` spans midnight, equal ones mean all day.

    `weekdays`: 0 is Monday; none means every day.
    """

    start: ClockTime = "00:00"
    end: ClockTime = "00:00"
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = ()
    skip_holidays: bool = False


class Quiet(_Data):
    """Hours in which nobody is written to or called."""

    start: ClockTime = "21:00"
    end: ClockTime = "09:00"


class Caps(_Data):
    """How much all chains together may say; 0 means no limit. Days of a contact are theirs; of a channel, its last 24 hours
    and its last 60 minutes count."""

    per_contact_day: int = Field(default=3, ge=0, le=100)
    spacing_minutes: int = Field(default=60, ge=0, le=10_080)
    per_channel_hour: int = Field(default=0, ge=0, le=1_000_000)
    per_channel_day: int = Field(default=0, ge=0, le=1_000_000)


class StopRules(_Data):
    """What ends an enrollment before its last step. `results`: how a conversation of the contact ended; `stages`: to which
    a deal of theirs came in the CRM, by name or number."""

    on_reply: bool = True
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)
    results: tuple[Tag, ...] = Field(default=(), max_length=20)
    stages: tuple[Tag, ...] = Field(default=(), max_length=20)
    when: Condition | None = None


class _Step(_Data):
    id: StepId
    name: str = Field(default="", max_length=200)
    delay: Delay = Delay()
    window: Window | None = None
    only_if: Condition | None = None
    otherwise: Literal["skip", "stop"] = "skip"


class Wording(_Data):
    """One way to say it. `texts`: language → Liquid text, "" for all others. `share`: weight in the draw."""

    id: StepId
    texts: dict[str, Annotated[str, StringConstraints(max_length=20_000)]] = Field(default_factory=dict)
    share: int = Field(default=1, ge=1, le=100)

    def text(self, language: str) -> str:
        """In the contact's language, else the main one."""
        return self.texts.get(language) or self.texts.get("") or next(iter(self.texts.values()), "")


class MessageStep(_Step):
    """Write to the contact. `channels`: in the order in which they are tried; none: where the contact last wrote."""

    kind: Literal["message"] = "message"
    channels: tuple[Id, ...] = Field(default=(), max_length=10)
    wordings: tuple[Wording, ...] = Field(default=(), max_length=5)


class FlowStep(_Step):
    """Start a conversation of an agent with the contact. `flow_id` "": the agent's main flow."""

    kind: Literal["flow"] = "flow"
    agent_id: Id = ""
    flow_id: Id = ""
    channels: tuple[Id, ...] = Field(default=(), max_length=10)


class CallStep(_Step):
    """Ring the contact from a line; nobody answers: again, `tries` times in all, `again_minutes` apart."""

    kind: Literal["call"] = "call"
    channel_id: Id = ""
    ring_seconds: int = Field(default=30, ge=5, le=120)
    tries: int = Field(default=1, ge=1, le=10)
    again_minutes: int = Field(default=60, ge=5, le=1440)


class NotifyStep(_Step):
    """Leave a note for a member; `member_id` "": for everybody."""

    kind: Literal["notify"] = "notify"
    member_id: Id = ""
    text: str = Field(default="", max_length=4000)


class WebhookStep(_Step):
    """Send an event to an event subscription, signed and repeated like every other. `note`: a text that goes along."""

    kind: Literal["webhook"] = "webhook"
    subscription_id: Id = ""
    note: str = Field(default="", max_length=4000)


class FieldChange(_Data):
    """A field of the contact and the text it gets."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,59}$")]
    value: str = Field(default="", max_length=4000)


class UpdateStep(_Step):
    """Change fields and tags of the contact."""

    kind: Literal["update"] = "update"
    fields: tuple[FieldChange, ...] = Field(default=(), max_length=20)
    add_tags: tuple[Tag, ...] = Field(default=(), max_length=20)
    remove_tags: tuple[Tag, ...] = Field(default=(), max_length=20)


class CrmField(_Data):
    """A field of a record in a customer system, as that system names it, and the text it gets.

    `label` and `shown`: what people called the two when they chose them; nothing is done with those.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
    value: str = Field(default="", max_length=4000)
    label: str = Field(default="", max_length=200)
    shown: str = Field(default="", max_length=400)


class CrmStep(_Step):
    """Write to a customer system: the contact's record is found by phone or e-mail, and made where `creates`.

    `slot`: the connection of the agent. A deal is the newest open one of the person. A value that is empty changes nothing.
    """

    kind: Literal["crm"] = "crm"
    agent_id: Id = ""
    slot: Annotated[str, StringConstraints(max_length=100)] = ""
    entity: Literal["lead", "contact"] = "lead"
    by: Literal["phone", "email"] = "phone"
    creates: bool = True
    fields: tuple[CrmField, ...] = Field(default=(), max_length=20)
    note: str = Field(default="", max_length=4000)
    task: str = Field(default="", max_length=1000)
    task_hours: int = Field(default=24, ge=1, le=8760)


ChainStep = Annotated[
    MessageStep | FlowStep | CallStep | NotifyStep | WebhookStep | UpdateStep | CrmStep, Field(discriminator="kind")
]
SPEAKING: Final = frozenset({"message", "flow", "call"})
"""Steps that the contact notices: quiet hours, caps, opt-out and working time hold for them."""


class Chain(_Data):
    """Steps in order with the rules around them. `time_zone`: of contacts whose own is not known.

    `country`: whose public holidays count as days off ("" none). `jitter_minutes`: speaking steps come up to so much
    later, the same for the same person each time, so that a hundred people are not written to in one second. `hours`:
    as `working_hours.WorkingHours` has it, by weekday; steps that speak come only then, and days without any are days off
    for working days too. None means any hour.
    """

    format: Literal["chain/1"] = "chain/1"
    steps: tuple[ChainStep, ...] = Field(default=(), max_length=MAX_STEPS)
    stop: StopRules = StopRules()
    quiet: Quiet | None = Quiet()
    caps: Caps = Caps()
    time_zone: str = Field(default="UTC", max_length=60)
    country: Annotated[str, StringConstraints(pattern=r"^([A-Z]{2})?$")] = ""
    jitter_minutes: int = Field(default=0, ge=0, le=240)
    hours: dict[str, tuple[tuple[str, str], ...]] = Field(default_factory=dict)

    @field_validator("hours")
    @classmethod
    def _can_be_read(cls, hours: dict[str, tuple[tuple[str, str], ...]]) -> dict[str, tuple[tuple[str, str], ...]]:
        load_hours({day: [*spans] for day, spans in hours.items()})
        return hours

    @cached_property
    def working_hours(self) -> WorkingHours | None:
        """None: any hour."""
        read = load_hours({day: [*spans] for day, spans in self.hours.items()}) if self.hours else None
        return None if read is None or read.are_empty else read

    def place(self, step_id: str) -> int:
        """Position of a step; the number of steps when there is none of that id."""
        return next((n for n, step in enumerate(self.steps) if step.id == step_id), len(self.steps))

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json", by_alias=True)

    def content_hash(self) -> str:
        """Equal for equal chains. What chains of earlier days could not say counts only where it is said."""
        document = self.to_json()
        if not self.hours:
            del document["hours"]
        if not self.caps.per_channel_day:
            del document["caps"]["per_channel_day"]
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def read_chain(document: Any) -> Chain:
    """A stored or given document. Raises: FlowDamaged with the place that does not fit."""
    if len(json.dumps(document, default=str)) > MAX_DOCUMENT_BYTES:
        raise FlowDamaged("This chain is larger than 500 kB. Make its texts shorter.")
    try:
        chain = Chain.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        raise FlowDamaged(f"This is not a chain: {place}: {first['msg']}.", place=place) from None
    ids = [step.id for step in chain.steps]
    if len({*ids}) != len(ids):
        raise FlowDamaged("Two steps of this chain have the same id. Give each its own.")
    return chain


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """What a chain may read of a contact. `variables`: those that flows keep with the contact."""

    id: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    tags: tuple[str, ...] = ()
    time_zone: str = ""
    language: str = ""
    is_opted_out: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """As `contact` in texts and conditions: own columns win over fields, and fields over variables."""
        own = {
            "id": self.id, "name": self.name, "phone": self.phone, "email": self.email, "tags": list(self.tags),
            "language": self.language, "time_zone": self.time_zone, "opted_out": self.is_opted_out,
        }  # fmt: skip
        known = {k: v for k, v in own.items() if v}
        return {**own, **self.variables, **self.fields, **known}

    def resolve(self, path: str) -> Any:
        """The value at `contact.…`; None when there is none."""
        root, *names = path.split(".")
        value: Any = self.values() if root == "contact" else None
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def render(self, text: str) -> str:
        """Fill a text; one that cannot be filled stays as it is written."""
        try:
            return render(text, {"contact": self.values()})
        except TemplateInvalid:
            return text

    def fits(self, condition: Condition | None) -> bool:
        """Whether a condition holds; no condition holds always."""
        return condition is None or evaluate(condition, self.resolve, self.render)


def wording_for(step: MessageStep, key: str) -> Wording | None:
    """The wording one person gets: drawn by the shares, the same for the same `key`."""
    total = sum(w.share for w in step.wordings)
    if not total:
        return None
    place = draw(f"{key}/{step.id}/wording", total)
    for wording in step.wordings:
        place -= wording.share
        if place < 0:
            return wording
    return step.wordings[-1]


def draw(key: str, below: int) -> int:
    """A number from 0 to `below` - 1 that depends on nothing but the key."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "replace")).digest()[:8], "big") % max(below, 1)


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """Why a chain cannot go live. `code` has words in every language, `message` is the English sentence."""

    code: str
    message: str
    step_id: str = ""


def problems(chain: Chain) -> list[ChainProblem]:
    """Everything that must be mended before publishing, in the order of the steps."""
    found = [] if chain.steps else [ChainProblem("no_steps", "The chain has no steps yet. Add one.")]
    if not is_time_zone(chain.time_zone):
        found.append(
            ChainProblem("time_zone", f"“{chain.time_zone}” is no time zone. Choose one, such as Europe/Kyiv.")
        )
    if chain.stop.when is not None and _is_foreign(chain.stop.when):
        found.append(ChainProblem("condition", "The stop rule reads something that is not known of a contact."))
    for step in chain.steps:
        found.extend(ChainProblem(code, text, step.id) for code, text in _of_step(step))
    return found


def _of_step(step: ChainStep) -> Iterator[tuple[str, str]]:
    delay = step.delay
    if delay.since == "field" and not delay.field:
        yield "no_field", "Say which field holds the date."
    if delay.before and delay.since != "field":
        yield "before", "Only a date in a field can be counted back from."
    if delay.at and delay.unit not in CALENDAR_UNITS:
        yield "at", "A time of day goes with days, weeks and months. Take it away, or count in days."
    if step.only_if is not None and _is_foreign(step.only_if):
        yield "condition", "The condition reads something that is not known of a contact."
    for text in texts(step):
        try:
            parse(text)
        except TemplateInvalid:
            yield "template", "A text cannot be read. Check the double braces and the names inside them."
            break
    if missing := _missing(step):
        yield missing


def _missing(step: ChainStep) -> tuple[str, str] | None:
    """What the step cannot do without."""
    if isinstance(step, MessageStep) and not any(t.strip() for w in step.wordings for t in w.texts.values()):
        return "no_text", "Write what the contact should read."
    if isinstance(step, FlowStep) and not step.agent_id:
        return "no_agent", "Choose the agent whose flow is to run."
    if isinstance(step, CallStep) and not step.channel_id:
        return "no_line", "Choose the phone line to call from."
    if isinstance(step, NotifyStep) and not step.text.strip():
        return "no_note", "Write what the member should read."
    if isinstance(step, WebhookStep) and not step.subscription_id:
        return "no_subscription", "Choose who is to be told."
    if isinstance(step, CrmStep) and not step.agent_id:
        return "no_crm", "Choose the customer system, connected to one of your agents."
    if isinstance(step, CrmStep) and not (step.fields or step.note.strip() or step.task.strip()):
        return "nothing_written", "Say what is to be written: a field, a note or a task."
    if isinstance(step, UpdateStep) and not (step.fields or step.add_tags or step.remove_tags):
        return "no_change", "Say what is to change about the contact."
    return None


def texts(step: ChainStep) -> list[str]:
    """Every Liquid text of a step."""
    if isinstance(step, MessageStep):
        return [t for w in step.wordings for t in w.texts.values()]
    if isinstance(step, NotifyStep):
        return [step.text]
    if isinstance(step, WebhookStep):
        return [step.note]
    if isinstance(step, CrmStep):
        return [*(f.value for f in step.fields), step.note, step.task]
    return [c.value for c in step.fields] if isinstance(step, UpdateStep) else []


def _is_foreign(condition: Condition) -> bool:
    return any(not ref.startswith("contact.") for ref in references(condition))
