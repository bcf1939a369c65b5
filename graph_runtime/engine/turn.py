"""A turn in progress: what triggered it, what it may use and reach, what it has said and decided so far."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from graph_runtime.contract import events as happened
from graph_runtime.contract.calls import OnCall
from graph_runtime.contract.crm import Crm
from graph_runtime.contract.errors import BuilderError
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgePassage, KnowledgeQuery
from graph_runtime.contract.messages import Reply, SaidMessage
from graph_runtime.contract.models import ModelReply, ModelRequest
from graph_runtime.contract.people import HandOff, QueueFacts
from graph_runtime.engine.effects import EffectJournal
from graph_runtime.engine.program import CompiledFlow, Scope, Step
from graph_runtime.engine.state import ConversationState

HIDDEN = "••••"
"""Shown to observers in place of the value of a secret variable."""
Half = Literal["run", "reply", "resume"]


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a turn runs, and what is known about the conversation then. `turn` counts the conversation's turns from 1."""

    kind: Literal["start", "message", "timer", "restart", "hand_off"]
    workspace_id: str
    conversation_id: str
    turn_id: str
    turn: int
    now: datetime
    channel: str = "test"
    language: str = "en"
    reply: Reply | None = None
    is_test: bool = False
    started_at: datetime | None = None
    contact: dict[str, Any] = field(default_factory=dict)
    contact_variables: dict[str, Any] = field(default_factory=dict)
    workspace: dict[str, Any] = field(default_factory=dict)
    history: tuple[SaidMessage, ...] = ()
    call: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    """What a conversation that begins knows already, by the names of the main flow's variables."""
    happened: dict[str, Any] = field(default_factory=dict)
    """What ended a wait for time before the time came."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one turn may use. Sub-flows count in."""

    steps: int = 500
    seconds: float = 300.0
    tokens: int = 300_000


class AsksModels(Protocol):
    """`ModelRunner.run`: repeats, falls back, counts cost."""

    async def run(
        self,
        request: ModelRequest,
        models: Sequence[Any],
        on_delta: Callable[[str], None] | None = None,
        on_reset: Callable[[], None] | None = None,
    ) -> ModelReply: ...


class CallsHttp(Protocol):
    """`http.HttpDoor.call`: guarded against internal addresses."""

    async def call(self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float) -> HttpReply: ...

    async def close(self) -> None: ...


class Connections(Protocol):
    """The credentials behind the connection slots of an agent; secrets stay inside.

    Raises: CredentialRejected when nothing usable is bound to the slot.
    """

    async def http(self, slot: str) -> CallsHttp:
        """The way out that adds the slot's key to requests to its own hosts; `url` may begin with a slash."""
        ...

    async def crm(self, slot: str) -> Crm:
        """The customer system behind the slot."""
        ...

    async def has_put_aside(self, conversation_id: str) -> bool:
        """Whether writes of the conversation wait for a customer system."""
        ...

    async def put_aside(self, slot: str, write: Mapping[str, Any]) -> None:
        """Let the program do a write to the customer system later; the same `key` is put aside once."""
        ...


Observer = Callable[[happened.EngineEvent], None]


@dataclass(slots=True)
class Doors:
    """What a turn reaches the world through. `models(slot)`: those bound to a connection of the agent, best first.

    `cut`: set when nobody listens to the text that is being streamed any more; its model is then stopped.
    """

    effects: EffectJournal
    runner: AsksModels | None = None
    models: Callable[[str], Awaitable[Sequence[Any]]] | None = None
    http: CallsHttp | None = None
    knowledge: Callable[[KnowledgeQuery], Awaitable[KnowledgeAnswer]] | None = None
    connections: Connections | None = None
    observers: tuple[Observer, ...] = ()
    budget: Budget = Budget()
    cut: asyncio.Event | None = None
    queue: Callable[[str], Awaitable[QueueFacts | None]] | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the turn; `key` is the same when the turn is repeated."""

    key: str
    ordinal: int
    node_id: str
    parts: tuple[dict[str, Any], ...]
    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Go:
    """On to another step."""

    step_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The conversation rests here. `until`: when the step wakes by itself. `on_call`: what a phone call waits for. `person`: who is
    asked to take over."""

    step_id: str
    half: Half
    until: datetime | None = None
    on_call: OnCall | None = None
    person: HandOff | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The conversation is over."""

    result: str = ""
    goal_value: float | None = None
    tags: tuple[str, ...] = ()


Next = Go | Wait | End


class StepFailed(Exception):
    """A step failed and has no exit for it; `cause` is what it raised."""

    def __init__(self, step: Step, cause: BuilderError) -> None:
        super().__init__(cause.message)
        self.step = step
        self.cause = cause


@dataclass(slots=True)
class TurnRun:
    """Everything about the turn in progress; LangGraph hands it to each of its nodes as the run's context."""

    compiled: CompiledFlow
    trigger: Trigger
    doors: Doors
    state: ConversationState = field(default_factory=ConversationState)
    contact: dict[str, Any] = field(default_factory=dict)
    contact_variables: dict[str, Any] = field(default_factory=dict)
    contact_changes: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    visits: Counter[str] = field(default_factory=Counter)
    messages: list[Said] = field(default_factory=list)
    path: list[tuple[str, str, float]] = field(default_factory=list)
    events: list[happened.EngineEvent] = field(default_factory=list)
    steps: int = 0
    tokens: int = 0
    ended: Next = field(default_factory=End)
    found: tuple[str, tuple[KnowledgePassage, ...]] = ("", ())
    """The step that searched knowledge last in this turn, and what it got."""
    language: str = ""
    """What a step of this turn has changed the conversation's to; "" nothing."""
    detour: str = ""
    """The step to which a path returns where it ends or waits."""

    def answered_half(self, half: Half) -> Half:
        """Which half answers this trigger: a message to a step that waits for time goes to its reply half."""
        return "reply" if half == "resume" and self.trigger.kind == "message" else half

    def emit(self, kind: type[happened.EngineEvent], **data: Any) -> None:
        """Tell the observers, and keep what is to be stored."""
        t = self.trigger
        event = kind(
            workspace_id=t.workspace_id,
            conversation_id=t.conversation_id,
            turn_id=t.turn_id,
            at=datetime.now(UTC),
            **data,
        )
        if not isinstance(event, happened.TextStreamed):
            self.events.append(event)
        for observer in self.doors.observers:
            observer(event)

    def set_variable(self, scope: Scope, node_id: str, name: str, value: Any) -> None:
        """Set a variable of a scope; a contact's variable is also kept for their later conversations."""
        if name in scope.contact_variables:
            self.contact_variables[name] = self.contact_changes[name] = value
        self.state.scope(scope.prefix)[name] = value
        shown = HIDDEN if name in scope.secret_variables else value
        self.emit(happened.VariableSet, node_id=node_id, name=scope.prefix + name, value=shown)
