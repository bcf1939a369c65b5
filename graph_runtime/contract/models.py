"""Language models as the product sees them: one request, one stream of events, whoever the vendor is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One message of the exchange with a model; `tool_call_id` only on role "tool"."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` are parsed JSON."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool offered to the model; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a step asks of a model.

    `schema`: JSON Schema (type object) of a structured answer, None for text. `seconds`: total time-out;
    `first_token_seconds`: time-out for the first token, all attempts together when `is_live`: somebody waits on the line.
    `purpose` tells the demo model what is wanted
    ("reply", "classify", "extract", "judge", "reword") and never reaches a vendor; `hints` is its data.
    `may_be_early` False: a step with a limit of money is asked only once it is certain that the answer is wanted.
    """

    messages: tuple[ModelMessage, ...]
    schema: dict[str, Any] | None = None
    tools: tuple[Tool, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    seconds: float = 60.0
    first_token_seconds: float = 15.0
    is_live: bool = False
    may_be_early: bool = True
    purpose: Literal["reply", "classify", "extract", "judge", "reword"] = "reply"
    hints: dict[str, Any] = field(default_factory=dict)
    language: str = "en"


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Tokens as the vendor reported them; `cost_microusd` is None when the model's price is unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_microusd: int | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A finished answer. `data` is the structured answer when a schema was asked for."""

    text: str
    data: dict[str, Any] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: ModelUsage = ModelUsage()
    model: str = ""
    provider: str = ""
    finish: Literal["stop", "length", "tools", "filter"] = "stop"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of a streamed answer."""

    text: str


ModelEvent = TextDelta | ModelReply


class ChatModel(Protocol):
    """One model of one vendor with one credential; safe for concurrent use."""

    provider: str
    name: str

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Yield zero or more `TextDelta`, then exactly one `ModelReply`.

        Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer. Never retries.
        """
        ...
