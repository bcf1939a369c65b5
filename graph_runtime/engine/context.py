"""A step's one door to the world: the engine's side of `NodeContext`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import ormsgpack

from graph_runtime.contract import events as happened
from graph_runtime.contract import templates
from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.conditions import Condition, evaluate
from graph_runtime.contract.crm import CrmKeeper
from graph_runtime.contract.errors import StepLimitReached, TemplateInvalid, TooLarge, Unreachable
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgePassage, KnowledgeQuery, as_sources, cited
from graph_runtime.contract.messages import Part, SaidMessage, Source, dump_part, plain_text
from graph_runtime.contract.models import ModelReply, ModelRequest
from graph_runtime.contract.nodes import ERROR
from graph_runtime.contract.outside_words import sentence
from graph_runtime.contract.people import QueueFacts
from graph_runtime.engine.checkpoint import clean, json_values
from graph_runtime.engine.effects import dump_reply, load_reply, once
from graph_runtime.engine.models import in_time_for_a_call
from graph_runtime.engine.outside_crm import StepCrm
from graph_runtime.engine.outside_http import HttpCall, call_http
from graph_runtime.engine.program import Step
from graph_runtime.engine.render import resolve, roots, variable
from graph_runtime.engine.turn import Half, Said, TurnRun

MAX_VALUE_BYTES = 100_000
NO_MODEL = sentence("no_model")


class StepContext:
    """One visit of one step. Implements `contract.nodes.NodeContext`."""

    __slots__ = ("_half", "_ordinal", "_step", "_streaming", "_turn", "_visit")

    def __init__(self, turn: TurnRun, step: Step, visit: int, half: Half) -> None:
        self._turn = turn
        self._step = step
        self._visit = visit
        self._half = half
        self._ordinal = 0
        self._streaming = ""

    @property
    def step_id(self) -> str:
        t = self._turn.trigger
        half = "" if self._half == "run" else f".{self._half}"
        return f"{t.conversation_id}/{t.turn}/{self._step.id}{half}/{self._visit}"

    @property
    def language(self) -> str:
        return self._turn.language or self._turn.trigger.language

    def switch_language(self, language: str) -> None:
        self._turn.language = self._turn.facts["language"] = language

    @property
    def channel(self) -> str:
        return self._turn.trigger.channel

    @property
    def memory(self) -> dict[str, Any]:
        return self._turn.state.memory.setdefault(self._step.id, {})

    def get(self, name: str) -> Any:
        return variable(self._turn, self._step.scope, name)

    def resolve(self, ref: str) -> Any:
        return resolve(self._turn, self._step.scope, ref)

    def set(self, name: str, value: Any) -> None:
        self._turn.set_variable(self._step.scope, self._step.id, name, self._checked(name, value))

    def output(self, name: str, value: Any) -> None:
        if name == ERROR and isinstance(value, str):
            value = self._step.scope.in_language(value, self.language)
        self._turn.state.outputs.setdefault(self._step.id, {})[name] = self._checked(name, value)

    def _checked(self, name: str, value: Any) -> Any:
        if type(value) is str and len(value) <= MAX_VALUE_BYTES // 4:
            return clean(value)
        value = json_values(value)
        if len(ormsgpack.packb(value)) > MAX_VALUE_BYTES:
            raise TooLarge(sentence("value_too_large", name=name), name=name, limit=MAX_VALUE_BYTES)
        return value

    def render(self, text: str, extra: Mapping[str, Any] | None = None) -> str:
        if "{{" not in text and "{%" not in text:
            return text
        if not extra and (filled := templates.fill_in(text, self.resolve)) is not None:
            return filled
        values = roots(self._turn, self._step.scope)
        try:
            return templates.render(text, values | dict(extra) if extra else values)
        except TemplateInvalid as e:
            self._turn.emit(happened.NodeFailed, node_id=self._step.id, code=e.code, message=e.message)
            return text

    def text(self, field: str, source: str) -> str:
        flow = self._step.scope.flow
        return flow.i18n.get(self.language, {}).get(f"{self._step.local_id}.{field}") or source

    def check(self, condition: Condition) -> bool:
        return evaluate(condition, self.resolve, self.render)

    def now(self) -> datetime:
        return self._turn.trigger.now

    @property
    def happened(self) -> Mapping[str, Any]:
        return self._turn.trigger.happened

    async def say(self, *parts: Part) -> None:
        if not parts:
            return
        turn = self._turn
        dumped = tuple(json_values(dump_part(p)) for p in parts)
        text = clean("\n".join(t for t in map(plain_text, parts) if t))
        ordinal = len(turn.messages) + 1
        key = self._next_key()
        self._streaming = ""
        turn.messages.append(Said(key, ordinal, self._step.id, dumped, text, self.language))
        turn.emit(happened.MessageSaid, node_id=self._step.id, key=key, parts=dumped, language=self.language)

    def _next_key(self) -> str:
        return f"{self._turn.trigger.turn}.{len(self._turn.messages) + 1}"

    def follow_up(self, chain_id: str, *, leaves: bool = False) -> None:
        self._turn.emit(happened.ChainAsked, node_id=self._step.id, chain_id=clean(chain_id)[:60], leaves=leaves)

    def bridge(self, words: str | None) -> None:
        self._turn.emit(happened.WaitBegan, node_id=self._step.id, filler=words if words is None else clean(words))

    def history(self, limit: int) -> tuple[SaidMessage, ...]:
        said = tuple(SaidMessage(role="agent", text=m.text) for m in self._turn.messages if m.text)
        known = self._turn.trigger.history + said
        return known[-limit:] if limit > 0 else ()

    async def queue(self, queue_id: str) -> QueueFacts | None:
        find = self._turn.doors.queue
        return await find(queue_id) if find is not None and queue_id else None

    async def model(
        self, request: ModelRequest, *, connection: str, fallback: str = "", stream: bool = False
    ) -> ModelReply:
        doors = self._turn.doors
        if doors.runner is None or doors.models is None:
            raise Unreachable(NO_MODEL, reason="no_model")
        began = time.perf_counter()
        if self.channel == PHONE:
            request = in_time_for_a_call(request, is_streamed=stream)

        async def ask() -> dict[str, Any]:
            assert doors.runner is not None
            assert doors.models is not None
            sources = [*await doors.models(connection), *(await doors.models(fallback) if fallback else ())]
            if stream and doors.cut is not None:
                return dump_reply(await self._cuttable(request, sources, doors.cut))
            on_delta = self._stream if stream else None
            return dump_reply(await doors.runner.run(request, sources, on_delta, self._reset if stream else None))

        self._check_tokens()
        data, replayed = await once(doors.effects, self._effect_key(), "model", self._step.id, ask)
        reply = load_reply(data)
        if replayed and stream:
            self._stream(reply.text)
        usage = reply.usage
        self._turn.tokens += usage.input_tokens + usage.output_tokens
        self._turn.emit(
            happened.ModelAnswered,
            node_id=self._step.id,
            provider=reply.provider,
            model=reply.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_microusd=usage.cost_microusd,
            ms=round((time.perf_counter() - began) * 1000, 1),
            replayed=replayed,
        )
        return reply

    async def _cuttable(self, request: ModelRequest, sources: list[Any], cut: asyncio.Event) -> ModelReply:
        """As much of the answer as was streamed before nobody listened any more; all of it if they do to the end."""
        runner = self._turn.doors.runner
        assert runner is not None
        pieces: list[str] = []

        def take(text: str) -> None:
            pieces.append(text)
            self._stream(text)

        def reset() -> None:
            pieces.clear()
            self._reset()

        answer = asyncio.ensure_future(runner.run(request, sources, take, reset))
        try:
            while not answer.done():
                stop = asyncio.ensure_future(cut.wait())
                try:
                    await asyncio.wait({answer, stop}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    stop.cancel()
                if not answer.done() and "".join(pieces).strip():
                    return ModelReply("".join(pieces).strip())
                cut.clear()  # it was about words before these
            return await answer
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)

    def _check_tokens(self) -> None:
        limit = self._turn.doors.budget.tokens
        if self._turn.tokens >= limit:
            raise StepLimitReached(
                sentence("too_many_tokens", limit=limit),
                node_id=self._step.id,
                limit=limit,
            )

    def _stream(self, text: str) -> None:
        self._streaming = self._next_key()
        self._turn.emit(
            happened.TextStreamed, node_id=self._step.id, key=self._streaming, text=clean(text), language=self.language
        )

    def _reset(self) -> None:
        if self._streaming:
            key, self._streaming = self._streaming, ""
            self._turn.emit(happened.TextStreamed, node_id=self._step.id, key=key, text="", reset=True)

    async def search_knowledge(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        search = self._turn.doors.knowledge
        if search is None:
            raise Unreachable(sentence("no_knowledge"), reason="no_knowledge")

        async def ask() -> dict[str, Any]:
            return (await search(query)).to_json()

        data, _ = await once(self._turn.doors.effects, self._effect_key(), "knowledge", self._step.id, ask)
        answer = KnowledgeAnswer.from_json(data)
        self._turn.found = self._step.id, answer.passages
        self._turn.emit(
            happened.KnowledgeSearched, node_id=self._step.id, query=clean(query.text), best=answer.best,
            bases=answer.bases, terms=answer.terms, documents=_documents(answer.passages),
        )  # fmt: skip
        return answer

    def sources(self, text: str | None = None) -> tuple[Source, ...]:
        node_id, passages = self._turn.found
        if not passages:
            return ()
        named = passages if text is None else cited(text, passages)
        self._turn.emit(happened.SourcesCited, node_id=node_id, documents=_documents(named))
        return as_sources(named)

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
        call = HttpCall(method.upper(), url, dict(headers or {}), body, seconds, connection, tries)
        return await call_http(self._turn, self._step.id, self._effect_key(), call)

    def crm(self, connection: str) -> CrmKeeper:
        return StepCrm(self._turn, self._step.id, connection, self._effect_key)

    def _effect_key(self) -> str:
        self._ordinal += 1
        return f"{self.step_id}/{self._ordinal}"

    def close(self) -> None:
        """The half is over: text that was streamed but never said is taken back."""
        self._reset()


def _documents(passages: Iterable[KnowledgePassage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p.document_id for p in passages if p.document_id))
