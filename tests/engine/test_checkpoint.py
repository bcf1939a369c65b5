"""LangGraph's own expectations of a saver, as far as they apply to one that keeps the newest checkpoint of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator

from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import ProgressCallbacks

from graph_runtime.engine.checkpoint import TurnSaver

NEWEST_ONLY = "a conversation is its newest checkpoint; versions of the past are its transcript"
NO_WRITES = "a graph of ours has one node at work, so what is pending is the place of waiting alone"
NO_NAMESPACES = "sub-flows are flattened into the graph of the flow, so there is one namespace"
WHOLE_VALUES = "all channels are written each time"
EXEMPT = {
    **dict.fromkeys(
        ["put_multiple_checkpoints_same_thread", "put_parent_config", "get_tuple_specific_checkpoint_id", "get_tuple_parent_config"],
        NEWEST_ONLY,
    ),
    **dict.fromkeys(["put_child_namespace", "get_tuple_respects_namespace", "delete_thread_removes_all_namespaces"], NO_NAMESPACES),
    "put_incremental_channel_update": WHOLE_VALUES,
    **dict.fromkeys(["get_tuple_pending_writes", "delete_thread_removes_writes"], NO_WRITES),
}  # fmt: skip
"""Each reason is a promise: an exempt expectation that is met after all must leave this list."""


async def test_what_applies_of_langgraphs_expectations_is_met() -> None:
    @checkpointer_test(name="TurnSaver")
    async def saver() -> AsyncIterator[TurnSaver]:
        yield TurnSaver()

    results: dict[str, bool] = {}

    def note(_capability: str, name: str, passed: bool, _error: str | None) -> None:
        results[name.removeprefix("test_")] = passed

    # Not `list` and `put_writes`: earlier checkpoints and pending writes do not exist (see the reasons above).
    asked = {"put", "get_tuple", "delete_thread"}
    await validate(saver, capabilities=asked, progress=ProgressCallbacks(on_test_result=note))
    assert len(results) > 25
    assert {name for name, passed in results.items() if not passed} == set(EXEMPT)
