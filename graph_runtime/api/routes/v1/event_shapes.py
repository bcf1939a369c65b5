"""Bodies and answers of the routes about event subscriptions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_EVENT = {
    "type": "flow.finished",
    "timestamp": "2026-11-21T09:30:00.000Z",
    "data": {"conversation_id": "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "result": "won"},
}
EventType = Literal[
    "conversation.started",
    "conversation.ended",
    "conversation.handed_off",
    "conversation.accepted",
    "conversation.returned",
    "turn.ended",
    "turn.failed",
    "flow.finished",
    "flow.published",
    "message.held",
    "message.decided",
    "message.undeliverable",
]
Types = Annotated[list[EventType], Field(min_length=1, max_length=20, description="What to be told.")]
AgentIds = Annotated[
    list[str] | None, Field(max_length=200, description="Only about these agents; null tells about every agent.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", from_attributes=True)


class NewSubscription(_Body):
    """An address to be told what happens."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://example.com/events", "types": ["flow.finished", "turn.failed"]}]
        },
    )
    url: str = Field(max_length=2000, description="Begins with https://.")
    types: Types
    description: str = Field(default="", max_length=200)
    agent_ids: AgentIds = None
    allow_private_host: bool = Field(
        default=False, description="An address inside the own network; no key may set it, only an administrator."
    )


class SubscriptionPatch(_Body):
    """What changes; what is left out stays."""

    url: str | None = Field(default=None, max_length=2000)
    types: Types | None = None
    description: str | None = Field(default=None, max_length=200)
    agent_ids: AgentIds = None
    allow_private_host: bool | None = None
    is_on: bool | None = None


class Subscription(_Answer):
    """An event subscription, without its secret."""

    id: str
    url: str
    description: str
    types: list[str]
    agent_ids: list[str] | None
    allow_private_host: bool
    is_on: bool
    off_reason: Literal["", "member", "failing", "gone"] = Field(
        description="Why it is off: a member, five days without one success, or the answer 410."
    )
    off_at: datetime | None
    failing_since: datetime | None = Field(description="The first failure after the last success.")
    last_ok_at: datetime | None
    paused_until: datetime | None = Field(description="Until when the receiver asked for a pause.")
    previous_until: datetime | None = Field(description="Until when the secret before this one signs as well.")
    created_at: datetime
    sent: int = Field(description="Events of the last 7 days that were received.")
    waiting: int = Field(description="Those that are on their way.")
    failed: int = Field(description="Those that were given up.")


class Subscriptions(_Answer):
    """All of the workspace, oldest first."""

    subscriptions: list[Subscription]


class SubscriptionWithSecret(_Answer):
    """A subscription and its new secret, which is in this answer and nowhere else."""

    subscription: Subscription
    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class NewSecret(_Body):
    """How long the present secret goes on signing beside the new one."""

    overlap_hours: int = Field(default=24, ge=0, le=168)


class Delivery(_Answer):
    """An event and how it went."""

    id: str
    key: str = Field(description="Its `webhook-id`, the same in every attempt.")
    type: str
    conversation_id: str | None
    state: Literal["pending", "sending", "sent", "failed", "held"]
    attempts: int
    status: int | None = Field(description="Status of the last answer; null when none came.")
    ms: int | None = Field(description="Milliseconds until that answer.")
    answer: str = Field(description="The first 1000 characters of its body.")
    reason: str
    error: str
    payload: dict[str, Any] = Field(description="The body that is sent.", examples=[_EVENT])
    created_at: datetime
    last_at: datetime | None
    sent_at: datetime | None
    next_attempt_at: datetime | None
    expires_at: datetime


class Deliveries(_Answer):
    """A page of a log, newest first."""

    deliveries: list[Delivery]
    next_before: str = Field(description="Send it as `before` for the following page; empty on the last one.")


class ListedDeliveries(_Body):
    """Which events of a log to list."""

    state: Literal["pending", "sending", "sent", "failed", "held"] | None = None
    type: str = Field(default="", max_length=60)
    before: str = Field(default="", max_length=60, description="`next_before` of the page before.")
    limit: int = Field(default=50, ge=1, le=200)


class ReplayFailed(_Body):
    """Since when."""

    since: datetime = Field(description="Everything that was given up since this moment is sent again.")


class Replayed(_Answer):
    """How many events are on their way again."""

    replayed: int
