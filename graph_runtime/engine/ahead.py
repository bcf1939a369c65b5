"""Begins what a turn will ask of models before the turn exists, and hands it over only to the identical request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NoReturn

from graph_runtime.contract.crm import Crm
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgeQuery
from graph_runtime.contract.models import ModelReply, ModelRequest, ModelUsage
from graph_runtime.engine.models import OnDelta
from graph_runtime.engine.prices import cost_microusd
from graph_runtime.engine.program import CompiledFlow
from graph_runtime.engine.run import run_turn
from graph_runtime.engine.turn import AsksModels, CallsHttp, Doors, Trigger

MOST_ASKED: Final = 3
"""Models that are asked for one turn that may never come."""

CHARACTERS_PER_TOKEN: Final = 4
"""Where an answer was broken off, nobody reports how many tokens it took."""

IsShort = Callable[[Sequence[Any]], bool]
"""Whether these models have little to give now, so that nothing is asked of them on suspicion."""
Search = Callable[[KnowledgeQuery], Awaitable[KnowledgeAnswer]]


@dataclass(frozen=True, slots=True)
class Discarded:
    """An answer that nobody wanted in the end, and what it cost. `usage.estimated`: it was broken off."""

    provider: str
    model: str
    usage: ModelUsage


@dataclass(eq=False, slots=True)
class _Asked:
    """One request on its way; `pieces` came before anybody listened."""

    request: ModelRequest
    models: tuple[tuple[str, str, str], ...]
    is_streamed: bool
    answer: asyncio.Future[ModelReply] = field(init=False)
    pieces: list[str] = field(default_factory=list)
    is_taken: bool = False
    on_delta: OnDelta | None = None
    on_reset: Callable[[], None] | None = None

    def tell(self, text: str) -> None:
        if self.on_delta is not None:
            self.on_delta(text)
        else:
            self.pieces.append(text)

    def reset(self) -> None:
        self.pieces.clear()
        if self.on_reset is not None:
            self.on_reset()

    def take(self, on_delta: OnDelta | None, on_reset: Callable[[], None] | None) -> None:
        """Somebody listens from now on."""
        self.is_taken, self.on_reset = True, on_reset
        if self.pieces and on_delta is not None:
            on_delta("".join(self.pieces))
        self.on_delta = on_delta


class Ahead:
    """One turn that may come. `think` runs it on paper; `run` and `search` are doors of the real one.

    On paper nothing is written, said or called: the run ends where the flow would act. What models were asked until then
    goes on, and is handed over once, to the same request to the same models; everything else asks anew. So a flow comes to the
    same with this and without it.
    """

    def __init__(self, runner: AsksModels, search: Search | None = None, is_short: IsShort | None = None) -> None:
        self._runner = runner
        self._search = search
        self._is_short = is_short or (lambda _: False)
        self._asked: list[_Asked] = []
        self._found: list[tuple[KnowledgeQuery, asyncio.Future[KnowledgeAnswer]]] = []
        self._end = asyncio.Event()

    @property
    def asked(self) -> int:
        """How many requests are on their way or answered."""
        return len(self._asked)

    @property
    def was_used(self) -> bool:
        """Whether the real turn took any of it."""
        return any(asked.is_taken for asked in self._asked)

    async def think(self, compiled: CompiledFlow, state: bytes | None, trigger: Trigger, doors: Doors) -> None:
        """Run the turn on paper, until it waits, would act, or `settle` is called. Raises: what reading behind `doors` raises."""
        shut = _Shut(self._end)
        on_paper = replace(
            doors,
            effects=_OnPaper(shut),
            runner=_Asking(self, shut),
            knowledge=self._look_up if self._search is not None else None,
            http=shut,
            connections=shut,
            observers=(),
            cut=None,
        )
        run = asyncio.ensure_future(run_turn(compiled, state, trigger, on_paper))
        end = asyncio.ensure_future(self._end.wait())
        try:
            await asyncio.wait({run, end}, return_when=asyncio.FIRST_COMPLETED)
            if run.done() and not run.cancelled():
                run.result()
        finally:
            run.cancel()
            end.cancel()
            await asyncio.gather(run, end, return_exceptions=True)

    def settle(self) -> None:
        """The real turn begins: nothing more is asked on suspicion."""
        self._end.set()

    async def run(
        self,
        request: ModelRequest,
        models: Sequence[Any],
        on_delta: OnDelta | None = None,
        on_reset: Callable[[], None] | None = None,
    ) -> ModelReply:
        """As `ModelRunner.run`, from what was asked already where that is the same; one that failed has failed with all its
        repetitions, and they have counted."""
        key = _names(models)
        for asked in self._asked:
            is_same = (asked.is_streamed, asked.models) == (on_delta is not None, key) and asked.request == request
            if is_same and not asked.is_taken:
                asked.take(on_delta, on_reset)
                return await asked.answer  # whoever gives up waiting cancels it, too
        return await self._runner.run(request, models, on_delta, on_reset)

    async def search(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        """As the search itself."""
        assert self._search is not None
        for known, answer in self._found:
            if known == query:
                self._found.remove((known, answer))
                return await answer
        return await self._search(query)

    async def close(self) -> list[Discarded]:
        """Break off what nobody took; what it cost."""
        self.settle()
        left = [asked for asked in self._asked if not asked.is_taken]
        waste = [_waste(asked) for asked in left]
        pending: list[asyncio.Future[Any]] = [asked.answer for asked in left]
        pending += [answer for _, answer in self._found]
        for future in pending:
            future.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        self._asked, self._found = [asked for asked in self._asked if asked.is_taken], []
        return [found for found in waste if found is not None]

    def may_ask(self, request: ModelRequest, models: Sequence[Any]) -> bool:
        """Whether it may cost something that nobody has asked for yet."""
        is_open = not self._end.is_set() and len(self._asked) < MOST_ASKED
        return is_open and request.may_be_early and not self._is_short(models)

    def ask(self, request: ModelRequest, models: Sequence[Any], *, is_streamed: bool) -> asyncio.Future[ModelReply]:
        """Begin, and keep what comes."""
        asked = _Asked(request, _names(models), is_streamed)
        shown = (asked.tell, asked.reset) if is_streamed else (None, None)
        asked.answer = asyncio.ensure_future(self._runner.run(request, models, *shown))
        asked.answer.add_done_callback(_look_at)
        self._asked.append(asked)
        return asked.answer

    async def _look_up(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        assert self._search is not None
        if self._end.is_set():
            await _Shut(self._end).stay()
        answer: asyncio.Future[KnowledgeAnswer] = asyncio.ensure_future(self._search(query))
        answer.add_done_callback(_look_at)
        self._found.append((query, answer))
        return await asyncio.shield(answer)


class _Shut:
    """A door to what acts: whoever comes to it ends the run on paper and goes no further."""

    def __init__(self, end: asyncio.Event) -> None:
        self._end = end

    async def stay(self) -> NoReturn:
        self._end.set()
        await asyncio.Event().wait()  # until it is cancelled
        raise AssertionError("nobody sets that event")

    async def call(self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float) -> HttpReply:
        await self.stay()

    async def http(self, slot: str) -> CallsHttp:
        await self.stay()

    async def crm(self, slot: str) -> Crm:
        await self.stay()

    async def has_put_aside(self, conversation_id: str) -> bool:
        await self.stay()

    async def put_aside(self, slot: str, write: Any) -> None:
        await self.stay()

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class _OnPaper:
    """A journal that is never written: only reading may go on. Implements `EffectJournal`."""

    shut: _Shut

    async def recorded(self, key: str) -> Any | None:
        return None

    async def begin(self, key: str, kind: str, node_id: str) -> None:
        if kind not in ("model", "knowledge"):
            await self.shut.stay()

    async def finish(self, key: str, result: Any) -> None:
        """Nothing is kept."""

    async def begun_at(self, key: str) -> datetime | None:
        await self.shut.stay()


@dataclass(frozen=True, slots=True)
class _Asking:
    """Models as the run on paper sees them: asked for later. Implements `AsksModels`."""

    ahead: Ahead
    shut: _Shut

    async def run(
        self,
        request: ModelRequest,
        models: Sequence[Any],
        on_delta: OnDelta | None = None,
        on_reset: Callable[[], None] | None = None,
    ) -> ModelReply:
        if not self.ahead.may_ask(request, models):
            await self.shut.stay()
        return await asyncio.shield(self.ahead.ask(request, models, is_streamed=on_delta is not None))


def _names(models: Sequence[Any]) -> tuple[tuple[str, str, str], ...]:
    return tuple((str(getattr(m, "provider", "")), str(m.name), str(getattr(m, "account", ""))) for m in models)


def _look_at(future: asyncio.Future[Any]) -> None:
    """A failure that nobody waits for is nobody's."""
    if not future.cancelled():
        future.exception()


def _waste(asked: _Asked) -> Discarded | None:
    """What an answer cost that nobody takes; None: it failed, and cost nothing that is known."""
    if asked.answer.done():
        if asked.answer.cancelled() or asked.answer.exception() is not None:
            return None
        reply = asked.answer.result()
        return Discarded(reply.provider, reply.model, reply.usage)
    provider, name = asked.models[0][:2] if asked.models else ("", "")
    sent = sum(len(message.text) for message in asked.request.messages)
    usage = ModelUsage(
        sent // CHARACTERS_PER_TOKEN + 1, len("".join(asked.pieces)) // CHARACTERS_PER_TOKEN, estimated=True
    )
    return Discarded(provider, name, replace(usage, cost_microusd=cost_microusd(provider, name, usage)))
