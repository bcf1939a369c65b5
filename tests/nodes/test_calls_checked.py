"""What the flow check says about flows for calls, with the real steps."""

from __future__ import annotations

from typing import Any

import pytest

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.flow import Flow
from graph_runtime.engine.validate import FlowCheck, Surroundings
from tests.phone_world import phone_flow

CHECK = FlowCheck(load_catalog(("nodes",)))
BOUND = Surroundings(bound=frozenset({"*"}))


def codes(nodes: dict[str, Any], edges: dict[str, str]) -> list[str]:
    flow = Flow.model_validate(
        phone_flow(nodes, edges, id="f", connections={"llm": {"kind": "chat_model", "label": "M"}})
    )
    return [p.code for p in CHECK.check(flow, BOUND) if p.code in ("F005", "F009")]


@pytest.mark.parametrize("waits", [False, True])
def test_a_say_that_leads_to_itself_never_ends_whatever_it_waits_for(waits: bool) -> None:
    nodes = {"n_a": ("say", {"text": "Again.", "waits_to_end": waits})}
    assert codes(nodes, {"n_start.next": "n_a", "n_a.finished": "n_a"}) == ["F005"], "in a chat nothing would stop it"


def test_a_say_that_is_repeated_when_the_caller_speaks_is_fine() -> None:
    nodes = {"n_a": ("say", {"text": "Again.", "waits_to_end": True}), "n_e": ("end", {})}
    assert codes(nodes, {"n_start.next": "n_a", "n_a.interrupted": "n_a", "n_a.finished": "n_e"}) == []


def test_a_say_in_a_circle_with_a_question_is_fine() -> None:
    nodes = {"n_a": ("say", {"text": "Again."}), "n_q": ("listen", {})}
    assert codes(nodes, {"n_start.next": "n_a", "n_a.finished": "n_q", "n_q.heard": "n_a"}) == []


@pytest.mark.parametrize(
    ("has_filler", "on_phone", "found"), [(False, True, ["F009"]), (True, True, []), (False, False, [])]
)
def test_a_model_without_a_filler_is_told_about_where_there_are_calls(
    has_filler: bool, on_phone: bool, found: list[str]
) -> None:
    nodes = {
        "n_m": ("prompt", {"system": "You help.", "has_filler": has_filler}),
        "n_e": ("hang_up" if on_phone else "end", {}),
    }
    edges = {"n_start.next": "n_m", "n_m.next": "n_e", "n_m.error": "n_e"}
    assert codes(nodes, edges) == found


def test_the_fix_lets_a_word_bridge_the_wait() -> None:
    document = phone_flow(
        {"n_m": ("prompt", {"system": "You help.", "has_filler": False}), "n_h": ("hang_up", {})}, {}, id="f"
    )
    flow = Flow.model_validate(document)
    (problem,) = [p for p in CHECK.check(flow, BOUND) if p.code == "F009"]
    assert (problem.node_id, problem.field) == ("n_m", "has_filler")
    assert problem.fix is not None
    for edit in problem.fix.edits:
        flow = edit.apply(flow)
    assert not [p for p in CHECK.check(flow, BOUND) if p.code == "F009"]
