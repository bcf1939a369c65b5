"""Public fakes for authors of steps and connectors: a context in memory, a scripted model, a clock, a channel."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from graph_runtime.contract import conditions, templates
from graph_runtime.contract.crm import CrmQuery, CrmRecord, CrmTask, Entity
from graph_runtime.contract.errors import ConnectorError, TemplateInvalid, Unreachable
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgePassage, KnowledgeQuery, as_sources, cited
from graph_runtime.contract.messages import Choices, Part, Reply, SaidMessage, Source, plain_text
from graph_runtime.contract.models import ModelEvent, ModelReply, ModelRequest, ModelUsage, TextDelta
from graph_runtime.contract.people import QueueFacts

__all__ = [
    "FakeChannel",
    "FakeClock",
    "FakeContext",
    "FakeCrm",
    "FakeModel",
    "sequence_rule",
]

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""Where a FakeClock starts: a Monday, so that examples with weekdays are stable."""

Answer = str | dict[str, Any] | ModelReply | Exception
"""A model's scripted answer: text, structured data, a whole reply, or the error it raises."""


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        """The present moment (aware UTC)."""
        return self.at

    def advance(self, **delta: float) -> None:
        """Move on by `timedelta(**delta)`."""
        self.at += timedelta(**delta)


class FakeChannel:
    """Remembers what would have reached the contact: one tuple of parts per message."""

    def __init__(self) -> None:
        self.messages: list[tuple[Part, ...]] = []

    def send(self, parts: tuple[Part, ...]) -> None:
        """Take one message."""
        self.messages.append(parts)

    @property
    def texts(self) -> list[str]:
        """The words of each message; parts are joined by a line break."""
        return ["\n".join(t for p in parts if (t := plain_text(p))) for parts in self.messages]

    @property
    def buttons(self) -> list[str]:
        """Labels of the buttons of the last message."""
        last = self.messages[-1] if self.messages else ()
        return [o.label for p in last if isinstance(p, Choices) for o in p.options]


class FakeModel:
    """A chat model that answers from a script, or by a rule `request -> answer`; keeps every request."""

    provider = "fake"
    name = "fake"

    def __init__(self, answers: Iterable[Answer] = (), rule: Callable[[ModelRequest], Answer] | None = None) -> None:
        self.answers = list(answers)
        self.rule = rule
        self.requests: list[ModelRequest] = []

    def answer(self, request: ModelRequest) -> ModelReply:
        """The next answer. Raises: the scripted error; Unreachable when the script is over."""
        self.requests.append(request)
        if self.answers:
            given = self.answers.pop(0)
        elif self.rule is not None:
            given = self.rule(request)
        else:
            raise Unreachable("The fake model has no more answers. Add one to its script.")
        if isinstance(given, Exception):
            raise given
        if isinstance(given, ModelReply):
            return given
        is_data = isinstance(given, dict)
        text = json.dumps(given, ensure_ascii=False) if is_data else str(given)
        data = given if isinstance(given, dict) else None
        return ModelReply(text, data=data, usage=ModelUsage(10, 5, 0, 100), model=self.name, provider=self.provider)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Word by word, then the whole reply."""
        reply = self.answer(request)
        if request.schema is None:
            for word in reply.text.split(" "):
                yield TextDelta(word + " ")
        yield reply


@dataclass
class FakeCrm:
    """A customer system in memory, as a step meets it. `failures`: errors of the next writes or searches, by method
    name; `written`: every write in order."""

    records: list[CrmRecord] = field(default_factory=list)
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    written: list[dict[str, Any]] = field(default_factory=list)
    is_planned: bool = False

    def _go(self, method: str, **what: Any) -> None:
        if self.failures.get(method):
            raise self.failures[method].pop(0)
        if method != "find":
            self.written.append({"do": method} | what)

    async def was_put_aside(self) -> bool:
        """Nothing ran before."""
        return False

    async def has_earlier(self) -> bool:
        """Nothing waits."""
        return False

    async def put_aside(self, write: Mapping[str, Any]) -> None:
        """Keep it."""
        self._go("put_aside", write=dict(write))

    async def find(self, query: CrmQuery) -> CrmRecord | None:
        """The newest record whose field has the value."""
        self._go("find")
        name = query.field if query.by == "field" else query.by
        same = [r for r in self.records if r.entity == query.entity]
        return next(
            (r for r in reversed(same) if query.value in (r.id if query.by == "id" else "", r.values.get(name))), None
        )

    async def create(self, entity: Entity, values: Mapping[str, Any], *, contact: str = "") -> CrmRecord:
        """A record with the next id."""
        self._go("create", entity=entity, values=dict(values), **({"contact": contact} if contact else {}))
        made = CrmRecord(entity, str(len(self.records) + 1), str(values.get("name", "")), dict(values))
        self.records.append(made)
        return made

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None:
        """Change one, when it is there."""
        self._go("update", entity=entity, id=record_id, values=dict(values))
        for place, record in enumerate(self.records):
            if (record.entity, record.id) == (entity, record_id):
                name = str(values.get("name") or record.name)
                changed = CrmRecord(entity, record_id, name, {**record.values, **values})
                self.records[place] = changed
                return changed
        return None

    async def note(self, entity: Entity, record_id: str, text: str) -> str:
        """Keep a note."""
        self._go("note", entity=entity, id=record_id, text=text)
        return "note"

    async def task(self, entity: Entity, record_id: str, task: CrmTask) -> str:
        """Keep a task."""
        self._go("task", entity=entity, id=record_id, text=task.text, due_at=task.due_at.isoformat())
        return "task"


@dataclass
class FakeContext:
    """A whole NodeContext in memory. Fill in what the step reads, run it, look at what it did.

    `models` maps a connection slot to its model, "*" stands for any slot; `i18n` maps language to
    {settings field: text}; `http_answers` are (status, body) pairs or errors, in order; `knowledge`: the passages that every
    search finds, or an error.
    """

    variables: dict[str, Any] = field(default_factory=dict)
    contact: dict[str, Any] = field(default_factory=dict)
    message: dict[str, Any] = field(default_factory=dict)
    conversation: dict[str, Any] = field(default_factory=lambda: {"id": "c_1"})
    call: dict[str, Any] = field(default_factory=dict)
    workspace: dict[str, Any] = field(default_factory=lambda: {"name": "Workspace"})
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    language: str = "en"
    channel: str = "test"
    node_id: str = "n_1"
    memory: dict[str, Any] = field(default_factory=dict)
    i18n: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    models: dict[str, FakeModel] = field(default_factory=dict)
    http_answers: list[HttpReply | tuple[int, Any] | Exception] = field(default_factory=list)
    customers: FakeCrm = field(default_factory=FakeCrm)
    http_requests: list[dict[str, Any]] = field(default_factory=list)
    knowledge: list[KnowledgePassage | Exception] = field(default_factory=list)
    knowledge_queries: list[KnowledgeQuery] = field(default_factory=list)
    found: tuple[KnowledgePassage, ...] | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    sent: FakeChannel = field(default_factory=FakeChannel)
    transcript: list[SaidMessage] = field(default_factory=list)
    streamed: list[str] = field(default_factory=list)
    bridged: list[str | None] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    follow_ups: list[tuple[str, bool]] = field(default_factory=list)
    """(chain, whether the contact leaves it), as the step asked."""
    queues: dict[str, QueueFacts] = field(default_factory=dict)
    happened: dict[str, Any] = field(default_factory=dict)
    visit: int = 1

    @property
    def step_id(self) -> str:
        """A stable key of this visit."""
        return f"c_1/t_1/{self.node_id}/{self.visit}"

    def get(self, name: str) -> Any:
        """A variable's value."""
        return self.variables.get(name)

    def set(self, name: str, value: Any) -> None:
        """Set a variable. Raises: TypeError for what is not JSON."""
        json.dumps(value)
        self.variables[name] = value

    def output(self, name: str, value: Any) -> None:
        """Set an output of this step."""
        json.dumps(value)
        self.outputs[name] = value
        self.steps.setdefault(self.node_id, {})[name] = value

    def roots(self) -> dict[str, Any]:
        """Everything a text or a reference may read."""
        return {
            "var": self.variables, "contact": self.contact, "message": self.message, "call": self.call,
            "conversation": self.conversation, "workspace": self.workspace, "step": self.steps,
            "now": self.clock.now().isoformat(),
        }  # fmt: skip

    def resolve(self, ref: str) -> Any:
        """Value of a reference path; None when there is none."""
        value: Any = self.roots()
        for part in ref.split("."):
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    def render(self, text: str, extra: Mapping[str, Any] | None = None) -> str:
        """Fill a Liquid text; a broken one is returned as it is."""
        try:
            return templates.render(text, self.roots() | dict(extra or {}))
        except TemplateInvalid:
            return text

    def switch_language(self, language: str) -> None:
        """From here on in another language."""
        self.language = language

    def text(self, field: str, source: str) -> str:
        """The translation of a settings text."""
        return self.i18n.get(self.language, {}).get(field) or source

    def check(self, condition: conditions.Condition) -> bool:
        """Evaluate a condition."""
        return conditions.evaluate(condition, self.resolve, self.render)

    def now(self) -> datetime:
        """The clock's moment."""
        return self.clock.now()

    async def say(self, *parts: Part) -> None:
        """Send one message to the fake channel."""
        self.sent.send(parts)
        self.transcript.append(SaidMessage(role="agent", text="\n".join(plain_text(p) for p in parts)))

    def hear(self, reply: Reply) -> None:
        """Take a message of the contact: `message` and the history change as in a real turn."""
        self.message = {
            "text": reply.text,
            "option_id": reply.option_id,
            "attachments": [a.model_dump() for a in reply.attachments],
        }
        self.transcript.append(SaidMessage(role="contact", text=reply.text))

    def follow_up(self, chain_id: str, *, leaves: bool = False) -> None:
        """Keep what was asked."""
        self.follow_ups.append((chain_id, leaves))

    def bridge(self, words: str | None) -> None:
        """Keep the words."""
        self.bridged.append(words)

    def history(self, limit: int) -> tuple[SaidMessage, ...]:
        """The last messages."""
        return tuple(self.transcript[-limit:]) if limit > 0 else ()

    async def queue(self, queue_id: str) -> QueueFacts | None:
        """A queue of `queues`."""
        return self.queues.get(queue_id)

    async def model(
        self, request: ModelRequest, *, connection: str, fallback: str = "", stream: bool = False
    ) -> ModelReply:
        """Ask the model of a slot, then the fall-back's. Raises: ConnectorError when all failed."""
        failure: ConnectorError = Unreachable(f"No model is bound to “{connection}”. Bind one in the agent's settings.")
        for slot in (connection, fallback):
            model = self.models.get(slot) or self.models.get("*")
            if not slot or model is None:
                continue
            try:
                reply = model.answer(request)
            except ConnectorError as e:
                failure = e
                continue
            if stream:
                self.streamed.append(reply.text)
            return reply
        raise failure

    async def search_knowledge(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        """The passages of `knowledge` that are sure enough. Raises: the scripted error."""
        self.knowledge_queries.append(query)
        for failure in self.knowledge:
            if isinstance(failure, Exception):
                raise failure
        all_found = [p for p in self.knowledge if isinstance(p, KnowledgePassage)]
        found = tuple(p for p in all_found if p.sure >= query.threshold)[: query.top_k]
        self.found = found
        context = "\n".join(f'<passage n="{p.number}" source="{p.title}">\n{p.text}\n</passage>' for p in found)
        return KnowledgeAnswer(found, context, max((p.sure for p in all_found), default=0.0))

    def sources(self, text: str | None = None) -> tuple[Source, ...]:
        """What the last search found, or of it what the text cites; before any search: the passages of `knowledge`."""
        passages = self.found
        if passages is None:
            passages = tuple(p for p in self.knowledge if isinstance(p, KnowledgePassage))
        return as_sources(passages if text is None else cited(text, passages))

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
        """The next of `http_answers`. Raises: the scripted error; Unreachable when there is none."""
        self.http_requests.append(
            {"method": method, "url": url, "headers": dict(headers or {}), "body": body, "seconds": seconds}
            | ({"connection": connection} if connection else {})
        )
        if not self.http_answers:
            raise Unreachable("No answer is scripted for this HTTP call. Fill http_answers.")
        answer = self.http_answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, HttpReply) else HttpReply(answer[0], {}, answer[1])

    def crm(self, connection: str) -> FakeCrm:
        """The one customer system of this context."""
        return self.customers


def sequence_rule(rules: Sequence[tuple[str, Answer]]) -> Callable[[ModelRequest], Answer]:
    """A rule for FakeModel: the first answer whose word occurs in the request's last message."""

    def rule(request: ModelRequest) -> Answer:
        text = request.messages[-1].text.casefold() if request.messages else ""
        for word, answer in rules:
            if word.casefold() in text:
                return answer
        return Unreachable("No rule fits this request.")

    return rule
