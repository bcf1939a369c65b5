"""Builds the LangGraph graph of a flow: one node where a conversation begins and one for each place where it waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from langgraph.graph import END, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from graph_runtime.engine.checkpoint import PLACE, TurnSaver
from graph_runtime.engine.program import Step
from graph_runtime.engine.steps import run_step
from graph_runtime.engine.turn import Go, Half, TurnRun, Wait

Graph = CompiledStateGraph[Any, TurnRun, Any, Any]
ENTRY = "entry"


class Channels(TypedDict, total=False):
    """LangGraph's channels: one, holding the conversation's state as JSON values."""

    data: dict[str, Any]


SAVER = TurnSaver()
"""One for the process: it keeps nothing between turns."""


def build_graph(steps: Mapping[str, Step], first: str, *, fused: bool) -> Graph:
    """Compile.

    Fused: whatever runs without waiting is one LangGraph node, a loop over steps; LangGraph sees only the places where
    the conversation begins and waits. Not fused: each step is a LangGraph node. Both give the same result.
    """
    graph: StateGraph[Any, TurnRun, Any, Any] = StateGraph(Channels, context_schema=TurnRun)
    graph.add_node(ENTRY, _node(first, "run", waits=False, fused=fused))
    for step in steps.values():
        if not fused:
            graph.add_node(_name(step.id, "run"), _node(step.id, "run", waits=False, fused=False))
        if step.type is not None and step.problem is None:
            halves: tuple[tuple[Half, object], ...] = (("reply", step.type.reply), ("resume", step.type.resume))
            for half, function in halves:
                if function is not None:
                    graph.add_node(_name(step.id, half), _node(step.id, half, waits=True, fused=fused))
    graph.set_entry_point(ENTRY)
    # LangGraph starts a resumed node from its first line. A run of the graph ends where the conversation waits, before
    # anything of the waiting half has run, and says in its channel which node begins the next turn: the same as
    # `interrupt()` on that half's first line, without preparing, raising and running it twice.
    return graph.compile(checkpointer=SAVER)


async def run_graph(graph: Graph, turn: TurnRun, waiting: str, data: dict[str, Any], *, alone: bool) -> dict[str, Any]:
    """Run from where the conversation waits ("" at the beginning) until it waits again or ends; the channel's value then.

    `alone`: the turn is one node, as in every fused graph, so LangGraph runs that node by itself. Its scheduler has
    nothing to decide there and costs more than the five steps of a usual turn (0.95 of 1.75 ms).
    """
    node = graph.nodes.get(waiting or ENTRY) if alone else None
    if node is not None:
        command: Command[Any] = await node.ainvoke({"data": data}, runtime=Runtime(context=turn))
        found: dict[str, Any] = command.update["data"]  # type: ignore[index]  # `_node` made it
        return found
    run_id = f"{turn.trigger.turn_id}:{id(turn)}"
    start: Any = {"data": data}
    if waiting:
        SAVER.load(run_id, waiting, data)
        start = None
    try:
        config: Any = {"configurable": {"thread_id": run_id}, "recursion_limit": turn.doors.budget.steps * 2 + 10}
        async for _ in graph.astream(start, config, context=turn, durability="exit", stream_mode=[]):
            pass  # what happens comes out through the turn itself
        return SAVER.take(run_id)
    finally:
        SAVER.drop(run_id)


def _node(step_id: str, half: Half, *, waits: bool, fused: bool) -> Any:
    """An async function (state, runtime) → Command; LangGraph's overloads have no name for its type."""

    async def run(state: Channels, runtime: Runtime[TurnRun]) -> Command[Any]:
        turn = runtime.context
        turn.state.load(state.get("data"))
        outcome = await run_step(turn, step_id, turn.answered_half(half) if waits else half)
        while fused and isinstance(outcome, Go):
            outcome = await run_step(turn, outcome.step_id, "run")
        data = turn.state.dump()
        if isinstance(outcome, Wait):
            data[PLACE] = _name(outcome.step_id, outcome.half)
        return Command(update={"data": data}, goto=_name(outcome.step_id, "run") if isinstance(outcome, Go) else END)

    return run


def _name(step_id: str, half: Half) -> str:
    # LangGraph reserves ":" and "|" in names; "/" of sub-flows and "." are free.
    return step_id if half == "run" else f"{step_id}.{half}"
