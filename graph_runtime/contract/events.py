"""What the engine tells its observers: things that happened, past tense, as data.

Nobody changes one. They are not frozen because making one that is takes three times as long, and every step makes three.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(slots=True, kw_only=True)
class EngineEvent:
    """Root: where and when it happened."""

    workspace_id: str
    conversation_id: str
    turn_id: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class TurnStarted(EngineEvent):
    """A turn began; `trigger` is "message", "start", "timer"."""

    trigger: str


@dataclass(slots=True, kw_only=True)
class NodeEntered(EngineEvent):
    """The conversation came to a step."""

    node_id: str
    node_type: str


@dataclass(slots=True, kw_only=True)
class NodeLeft(EngineEvent):
    """The conversation left a step through a port; `port` is "" while it waits there. `ms` is the time spent."""

    node_id: str
    port: str
    ms: float


@dataclass(slots=True, kw_only=True)
class WaitBegan(EngineEvent):
    """A step asks somebody who may take a while. `filler` bridges it on a call: "" the usual words, None nothing."""

    node_id: str
    filler: str | None


@dataclass(slots=True, kw_only=True)
class TextStreamed(EngineEvent):
    """A piece of an answer that is not final yet; `key` names the message it belongs to. `reset` drops what came."""

    node_id: str
    key: str
    text: str
    reset: bool = False
    language: str = ""


@dataclass(slots=True, kw_only=True)
class MessageSaid(EngineEvent):
    """A step said something; it becomes final with the turn's commit."""

    node_id: str
    key: str
    parts: tuple[dict[str, Any], ...]
    language: str = ""


@dataclass(slots=True, kw_only=True)
class VariableSet(EngineEvent):
    """A step set a variable."""

    node_id: str
    name: str
    value: Any


@dataclass(slots=True, kw_only=True)
class ChainAsked(EngineEvent):
    """A step puts the contact into a chain of follow-ups, or (`leaves`) takes them out; chain "" then means all of them.

    It happens with the turn's commit, and not in a test.
    """

    node_id: str
    chain_id: str
    leaves: bool


@dataclass(slots=True, kw_only=True)
class EventAwaited(EngineEvent):
    """A step that waits for time goes on earlier when something happens to the contact; `value`: what it has to name, "" nothing."""

    node_id: str
    event: str
    value: str


@dataclass(slots=True, kw_only=True)
class ModelAnswered(EngineEvent):
    """A model call ended; `cost_microusd` is None when unknown. `replayed` when a recorded answer was re-used."""

    node_id: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_microusd: int | None
    ms: float
    replayed: bool = False


@dataclass(slots=True, kw_only=True)
class ModelDiscarded(EngineEvent):
    """A model was asked for an answer before it was certain that it would be wanted, and it was not.

    `is_estimated`: it was broken off, so tokens are counted from its characters.
    """

    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_microusd: int | None
    is_estimated: bool


@dataclass(slots=True, kw_only=True)
class KnowledgeSearched(EngineEvent):
    """A step searched knowledge. `documents`: ids of what it got, best first, each once; none: nothing was sure enough.

    `bases`: ids of those searched; `terms`: stems of the words that tell something; `best` 0…1: how sure the best one was.
    """

    node_id: str
    query: str
    best: float
    bases: tuple[str, ...]
    terms: tuple[str, ...]
    documents: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class SourcesCited(EngineEvent):
    """A step answered from the passages that `node_id` had found. `documents`: those the answer names; none: the answer was
    not among them."""

    node_id: str
    documents: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class OutsideCalled(EngineEvent):
    """A step called something outside. `what` names it ("POST https://…"), `outcome` how it ended ("200").

    `is_planned`: a test that changes nothing outside only shows it; `details` is then what would have been sent (JSON).
    """

    node_id: str
    what: str
    outcome: str = ""
    ms: float = 0.0
    replayed: bool = False
    is_planned: bool = False
    details: Any = None


@dataclass(slots=True, kw_only=True)
class NodeFailed(EngineEvent):
    """A step failed; `message` is safe to show to members."""

    node_id: str
    code: str
    message: str


@dataclass(slots=True, kw_only=True)
class TurnEnded(EngineEvent):
    """A turn was committed; `waits` is "reply", "time" or "" when the conversation is over."""

    waits: str
    steps: int
    ms: float
