"""The promise list, run on every step of the installed packages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.nodes import NodeType
from tests.nodes.promises import PROMISES

CATALOG = load_catalog(["nodes"])
FIRST_ROUND = {
    "start", "send_message", "ask", "ask_choice", "prompt", "validate", "classify", "extract", "branch",
    "set_variable", "run_flow", "end",
}  # fmt: skip


def test_the_first_round_is_there() -> None:
    assert set(CATALOG.nodes) >= FIRST_ROUND


@pytest.mark.parametrize("promise", PROMISES, ids=lambda p: p.__name__)
@pytest.mark.parametrize("node", CATALOG.nodes.values(), ids=lambda n: n.type)
def test_a_step(node: NodeType, promise: Callable[[NodeType], None]) -> None:
    promise(node)


def test_ports_survive_any_settings_that_validate() -> None:
    rows = [{"id": ""}, {"id": "other", "label": "x"}, {"id": "o_1", "label": "a"}, {"id": "o_1", "label": "b"}]
    for node_type, field in (
        ("ask_choice", "options"),
        ("classify", "classes"),
        ("branch", "cases"),
        ("run_flow", "exits"),
    ):
        node = CATALOG.nodes[node_type]
        ids = [p.id for p in node.ports(node.settings.model_validate({field: rows}))]
        assert len(ids) == len(set(ids))
        assert "o_1" in ids
        assert "" not in ids
