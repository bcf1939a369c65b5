"""A turn thought ahead comes to the same as one that was not, and nothing but models hears of it before it is certain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graph_runtime.contract import events as happened
from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.errors import RateLimited, Unreachable
from graph_runtime.contract.flow import load_flow
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgePassage, KnowledgeQuery
from graph_runtime.contract.messages import Reply
from graph_runtime.contract.models import ModelEvent, ModelReply, ModelRequest, ModelUsage, TextDelta
from graph_runtime.engine.ahead import MOST_ASKED, Ahead
from graph_runtime.engine.breaker import Breakers
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.models import ModelRunner
from graph_runtime.engine.program import CompiledFlow
from graph_runtime.engine.run import TurnResult, run_turn
from graph_runtime.engine.turn import Doors, Trigger
from tests.engine.turns import NOON

FOUND = KnowledgePassage(1, "p1", "d1", "Prices", "", "A room is 200 euros.")
CATALOG = load_catalog(("nodes",))
STEPS: dict[str, tuple[str, dict[str, Any], str]] = {
    "answers": ("prompt", {"connection": "llm", "system": "Answer.", "history": 5, "fallback_connection": "second",
                           "fallback_text": "Nobody knows."}, "next"),
    "summarises": ("prompt", {"connection": "llm", "system": "Sum up {{ var.note }}.", "mode": "save", "save_to": "note",
                              "fallback_text": "?"}, "next"),
    "limited": ("prompt", {"connection": "llm", "system": "Dear.", "max_cost": 1, "fallback_text": "?"}, "next"),
    "says": ("send_message", {"text": "So, {{ message.text }} and {{ var.note }}."}, "next"),
    "notes": ("set_variable", {"assignments": [{"id": "i", "save_to": "note", "kind": "text",
                                                "value": "{{ message.text }}!"}]}, "next"),
    "books": ("http_request", {"method": "POST", "url": "https://example.com/book", "body": "{{ var.note }}"}, "ok"),
    "searches": ("search_knowledge", {"query": "{{ message.text }}"}, "found"),
}  # fmt: skip


def flow_of(steps: list[str]) -> CompiledFlow:
    """Ask, then these steps, then ask again."""
    nodes: dict[str, Any] = {"s": {"type": "start"}, "q": {"type": "ask", "settings": {"text": "Yes?", "kind": "text"}}}
    edges, last = {"s.next": "q"}, "q.answered"
    for place, name in enumerate(steps):
        kind, given_settings, port = STEPS[name]
        nodes[f"n{place}"] = {"type": kind, "settings": given_settings}
        edges[last] = f"n{place}"
        for other in ("error", "http_error", "not_found", "failed"):
            edges[f"n{place}.{other}"] = "q"
        last = f"n{place}.{port}"
    edges[last] = "q"
    document = {
        "format": "flow/1", "entry": {"message": "s"}, "nodes": nodes, "edges": edges,
        "variables": {"note": {"type": "text", "default": "nothing"}},
    }  # fmt: skip
    return compile_flow(load_flow(document), {}, CATALOG)


class Model:
    """Answers by what it is asked alone; breaks off for some of it. A pause lies between all that it says."""

    provider = "fake"

    def __init__(self, name: str, *, breaks_off: str = "") -> None:
        self.name = name
        self.breaks_off = breaks_off
        self.requests: list[ModelRequest] = []
        self.open = self.finished = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        self.open += 1
        try:
            asked = request.messages[-1].text
            words = [f"{self.name} ", "on ", f"{asked[::-1]} ", f"({len(request.messages)})."]
            for number, word in enumerate(words):
                await asyncio.sleep(0)
                if self.breaks_off and self.breaks_off in asked and number == 2:
                    raise Unreachable("It broke off.")
                yield TextDelta(word)
            self.finished += 1
            yield ModelReply(
                "".join(words), usage=ModelUsage(len(asked), 7, cost_microusd=11), model=self.name, provider="fake"
            )
        finally:
            self.open -= 1


async def _no_time(_: float) -> None: ...


@dataclass
class World:
    """What one conversation reaches, and all that it did there."""

    models: dict[str, Model]
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    sent: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    streamed: dict[str, str] = field(default_factory=dict)
    events: list[happened.EngineEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = ModelRunner(sleep=_no_time, chance=lambda: 0.0)
        # Whether a vendor is well is known of all that anybody asks, so of what was only thought, too.
        self.runner.breakers = Breakers(lambda: 0.0, failures=1000)

    async def call(self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float) -> HttpReply:
        self.sent.append(f"{method} {url} {body}")
        return HttpReply(200, {}, {"ok": True})

    async def close(self) -> None: ...

    async def search(self, query: KnowledgeQuery) -> KnowledgeAnswer:
        self.queries.append(query.text)
        await asyncio.sleep(0)
        return KnowledgeAnswer((FOUND,) if query.text == "prices" else ())

    def watch(self, event: happened.EngineEvent) -> None:
        if isinstance(event, happened.TextStreamed):
            self.streamed[event.key] = "" if event.reset else self.streamed.get(event.key, "") + event.text
        else:
            self.events.append(event)

    def doors(self) -> Doors:
        async def models(slot: str) -> list[Model]:
            return [self.models[slot]] if slot in self.models else []

        return Doors(
            self.journal, runner=self.runner, models=models, http=self, knowledge=self.search, observers=(self.watch,)
        )

    @property
    def asked(self) -> int:
        return sum(len(model.requests) for model in self.models.values())


def new_world(breaks_off: str = "") -> World:
    return World({"llm": Model("first", breaks_off=breaks_off), "second": Model("second")})


def trigger(text: str) -> Trigger:
    return Trigger("message", "ws", "conv", "turn-2", 2, NOON, channel=PHONE, reply=Reply(text=text))


async def opened(flow: CompiledFlow) -> bytes:
    begun = await run_turn(
        flow, None, Trigger("start", "ws", "conv", "turn-1", 1, NOON, channel=PHONE), Doors(MemoryJournal())
    )
    assert begun.state is not None
    return begun.state


def outcome(result: TurnResult) -> dict[str, Any]:
    """All but times."""
    return {
        "state": result.state, "waits": (result.waits, result.node_id, result.is_over, result.result, result.error),
        "said": [(m.key, m.node_id, m.parts, m.text) for m in result.messages], "steps": result.steps,
        "path": [(step, port) for step, port, _ in result.path], "variables": result.variables,
    }  # fmt: skip


def told(world: World) -> list[Any]:
    """What observers heard, without times."""
    kept = []
    for event in world.events:
        shown = {n: getattr(event, n) for n in event.__slots__ if n not in ("ms", "at")}
        kept.append((type(event).__name__, shown))
    return kept


async def plainly(steps: list[str], text: str, world: World) -> TurnResult:
    flow = flow_of(steps)
    return await run_turn(flow, await opened(flow), trigger(text), world.doors())


async def think(ahead: Ahead, flow: CompiledFlow, state: bytes, text: str, world: World) -> None:
    await ahead.think(flow, state, trigger(text), replace(world.doors(), effects=MemoryJournal()))


async def thought_ahead(
    steps: list[str], guess: str, text: str, world: World, *, moments: int
) -> tuple[TurnResult, Ahead, int]:
    """The turn after so many moments of thinking; also how many requests there were before it began."""
    flow = flow_of(steps)
    state = await opened(flow)
    ahead = Ahead(world.runner, world.search, world.runner.is_short)
    thinking = asyncio.create_task(think(ahead, flow, state, guess, world))
    for _ in range(moments):
        await asyncio.sleep(0)
    assert not world.sent, "nothing is done on suspicion"
    assert not world.journal.begun
    assert not world.events
    assert not world.streamed
    early = world.asked
    ahead.settle()
    doors = replace(world.doors(), runner=ahead, knowledge=ahead.search)
    result = await run_turn(flow, state, trigger(text), doors)
    await thinking
    return result, ahead, early


@example(steps=["summarises"], text="prices", is_right=True, breaks_off="prices", moments=12)
@example(steps=["answers"], text="prices", is_right=True, breaks_off="prices", moments=60)
@settings(max_examples=120)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=5),
    text=st.sampled_from(["prices", "a table"]),
    is_right=st.booleans(),
    breaks_off=st.sampled_from(["", "prices", "!"]),
    moments=st.integers(0, 90),
)
def test_the_result_is_the_same_with_and_without(
    steps: list[str], text: str, is_right: bool, breaks_off: str, moments: int
) -> None:
    async def both() -> None:
        without, with_it = new_world(breaks_off), new_world(breaks_off)
        expected = await plainly(steps, text, without)
        found, ahead, _ = await thought_ahead(
            steps, text if is_right else "something else", text, with_it, moments=moments
        )
        discarded = await ahead.close()
        assert outcome(found) == outcome(expected)
        assert told(with_it) == told(without), "models count once, in the turn"
        assert with_it.journal.begun == without.journal.begun
        assert with_it.journal.results == without.journal.results
        assert _shown(with_it) == _shown(without)
        assert with_it.sent == without.sent
        assert with_it.asked - without.asked <= MOST_ASKED * 2, "each may have been broken off and asked a second model"
        if is_right:
            assert with_it.asked == without.asked, "nothing is asked twice, nor what has failed"
            assert not discarded
            assert with_it.queries == without.queries
        assert all(model.open == 0 for model in with_it.models.values()), "no connection is left"

    asyncio.run(both())


async def test_the_answer_was_asked_for_before_the_turn_began() -> None:
    world = new_world()
    _, ahead, early = await thought_ahead(["searches", "answers"], "prices", "prices", world, moments=60)
    assert (early, world.asked, ahead.was_used) == (1, 1, True)


async def test_a_step_that_acts_ends_it() -> None:
    world = new_world()
    _, _, early = await thought_ahead(["answers", "books", "summarises"], "prices", "prices", world, moments=90)
    assert (early, world.asked) == (1, 2)
    assert len(world.sent) == 1


async def test_a_step_with_a_limit_of_money_is_not_asked_on_suspicion() -> None:
    world = new_world()
    _, _, early = await thought_ahead(["limited"], "prices", "prices", world, moments=60)
    assert (early, world.asked) == (0, 1)


async def test_a_model_that_was_held_back_is_not_asked_on_suspicion() -> None:
    world = new_world()

    class Limits(Model):
        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
            nothing: list[ModelEvent] = []
            for event in nothing:
                yield event
            raise RateLimited("Too much.", retry_after=60)

    with pytest.raises(RateLimited):
        await world.runner.run(ModelRequest(()), [Limits("first")])
    _, _, early = await thought_ahead(["answers"], "prices", "prices", world, moments=60)
    assert (early, world.asked) == (0, 1)


async def test_who_goes_on_speaking_has_the_connection_of_the_model_closed_and_it_is_counted() -> None:
    world = new_world()
    flow = flow_of(["answers"])
    ahead = Ahead(world.runner)
    thinking = asyncio.create_task(think(ahead, flow, await opened(flow), "prices", world))
    await _until(lambda: world.models["llm"].open == 1)
    (waste,) = await ahead.close()
    await thinking
    model = world.models["llm"]
    assert (model.open, model.finished) == (0, 0)
    assert (waste.provider, waste.model, waste.usage.estimated) == ("fake", "first", True)
    assert waste.usage.input_tokens > 10


async def test_an_answer_that_was_complete_and_not_wanted_is_counted_as_it_was_reported() -> None:
    world = new_world()
    flow = flow_of(["answers"])
    ahead = Ahead(world.runner)
    await think(ahead, flow, await opened(flow), "prices", world)
    (waste,) = await ahead.close()
    assert (waste.usage.input_tokens, waste.usage.output_tokens, waste.usage.cost_microusd) == (6, 7, 11)
    assert not waste.usage.estimated


async def test_a_turn_that_is_cancelled_cancels_what_it_took() -> None:
    world = new_world()
    flow = flow_of(["answers"])
    state = await opened(flow)
    ahead = Ahead(world.runner)
    thinking = asyncio.create_task(think(ahead, flow, state, "prices", world))
    await _until(lambda: world.models["llm"].open == 1)
    ahead.settle()
    turn = asyncio.create_task(run_turn(flow, state, trigger("prices"), replace(world.doors(), runner=ahead)))
    await _until(lambda: ahead.was_used)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await thinking
    assert (world.models["llm"].open, world.asked) == (0, 1)


def _shown(world: World) -> dict[str, str]:
    """What was streamed and not taken back."""
    return {key: text for key, text in world.streamed.items() if text}


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(200):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")
