"""Bodies and answers of the routes by which people answer in place of an agent."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_CONVERSATION = "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", from_attributes=True)


class ListedHandOffs(_Body):
    """Which conversations to list."""

    view: Literal["waiting", "approve", "mine", "all"] = Field(
        default="waiting",
        description="What waits for a person, or for approval; what the key's member has; or every open conversation.",
    )
    queue_id: str | None = Field(default=None, max_length=60, description="Only of this queue.")
    agent_id: str | None = Field(default=None, max_length=60, description="Only of this agent.")
    search: str = Field(default="", max_length=200, description="In names, summaries and last messages.")
    limit: int = Field(default=50, ge=1, le=200)


class HandOff(_Answer):
    """A conversation that a person has or is to have."""

    conversation_id: str = Field(examples=[_CONVERSATION])
    state: Literal["", "waiting", "accepted"] = Field(description="Empty while the agent has it.")
    who: str = Field(description="What the contact is called; empty when nothing is known.")
    agent_id: str
    agent_name: str
    contact_id: str
    channel: str
    language: str
    status: Literal["open", "ended", "quarantined"]
    preview: str = Field(description="The beginning of the last message.")
    summary: str = Field(description="What the flow tells the person.")
    priority: Literal["low", "normal", "high", "urgent"]
    queue_id: str | None
    queue_name: str
    member_id: str | None = Field(description="Who has it.")
    member_name: str
    message_seq: int = Field(description="Number of the last message.")
    unread: int = Field(description="The contact's messages that the key's member has not read.")
    waited: float = Field(description="Seconds until it was taken, or until now.")
    is_late: bool = Field(description="Whether it waits longer than its queue's goal.")
    requested_at: datetime | None
    updated_at: datetime


class HandOffs(_Answer):
    """Most urgent and longest waiting first; other views newest first."""

    hand_offs: list[HandOff]


class Queue(_Answer):
    """Where conversations wait for people."""

    id: str
    name: str
    number: str = Field(description="Where calls are transferred; empty for none.")
    goal_seconds: int = Field(description="To be taken within.")
    member_ids: list[str] = Field(description="Who answers; empty means everybody.")
    waiting: int


class Queues(_Answer):
    """By name."""

    queues: list[Queue]


class MemberReply(_Body):
    """What a person says to the contact."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "I will see to it.", "client_id": "m-1"}]}
    )
    text: str = Field(min_length=1, max_length=8000)
    client_id: str = Field(
        default="", max_length=100, description="Your id of this message: sending it again is harmless."
    )


class MemberSaid(_Answer):
    """Its place in the transcript."""

    seq: int
    is_new: bool = Field(description="False when it had been said before.")


class GiveBack(_Body):
    """How it ended. The flow can use the note and the outcome."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"note": "Refund promised", "outcome": "solved"}]}
    )
    note: str = Field(default="", max_length=4000)
    outcome: str = Field(default="", max_length=4000)
    seen_seq: int | None = Field(
        default=None, ge=0, le=2**31 - 1,
        description="The last message the person had read: what the contact wrote after it, the flow answers.",
    )  # fmt: skip


class Approval(_Answer):
    """A message of an agent that waits for somebody's word."""

    id: str
    conversation_id: str = Field(examples=[_CONVERSATION])
    who: str = Field(description="What the contact is called; empty when nothing is known.")
    agent_id: str
    agent_name: str
    channel: str
    queue_name: str = Field(description="Whose it is; empty means everybody's.")
    text: str
    parts: list[dict[str, Any]]
    node_id: str = Field(description="The step that said it.")
    due_at: datetime | None = Field(description="When the time decides; empty: never.")
    on_timeout: Literal["send", "discard", "hand_off"]
    instead: str = Field(description="What the agent is set to offer for saying in its place.")
    created_at: datetime


class Approvals(_Answer):
    """Longest waiting first."""

    approvals: list[Approval]


class Decision(_Body):
    """What becomes of it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"decision": "edit", "text": "Yes, we are open until six."}]}
    )
    decision: Literal["send", "edit", "replace", "reject"] = Field(
        description="As it is; with other words, its buttons and files staying; another message in its place; nothing."
    )
    text: str = Field(default="", max_length=8000, description="The words, for `edit` and `replace`.")
