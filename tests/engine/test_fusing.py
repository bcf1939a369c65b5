"""Each way of running the same random flow does the same things."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.contract import events as happened
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.models import ModelReply, ModelUsage
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.turn import Budget, Doors
from tests.engine.small_nodes import flow
from tests.engine.turns import Kind, Talk

_PORTS = {
    "say": ["next"], "set": ["next"], "ask": ["answered", "no_reply"], "branch": ["yes", "no"],
    "boom": ["next", "error"], "think": ["next", "error"], "pause": ["elapsed"], "end": [], "run_flow": ["e"],
}  # fmt: skip
_SUB = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "sub?", "save_to": "x"}),
        "t": ("say", {"text": "{{ var.x }}"}),
        "e": ("end", {}),
    },
    {"s.next": "q", "q.answered": "t", "t.next": "e"},
    id="sub",
)


class Counting:
    """Answers with the number of the question."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, request: Any, _models: Any, on_delta: Any = None, _on_reset: Any = None) -> ModelReply:
        self.asked.append(request.messages[-1].text)
        on_delta("part")
        return ModelReply(f"answer {len(self.asked)}", usage=ModelUsage(3, 4))


async def _models(slot: str) -> list[Any]:
    return []


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Up to a dozen steps wired at random, loops and open ends included."""
    kinds = draw(st.lists(st.sampled_from(sorted(_PORTS)), min_size=1, max_size=12))
    ids = [f"n{i}" for i in range(len(kinds))]
    nodes: dict[str, Any] = {"s": ("start", {})}
    edges = {"s.next": draw(st.sampled_from(ids))}
    for node_id, kind in zip(ids, kinds, strict=True):
        name = draw(st.sampled_from(["x", "y"]))
        nodes[node_id] = {
            "type": kind,
            "enabled": draw(st.integers(0, 9)) > 0,
            "settings": {
                "say": {"text": node_id + " {{ var.x }}{{ step.n0.answer }}"}, "set": {"name": name, "value": node_id},
                "ask": {"text": node_id, "save_to": name, "seconds": 5}, "end": {"text": node_id}, "boom": {},
                "branch": {"when": {"left": {"ref": "var.x"}, "op": "eq", "right": {"value": "n1"}}},
                "think": {"text": "{{ var.y }}"}, "pause": {"seconds": 9}, "run_flow": {"flow_id": "sub"},
            }[kind],
        }  # fmt: skip
        for port in _PORTS[kind]:
            if draw(st.integers(0, 4)) > 0:
                edges[f"{node_id}.{port}"] = draw(st.sampled_from(ids))
    return flow(nodes, edges, id="main")


async def _play(document: Flow, replies: list[str | None], *, fused: bool, alone: bool = False) -> list[Any]:
    runner, journal = Counting(), MemoryJournal()
    talk = Talk(document, {"sub": _SUB}, fused, Doors(journal, runner, _models, budget=Budget(steps=60)), alone=alone)
    record: list[Any] = []
    for reply in [None, *replies]:
        kind: Kind = "start" if talk.turn == 0 else "timer" if reply is None else "message"
        result = await talk.go(reply, kind)
        events = [_shape(e) for e in result.events]
        steps = [(node, port) for node, port, _ in result.path]
        record.append(
            (result.state, result.waits, result.node_id, result.due_at, result.error, result.messages, events, steps)
        )
        if result.is_over:
            break
    return [record, runner.asked, journal.begun, journal.results]


def _shape(event: happened.EngineEvent) -> tuple[Any, ...]:
    return type(event), *(getattr(event, f) for f in event.__slots__ if f not in ("at", "ms"))


@settings(max_examples=120, deadline=None)
@given(flows(), st.lists(st.sampled_from(["n1", "hello", "again", None]), max_size=6))
def test_fusing_changes_nothing_that_can_be_seen(document: Flow, replies: list[str | None]) -> None:
    alone = asyncio.run(_play(document, replies, fused=True, alone=True))
    assert alone == asyncio.run(_play(document, replies, fused=True))
    assert alone == asyncio.run(_play(document, replies, fused=False))
