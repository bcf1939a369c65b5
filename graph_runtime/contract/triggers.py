"""Triggers as data: what starts something by itself, on which conditions, what it then does, and how often at most."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from graph_runtime.contract.chains import CrmField
from graph_runtime.contract.conditions import All, Condition
from graph_runtime.contract.crm_changes import EVENTS as CRM_EVENTS
from graph_runtime.contract.schedules import Schedule

Kind = Literal["message", "schedule", "event", "webhook", "inactivity", "manual"]
EVENTS: Final = (
    "flow.finished",
    "conversation.started",
    "conversation.ended",
    "conversation.handed_off",
    "message.undeliverable",
    "contact.created",
    "contact.tag_added",
    "contact.opted_out",
    "chain.finished",
    *CRM_EVENTS,
)
"""What happens inside, or in a customer system, and can start something; migrations 0020 and later write them."""
Awaited = Literal[
    "", "contact.tag_added", "flow.finished", "conversation.started", "conversation.ended", "conversation.handed_off",
    "message.undeliverable", "contact.opted_out", "chain.finished", "trigger.fired", "crm.stage_changed",
]  # fmt: skip
"""What may end a wait of a flow early, when it happens to the contact; "" nothing. Migration 0026 wakes who waits."""
AWAITED: Final = {
    "": "Nothing", "contact.tag_added": "The client gets a tag", "flow.finished": "Another flow finished",
    "conversation.started": "Another conversation began", "conversation.ended": "Another conversation ended",
    "conversation.handed_off": "Another conversation went to a person", "message.undeliverable": "A message could not be delivered",
    "contact.opted_out": "The client opted out", "chain.finished": "Follow-ups came to their end",
    "trigger.fired": "A trigger fired for the client", "crm.stage_changed": "The client's deal changes its stage in the CRM",
}  # fmt: skip
AWAITED_BY_NAME: Final = (
    "contact.tag_added",
    "flow.finished",
    "conversation.ended",
    "trigger.fired",
    "crm.stage_changed",
)
"""Those that name a tag, a result, a trigger or a stage, so that a wait may ask for one of them only."""
MAX_DEPTH: Final = 5
"""So many triggers may cause one another in a row; the next one stops."""
MOST_PER_HOUR: Final = 20
"""A trigger that fires more often for one contact is running in a circle that nothing else noticed."""
MOST_PER_HOUR_OF_NOBODY: Final = 300
"""A trigger that programs post to and that sends events itself, about no contact: with whoever answers them it may go in a circle."""
PERIOD_HOURS: Final = {"hour": 1, "day": 24, "week": 168, "month": 720, "ever": 0}


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OnMessage(_Data):
    """A contact writes. `texts` by `match`: words anywhere, the whole message, a /command, or a pattern with * and ?.

    `channels`: kinds such as "telegram", empty for all. `interrupts`: also in the middle of a conversation.
    """

    kind: Literal["message"] = "message"
    match: Literal["words", "exact", "command", "pattern", "any"] = "words"
    texts: tuple[str, ...] = Field(default=(), max_length=100)
    channels: tuple[str, ...] = Field(default=(), max_length=20)
    interrupts: bool = False


class OnSchedule(_Data):
    """A time comes. `audience` "contacts": for each that meets the condition; "nobody": once, about no contact."""

    kind: Literal["schedule"] = "schedule"
    schedule: Schedule = Schedule()
    audience: Literal["contacts", "nobody"] = "contacts"
    segment_id: str = Field(default="", max_length=64)


class OnEvent(_Data):
    """Something happened. `results`: of a finished flow; `tags`: that were added; `stages`: of a deal; empty: whichever."""

    kind: Literal["event"] = "event"
    event: str = "flow.finished"
    results: tuple[str, ...] = Field(default=(), max_length=50)
    tags: tuple[str, ...] = Field(default=(), max_length=50)
    stages: tuple[str, ...] = Field(default=(), max_length=50)


class Use(_Data):
    """One value of an incoming request and what it is used as. `pointer`: as in RFC 6901; `name` of a variable or field."""

    pointer: str = Field(max_length=500)
    as_: Literal["phone", "email", "external_id", "name", "language", "variable", "field"] = Field(alias="as")
    name: str = Field(default="", max_length=64)
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class OnWebhook(_Data):
    """A program posts to the trigger's address. `channel_id`: where an external id is known; `dedupe`: a pointer."""

    kind: Literal["webhook"] = "webhook"
    auth: Literal["signature", "secret"] = "signature"
    uses: tuple[Use, ...] = Field(default=(), max_length=100)
    channel_id: str = Field(default="", max_length=64)
    dedupe: str = Field(default="", max_length=500)
    creates_contacts: bool = True


class OnInactivity(_Data):
    """Nobody wrote in a conversation for so long. `ended`: also when it is over."""

    kind: Literal["inactivity"] = "inactivity"
    minutes: int = Field(default=1440, ge=1, le=60 * 24 * 365)
    ended: bool = False


class OnRequest(_Data):
    """A member presses the button, or a program asks."""

    kind: Literal["manual"] = "manual"


When = Annotated[
    OnMessage | OnSchedule | OnEvent | OnWebhook | OnInactivity | OnRequest, Field(discriminator="kind")
]  # fmt: skip


class StartFlow(_Data):
    """Begin a conversation with the contact. `flow_id` "": the main flow; `channels`: kinds in order, empty: last used."""

    do: Literal["start_flow"] = "start_flow"
    flow_id: str = Field(default="", max_length=64)
    channels: tuple[str, ...] = Field(default=(), max_length=20)
    if_open: Literal["skip", "interrupt"] = "skip"


class EnrollInChain(_Data):
    """Put the contact into a follow-up chain."""

    do: Literal["enroll"] = "enroll"
    chain_id: str = Field(max_length=64)


class LeaveChain(_Data):
    """Take the contact out of a chain, "" of all."""

    do: Literal["leave"] = "leave"
    chain_id: str = Field(default="", max_length=64)


class ChangeContact(_Data):
    """Set fields (texts with {{ variables }}) and tags."""

    do: Literal["change_contact"] = "change_contact"
    fields: dict[str, str] = Field(default_factory=dict, max_length=50)
    add_tags: tuple[str, ...] = Field(default=(), max_length=50)
    remove_tags: tuple[str, ...] = Field(default=(), max_length=50)


class NotifyMembers(_Data):
    """Leave a note for a member, or for everybody ("")."""

    do: Literal["notify"] = "notify"
    member_id: str = Field(default="", max_length=64)
    text: str = Field(default="", max_length=2000)


class SendWebhook(_Data):
    """Send the event `trigger.fired` to one event subscription, signed and repeated as every other."""

    do: Literal["send_webhook"] = "send_webhook"
    subscription_id: str = Field(max_length=64)
    note: str = Field(default="", max_length=2000)


class WriteCrm(_Data):
    """Write to a customer system that is connected to the agent: as a chain's step does (`chains.CrmStep`)."""

    do: Literal["write_crm"] = "write_crm"
    slot: str = Field(default="", max_length=100)
    entity: Literal["lead", "contact"] = "lead"
    by: Literal["phone", "email"] = "phone"
    creates: bool = True
    fields: tuple[CrmField, ...] = Field(default=(), max_length=20)
    note: str = Field(default="", max_length=4000)
    task: str = Field(default="", max_length=1000)
    task_hours: int = Field(default=24, ge=1, le=8760)


def _action_tag(v: Any) -> str:
    return str(v.get("do", "")) if isinstance(v, dict) else str(getattr(v, "do", ""))


Action = Annotated[
    Annotated[StartFlow, Tag("start_flow")]
    | Annotated[EnrollInChain, Tag("enroll")]
    | Annotated[LeaveChain, Tag("leave")]
    | Annotated[ChangeContact, Tag("change_contact")]
    | Annotated[NotifyMembers, Tag("notify")]
    | Annotated[SendWebhook, Tag("send_webhook")]
    | Annotated[WriteCrm, Tag("write_crm")],
    Discriminator(_action_tag),
]
NEEDS_CONTACT: Final = ("start_flow", "enroll", "leave", "change_contact", "write_crm")
Period = Literal["hour", "day", "week", "month", "ever"]


class Limits(_Data):
    """How often at most, 0 for no limit: for one contact, and for all of them together, each in its period."""

    per_contact: int = Field(default=1, ge=0, le=10_000)
    contact_period: Period = "day"
    total: int = Field(default=0, ge=0, le=10_000_000)
    total_period: Period = "day"


class Trigger(_Data):
    """Everything about a trigger but whether it is on."""

    name: str = Field(default="", max_length=120)
    when: When = Field(default_factory=OnRequest)
    condition: Condition = Field(default_factory=lambda: All(all=[]))
    actions: tuple[Action, ...] = Field(default=(), max_length=10)
    limits: Limits = Limits()
