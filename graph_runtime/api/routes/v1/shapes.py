"""Bodies and answers of the public API; their descriptions and examples become the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field

from graph_runtime.contract.messages import Part

_CONVERSATION = "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
_AGENT = "0199a1b2-0000-7000-8000-000000000001"
_FLOW = "0199a1b2-0000-7000-8000-000000000002"
_MESSAGE: Any = {
    "seq": 2,
    "role": "agent",
    "parts": [
        {
            "kind": "choices",
            "text": "Which day suits you?",
            "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}],
        }
    ],
    "text": "Which day suits you?",
    "client_id": "",
    "created_at": "2026-11-21T09:30:00Z",
}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A value of your own (a UUID) that makes repeating safe: the same key and body give the first answer "
        "again for 48 hours; another body gives 422, a first request still running 409.",
    ),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", from_attributes=True)


class Waiting(_Body):
    """How long the answer may be waited for."""

    wait: bool = Field(default=True, description="Answer when the agent has finished speaking; false answers at once.")
    wait_seconds: float = Field(
        default=30, ge=0.1, le=120, description="Longest wait; afterwards the answer comes with `is_running: true`."
    )


class NewConversation(Waiting):
    """A conversation to begin."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "external_user_id": "customer-4711",
                    "contact": {"first_name": "Olena", "phone": "+380501234567"},
                    "language": "uk",
                }
            ]
        },
    )
    external_user_id: str = Field(
        default="", max_length=200, description="Who the person is in your system; empty means a new person each time."
    )
    contact: dict[str, Any] = Field(
        default_factory=dict, description="What is known about the person: `first_name`, `phone`, `email` or your own."
    )
    language: Literal["en", "ru", "uk"] | None = Field(
        default=None, description="Language of the conversation; the agent's main language otherwise."
    )


class NewMessage(Waiting):
    """What the person says: a text, a button of the last question, or both."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "On Monday, please"}, {"option_id": "mon"}]}
    )
    text: str = Field(default="", max_length=64_000)
    option_id: str = Field(default="", max_length=100, description="`id` of an option of a `choices` part.")
    client_id: str = Field(
        default="",
        max_length=100,
        description="Your id of this message: sending it again is harmless, and the message in the transcript carries it.",
    )


class PersonCame(_Answer):
    """A line of the system: a person took the conversation, or let it go."""

    kind: Literal["person"]
    event: Literal["joined", "left"]
    name: str


class Message(_Answer):
    """One message of the transcript."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [_MESSAGE]})
    seq: int = Field(description="Its number in the conversation, from 1 without gaps.")
    role: Literal["contact", "agent", "member", "system"]
    parts: list[Part | PersonCame] = Field(description="What was said, as it is to be shown.")
    text: str = Field(description="The words alone.")
    client_id: str = ""
    created_at: datetime


class ConversationHead(_Answer):
    """A conversation without its messages."""

    id: str = Field(examples=[_CONVERSATION])
    agent_id: str = Field(default="", examples=[_AGENT])
    status: Literal["open", "ended", "quarantined"]
    waits: Literal["", "reply", "time"] = Field(
        description="What the agent waits for; empty while it works or at the end."
    )
    language: str = ""
    result: str = Field(default="", description="What the flow reported at its end, such as `won`.")
    preview: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Said(_Answer):
    """Where a conversation stands, with the newest messages."""

    conversation_id: str = Field(examples=[_CONVERSATION])
    status: Literal["open", "ended", "quarantined"]
    waits: Literal["", "reply", "time"]
    is_running: bool = Field(description="The agent is still speaking; read the messages or the events later.")
    accepted_seq: int | None = Field(default=None, description="The number your message got.")
    messages: list[Message]


class Messages(_Answer):
    """A page of a transcript."""

    conversation_id: str
    status: Literal["open", "ended", "quarantined"]
    waits: Literal["", "reply", "time"]
    is_running: bool
    messages: list[Message]
    next_after: int | None = Field(description="Send it as `after` for the following page; null on the last one.")


class Conversations(_Answer):
    """A page of conversations, newest first."""

    conversations: list[ConversationHead]
    next_cursor: str = Field(description="Send it as `cursor` for the following page; empty on the last one.")


class Listed(_Body):
    """Which conversations to list."""

    agent_id: str | None = Field(default=None, max_length=60, description="Only those of this agent.")
    status: Literal["open", "ended", "quarantined"] | None = None
    search: str = Field(
        default="", max_length=200, description="Words of the newest message or of what is known about the person."
    )
    cursor: str = Field(default="", max_length=300, description="`next_cursor` of the page before.")
    limit: int = Field(default=50, ge=1, le=200)


class Agent(_Answer):
    """An agent: a main flow with its sub-flows, switched on or off as one."""

    id: str = Field(examples=[_AGENT])
    name: str
    description: str = ""
    is_on: bool
    language: str = ""
    main_flow_id: str | None = Field(default=None, examples=[_FLOW])
    live_version: int | None = Field(
        default=None, description="Number of the version that new conversations begin with."
    )
    public_id: str = Field(default="", description="Part of the address of its hosted chat: /chat/{public_id}.")


class Agents(_Answer):
    """A page of agents."""

    agents: list[Agent]
    next_cursor: str


class FlowHead(_Answer):
    """A flow without its document."""

    id: str = Field(examples=[_FLOW])
    agent_id: str = Field(default="", examples=[_AGENT])
    name: str
    kind: Literal["main", "sub"]
    live_version: int | None = None


class Flows(_Answer):
    """A page of flows."""

    flows: list[FlowHead]
    next_cursor: str


class FlowDraft(FlowHead):
    """A flow's draft and what the check says about it."""

    revision: int = Field(description="Grows with every change of the draft.")
    draft: dict[str, Any] = Field(description="The document, as described by /api/v1/schema/flow-1.json.")
    problems: list[dict[str, Any]] = Field(description="What the flow check found; `level: error` blocks publishing.")


class Publish(_Body):
    """Which draft is to go live."""

    revision: int | None = Field(
        default=None, ge=0, description="Refuse (409) unless the draft still has this revision; null takes it as it is."
    )
    comment: str = Field(default="", max_length=2000, examples=["New opening hours"])


class Version(_Answer):
    """A published version; it never changes."""

    id: str
    number: int
    comment: str = ""
    created_at: datetime | None = None
