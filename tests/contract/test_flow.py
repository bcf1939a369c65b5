"""The flow document: what is kept, what is refused and with which sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.errors import FlowDamaged, TooLarge
from graph_runtime.contract.flow import Flow, load_flow, new_id, split_port

GOOD: dict[str, Any] = {
    "$schema": "urn:patchcord:flow:1",
    "format": "flow/1",
    "id": "flw_1",
    "name": "Lead",
    "nodes": {"n_a": {"type": "ask", "settings": {"text": "Hi"}, "from_the_future": [1]}},
    "edges": {},
    "layout": {"nodes": {"n_a": [240, 120]}},
    "later": {"x": 1},
}


def test_unknown_keys_and_unknown_types_survive_load_and_save() -> None:
    saved = json.loads(load_flow(GOOD).dumps())
    assert saved["later"] == {"x": 1}
    assert saved["nodes"]["n_a"]["from_the_future"] == [1]
    assert saved["$schema"] == "urn:patchcord:flow:1"


def test_the_hash_ignores_the_layout_and_nothing_else() -> None:
    flow = load_flow(GOOD)
    moved = load_flow(GOOD | {"layout": {"nodes": {"n_a": [0, 0]}}})
    renamed = load_flow(GOOD | {"name": "Other"})
    assert flow.content_hash() == moved.content_hash()
    assert flow.content_hash() != renamed.content_hash()


def test_saving_is_stable_and_readable() -> None:
    text = load_flow(GOOD | {"name": "Лид"}).dumps()
    assert text == load_flow(text).dumps()
    assert "Лид" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "line 1"),
        ("[]", "format"),
        ("{}", "format"),
        ('{"format": "flow/9"}', "format"),
        (GOOD | {"nodes": {"Bad id": {"type": "ask"}}}, "nodes"),
        (GOOD | {"nodes": {"n_a": {"type": "os.system"}}}, "nodes.n_a.type"),
        (GOOD | {"nodes": {"n_a": {"type": "ask", "settings": {"text": "x" * 1_000_000}}}}, "longer than"),
        (GOOD | {"edges": {"n_a": "n_b"}}, "edges"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(document: Any, says: str) -> None:
    with pytest.raises(FlowDamaged) as e:
        load_flow(document)
    assert says in e.value.message


def test_deeply_nested_settings_are_refused() -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(FlowDamaged, match="nested too deeply"):
        load_flow(GOOD | {"nodes": {"n_a": {"type": "ask", "settings": deep}}})


def test_a_file_over_four_megabytes_is_refused_before_reading() -> None:
    with pytest.raises(TooLarge):
        load_flow("x" * 4_000_001)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*Flow.model_fields]), json_values))
def test_any_json_is_either_a_flow_or_damaged(document: dict[str, Any]) -> None:
    try:
        flow = load_flow(document | {"format": "flow/1"})
    except FlowDamaged as e:
        assert e.message
    else:
        assert load_flow(flow.dumps()) == flow


def test_ids_are_new_every_time() -> None:
    assert len({new_id("n") for _ in range(1000)}) == 1000
    assert split_port("n_ask7.answered") == ("n_ask7", "answered")
