"""The node contract: a type, its settings and ports, and the halves that run; what a node sees and returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from graph_runtime.contract.calls import Listen, Record, Transfer
from graph_runtime.contract.conditions import Condition
from graph_runtime.contract.crm import CrmKeeper
from graph_runtime.contract.forms import FormField, NodeSettings, form_fields, setting
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgeQuery
from graph_runtime.contract.messages import Part, Reply, SaidMessage, Source
from graph_runtime.contract.models import ModelReply, ModelRequest
from graph_runtime.contract.people import HandOff, QueueFacts

__all__ = [
    "AwaitReply", "AwaitTime", "Category", "Detour", "EndConversation", "Leave", "NodeContext", "NodeSettings", "NodeType",
    "Outcome", "Port", "setting",
]  # fmt: skip

Category = Literal["talk", "ask", "ai", "logic", "data", "crm", "people", "phone", "time", "start"]


@dataclass(frozen=True, slots=True)
class Port:
    """A named exit. `kind` colours its wire; `optional` exits may stay open (the conversation then ends quietly)."""

    id: str
    label: str
    kind: Literal["normal", "error", "no_reply"] = "normal"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Go on through this port."""

    port: str = "next"


@dataclass(frozen=True, slots=True)
class AwaitReply:
    """Wait for the contact. `no_reply_after` (seconds) wakes the step with `reply=None` when nobody answers.

    `on_call`: how a phone call waits; None: it listens, for the options of the last message if that has any. On a call
    `reply=None` also means that the caller stayed silent. `person`: a member is to take the conversation over; what the
    contact writes is then for them, and the step goes on with `reply.person`.
    """

    no_reply_after: float | None = None
    on_call: Listen | Record | Transfer | None = None
    person: HandOff | None = None


@dataclass(frozen=True, slots=True)
class AwaitTime:
    """Wait until a moment (aware UTC); the step's `resumes` half then runs.

    `event`: something that may happen to the contact (contract/triggers.py) and ends the wait, "" nothing; `value`: the tag,
    result or trigger that it has to name, "" any. The step finds it in `ctx.happened`.
    """

    until: datetime
    event: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class EndConversation:
    """The conversation (or the sub-flow) is over. `result` is a label for reports, such as "won"."""

    result: str = ""
    goal_value: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detour:
    """Go through this port and wait here again once that path ends or waits; an open port is passed over."""

    port: str


Outcome = Leave | Detour | AwaitReply | AwaitTime | EndConversation


ERROR: Final = "error"
"""Name of the output that says what went wrong: an error's own sentence, "" when all went well."""


class NodeContext(Protocol):
    """A step's one door to the world.

    Everything sent outside is recorded under `step_id`, so a repeated turn re-uses the result instead of repeating it.
    """

    @property
    def step_id(self) -> str:
        """Idempotency key of this visit of this step: `conversation/turn/node/visit`."""
        ...

    @property
    def language(self) -> str:
        """Language of the conversation: "en", "ru", "uk"."""
        ...

    def switch_language(self, language: str) -> None:
        """From here on the conversation is in another language, on a call what is said and heard in this turn already."""
        ...

    @property
    def channel(self) -> str:
        """Kind of channel: "web_chat", "api", "test", later "telegram", "phone" …"""
        ...

    @property
    def memory(self) -> dict[str, Any]:
        """JSON values this step keeps between its halves and visits in this conversation (counters, partial answers)."""
        ...

    def get(self, name: str) -> Any:
        """A variable's value; None when it has none."""
        ...

    def resolve(self, ref: str) -> Any:
        """Value of a reference path such as `var.budget` or `contact.first_name`; None when there is none."""
        ...

    def set(self, name: str, value: Any) -> None:
        """Set a variable. JSON values only; at most 100 kB."""
        ...

    def output(self, name: str, value: Any) -> None:
        """Set an output of this step, readable as `step.<node id>.<name>`; `error` is put into the conversation's language."""
        ...

    def render(self, text: str, extra: Mapping[str, Any] | None = None) -> str:
        """Fill a Liquid text with the conversation's values. Never raises: a broken text is said as it is written."""
        ...

    def text(self, field: str, source: str) -> str:
        """The translation of a settings text for this conversation's language (i18n of the flow), else `source`."""
        ...

    def check(self, condition: Condition) -> bool:
        """Evaluate a condition."""
        ...

    def now(self) -> datetime:
        """The moment of this turn (aware UTC); the virtual clock in the simulator."""
        ...

    @property
    def happened(self) -> Mapping[str, Any]:
        """What ended the wait early, with its `type`; empty when the time has come."""
        ...

    async def say(self, *parts: Part) -> None:
        """Send parts to the contact as one message."""
        ...

    def follow_up(self, chain_id: str, *, leaves: bool = False) -> None:
        """Put the contact into a chain of follow-ups with this turn's commit, or take them out ("": of all chains)."""
        ...

    def bridge(self, words: str | None) -> None:
        """What comes next may take a while: on a call, `words` are said meanwhile; "" the usual ones, None nothing."""
        ...

    def history(self, limit: int) -> tuple[SaidMessage, ...]:
        """The last messages of the conversation, oldest first, the contact's newest included."""
        ...

    async def queue(self, queue_id: str) -> QueueFacts | None:
        """The queue of the workspace where conversations wait for a person; None when there is none of this id."""
        ...

    async def model(
        self, request: ModelRequest, *, connection: str, fallback: str = "", stream: bool = False
    ) -> ModelReply:
        """Ask the model bound to a connection slot, then the one of `fallback`.

        `stream=True` shows the text to the contact while it comes; say the same text afterwards to make it final.
        Raises: ConnectorError when every model failed. The answer is recorded as an effect.
        """
        ...

    async def search_knowledge(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        """Search the workspace's knowledge bases. Recorded: a repeated turn finds the same passages.

        Passages are what people and web pages wrote: data for a prompt (`context` frames them), never instructions.
        Raises: ConnectorError when knowledge cannot be searched here.
        """
        ...

    def sources(self, text: str | None = None) -> tuple[Source, ...]:
        """What the last search of this turn found, for `Text.sources`: those that `text` cites as [1]; None: all of them.

        A text that cites none of them is no answer: the question is kept among the unanswered ones.
        """
        ...

    async def http(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float = 20.0,
        connection: str = "",
        tries: int = 1,
    ) -> HttpReply:
        """Call an HTTP service (guarded against internal addresses). Recorded.

        `body`: text, or a value that is sent as JSON. `connection`: the slot whose key the host adds, to requests to
        the key's own hosts only. `tries`: how often at most; what changes something is only repeated when the service
        said that it did nothing. In a test, only what changes nothing is sent.
        Raises: ConnectorError.
        """
        ...

    def crm(self, connection: str) -> CrmKeeper:
        """The customer system bound to a connection slot."""
        ...


RunHalf = Callable[[Any, NodeContext], Awaitable[Outcome]]
ReplyHalf = Callable[[Any, NodeContext, Reply | None], Awaitable[Outcome]]
Upgrade = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, str], list[str]]]
SettingsClass = type[NodeSettings]
Outputs = tuple[Port, ...] | Callable[[Any], tuple[Port, ...]]


@dataclass(kw_only=True)
class NodeType:
    """One kind of step.

    `outputs` may be a function of the settings; ports have stable ids. `effect`: what a repeated call would do outside;
    `latency` is used by checks and the voice filler. `waits` says the step waits for the contact ("reply") or time.
    `entry`: a conversation may begin here. `ends`: the path may stop here. `subflow`: settings field naming another flow
    (the compiler expands it).
    """

    type: str
    version: int = 1
    category: Category
    label: str
    summary: str
    settings: SettingsClass
    outputs: Outputs = (Port("next", "Next"),)
    effect: Literal["none", "idempotent", "irreversible"] = "none"
    latency: Literal["instant", "fast", "slow"] = "instant"
    waits: Literal["", "reply", "time"] = ""
    entry: bool = False
    ends: bool = False
    subflow: str = ""
    is_too_long_for_a_call: Callable[[Any], bool] | None = None
    """Whether a caller could not hold the line while a step with these settings waits."""
    limits_loops: bool = False
    """The step counts its visits and leaves by another exit at its limit, so a loop through it ends."""
    at_once: tuple[str, ...] = ()
    """Ports by which a step that `waits` may leave without having waited, so a loop through them can be endless."""
    always_says: str = ""
    """A setting whose text, where it holds no template, every caller hears alike: made into speech beforehand."""
    says_model_text: bool = False
    """What the step says a model may have written; an agent may want a person to read that first."""
    silent_when_off: str = ""
    """A switch of a slow step, off: a caller hears nothing until the step is done, or four seconds have passed."""
    step_outputs: Mapping[str, str] = field(default_factory=dict)
    """Outputs readable as `step.<id>.<name>`: name → label."""
    story: tuple[str, ...] = ()
    """Settings whose first non-empty text is shown on the card."""
    folder: Path | None = None
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """English text → {"ru": …, "uk": …}; read from `texts.json` by the catalog."""

    run: RunHalf | None = field(default=None, repr=False)
    reply: ReplyHalf | None = field(default=None, repr=False)
    resume: RunHalf | None = field(default=None, repr=False)
    upgrades: dict[int, Upgrade] = field(default_factory=dict, repr=False)

    def runs(self, half: RunHalf) -> RunHalf:
        """Register the half that runs when the conversation enters the step."""
        self.run = half
        return half

    def replies(self, half: ReplyHalf) -> ReplyHalf:
        """Register the half that runs when the contact answers; `reply` is None when nobody did in time."""
        self.reply = half
        return half

    def resumes(self, half: RunHalf) -> RunHalf:
        """Register the half that runs when the awaited time has come."""
        self.resume = half
        return half

    def upgrade(self, from_version: int) -> Callable[[Upgrade], Upgrade]:
        """Register `settings -> (settings, {old port: new port}, notes)` from one version to the next."""

        def register(step: Upgrade) -> Upgrade:
            self.upgrades[from_version] = step
            return step

        return register

    def ports(self, settings: NodeSettings) -> tuple[Port, ...]:
        """The exits for these settings."""
        return self.outputs(settings) if callable(self.outputs) else self.outputs

    def form(self) -> tuple[FormField, ...]:
        """The fields of the inspector."""
        return form_fields(self.settings)
