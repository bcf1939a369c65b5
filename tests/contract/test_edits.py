"""Edits: applying is pure, the inverse brings every touched place back, conflicts are found by path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.edits import (
    EDITS,
    AddNode,
    ChangeNode,
    ChangeSettings,
    Connect,
    Disconnect,
    Edit,
    MoveNode,
    RemoveNode,
    RenameFlow,
    SetConnection,
    SetStart,
    SetText,
    SetVariable,
    apply_edits,
    conflicting,
)
from graph_runtime.contract.errors import EditInvalid
from graph_runtime.contract.flow import Connection, Flow, Node, Variable

NODES = ["n_a", "n_b", "n_c"]
nodes = st.sampled_from(NODES)
ports = st.builds(lambda n, p: f"{n}.{p}", nodes, st.sampled_from(["next", "error", "c_1"]))
values: st.SearchStrategy[Any] = st.one_of(st.text(max_size=8), st.integers(-5, 5), st.booleans(), st.none())
settings = st.dictionaries(st.sampled_from(["text", "kind", "save_to"]), values, max_size=3)
edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(AddNode, id=nodes, node=st.builds(Node, type=st.just("ask"), settings=settings), at=st.just((3, 4))),
    st.builds(RemoveNode, id=nodes),
    st.builds(MoveNode, id=nodes, at=st.tuples(st.integers(-99, 99), st.integers(-99, 99))),
    st.builds(
        ChangeSettings, id=nodes, set=settings, remove=st.lists(st.sampled_from(["gone"]), max_size=1).map(tuple)
    ),
    st.builds(ChangeNode, id=nodes, name=st.one_of(st.none(), st.text(max_size=5)), enabled=st.booleans()),
    st.builds(Connect, port=ports, target=nodes),
    st.builds(Disconnect, port=ports),
    st.builds(SetStart, trigger=st.just("message"), node=st.one_of(st.none(), nodes)),
    st.builds(SetVariable, id=st.just("budget"), variable=st.one_of(st.none(), st.builds(Variable))),
    st.builds(SetConnection, id=st.just("llm"), connection=st.one_of(st.none(), st.builds(Connection))),
    st.builds(SetText, language=st.just("ru"), key=st.just("n_a.text"), text=st.one_of(st.none(), st.text(max_size=5))),
    st.builds(RenameFlow, name=st.text(max_size=5)),
)


def same(a: Flow, b: Flow) -> bool:
    """Equal but for empty leftovers (an empty translation table, a place of a step that is gone)."""

    def plain(flow: Flow) -> dict[str, Any]:
        data = flow.to_json()
        data["i18n"] = {k: v for k, v in data["i18n"].items() if v}
        data["layout"]["nodes"] = {k: v for k, v in data["layout"]["nodes"].items() if v not in ([0, 0], (0, 0))}
        return data

    return plain(a) == plain(b)


def start() -> Flow:
    """Three steps and two wires."""
    flow = Flow()
    for i, node in enumerate(NODES):
        flow = AddNode(id=node, node=Node(type="ask", settings={"text": node}), at=(i * 320, 0)).apply(flow)
    return apply_edits(flow, [Connect(port="n_a.next", target="n_b"), Connect(port="n_b.next", target="n_a")])


@given(st.lists(edits, max_size=12))
def test_undoing_everything_brings_the_flow_back(sequence: list[Edit]) -> None:
    flow = start()
    history: list[tuple[Edit, ...]] = []
    for edit in sequence:
        try:
            inverse = edit.inverse(flow)
            changed = edit.apply(flow)
        except EditInvalid:
            continue
        history.append(inverse)
        flow = changed
    for inverse in reversed(history):
        flow = apply_edits(flow, list(inverse))
    assert same(flow, start())


@given(st.lists(edits, max_size=6))
def test_edits_survive_the_wire(sequence: list[Edit]) -> None:
    assert EDITS.validate_json(EDITS.dump_json(sequence)) == sequence


def test_applying_does_not_change_the_given_flow() -> None:
    flow = start()
    before = flow.dumps()
    RemoveNode(id="n_a").apply(flow)
    ChangeSettings(id="n_b", set={"text": "x"}).apply(flow)
    assert flow.dumps() == before


def test_a_port_has_one_wire() -> None:
    flow = Connect(port="n_a.next", target="n_c").apply(start())
    assert flow.edges["n_a.next"] == "n_c"
    assert len(flow.edges) == 2


def test_removing_a_step_takes_its_wires_and_its_start_along() -> None:
    flow = SetStart(trigger="message", node="n_a").apply(start())
    flow = RemoveNode(id="n_a").apply(flow)
    assert flow.edges == {}
    assert flow.entry == {}
    assert "n_a" not in flow.layout.nodes


@pytest.mark.parametrize(
    "edit",
    [
        RemoveNode(id="n_x"),
        MoveNode(id="n_x", at=(0, 0)),
        ChangeSettings(id="n_x", set={}),
        Connect(port="n_a.next", target="n_x"),
        Connect(port="n_x.next", target="n_a"),
        SetStart(trigger="message", node="n_x"),
        AddNode(id="n_a", node=Node(type="ask")),
    ],
)
def test_an_edit_of_something_that_is_gone_is_refused(edit: Edit) -> None:
    with pytest.raises(EditInvalid):
        edit.apply(start())


def test_all_or_nothing() -> None:
    flow = start()
    with pytest.raises(EditInvalid):
        apply_edits(flow, [RenameFlow(name="new"), RemoveNode(id="n_x")])
    assert flow.name == ""


def test_conflicts_are_found_by_path() -> None:
    mine: list[Edit] = [ChangeSettings(id="n_a", set={"text": "x"}), MoveNode(id="n_b", at=(1, 1))]
    assert conflicting(mine, frozenset({"nodes/n_a/settings/kind", "layout/n_a"})) == frozenset()
    assert conflicting(mine, frozenset({"nodes/n_a/settings/text"})) == {"nodes/n_a/settings/text"}
    assert conflicting(mine, RemoveNode(id="n_a").touches()) == {"nodes/n_a/settings/text"}
    wire: list[Edit] = [Connect(port="n_a.next", target="n_c")]
    assert conflicting([*mine, *wire], RemoveNode(id="n_c").touches()) == {"edges/n_a.next"}
    assert conflicting(mine, RemoveNode(id="n_b").touches()) == {"layout/n_b"}
