"""Whatever contacts write and models answer, a step goes on by one of its exits and keeps JSON values."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.contract.messages import Reply
from graph_runtime.contract.models import ModelReply
from graph_runtime.contract.nodes import AwaitReply, Leave, NodeType
from graph_runtime.testing import FakeContext, FakeModel
from tests.nodes.promises import examples

CATALOG = load_catalog(["nodes"])
WAITING = [n for n in CATALOG.nodes.values() if n.waits == "reply"]
ASKING_MODELS = [CATALOG.nodes[t] for t in ("prompt", "validate", "classify", "extract")]
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
JSON = st.recursive(
    LEAF,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
# The names that the examples' schemas use, so that odd values meet real fields.
ANSWER = st.dictionaries(
    st.sampled_from(["class", "confidence", "passed", "reason", "reply", "day", "people", "count", "colour"]), JSON
)


async def drive(node: NodeType, settings: dict[str, Any], ctx: FakeContext, replies: list[Reply]) -> Any:
    """Run a step through these replies, then silence."""
    model = node.settings.model_validate(settings)
    assert node.run is not None
    outcome = await node.run(model, ctx)
    for reply in [*replies, None]:
        if not isinstance(outcome, AwaitReply):
            break
        assert node.reply is not None
        if reply is not None:
            ctx.hear(reply)
        outcome = await node.reply(model, ctx, reply)
    if isinstance(outcome, Leave):
        assert outcome.port in {p.id for p in node.ports(model)}
    json.dumps([ctx.variables, ctx.memory, ctx.outputs], allow_nan=False)
    return outcome


@pytest.mark.parametrize("node", WAITING, ids=lambda n: n.type)
@given(
    texts=st.lists(st.text(max_size=60), max_size=4), options=st.lists(st.text(max_size=8), max_size=4), pick=st.data()
)
def test_any_reply(node: NodeType, texts: list[str], options: list[str], pick: st.DataObject) -> None:
    settings = pick.draw(st.sampled_from([e["given"]["settings"] for e in examples(node)]))
    replies = [Reply(text=t, option_id=o) for t, o in zip(texts, [*options, *[""] * 4], strict=False)]
    ctx = FakeContext(language=pick.draw(st.sampled_from(["en", "ru", "uk", "xx"])))
    outcome = asyncio.run(drive(node, settings, ctx, replies))
    assert isinstance(outcome, Leave)


@pytest.mark.parametrize("node", ASKING_MODELS, ids=lambda n: n.type)
@given(answers=st.lists(st.one_of(ANSWER, st.text(max_size=30)), min_size=1, max_size=4), pick=st.data())
def test_any_answer_of_a_model(node: NodeType, answers: list[Any], pick: st.DataObject) -> None:
    settings = pick.draw(st.sampled_from([e["given"]["settings"] for e in examples(node)]))
    given_answers = [a if isinstance(a, dict) else ModelReply(a) for a in answers]
    ctx = FakeContext(models={"*": FakeModel(given_answers)}, variables={"order": "AB-1234", "request": "x"})
    ctx.hear(Reply(text="A table for four tomorrow"))
    asyncio.run(drive(node, settings, ctx, [Reply(text="four"), Reply(text="tomorrow")]))


@pytest.mark.parametrize("node", CATALOG.nodes.values(), ids=lambda n: n.type)
def test_a_step_nobody_has_filled_in_does_not_raise(node: NodeType) -> None:
    ctx = FakeContext(models={"*": FakeModel(rule=lambda _request: "Hello")})
    asyncio.run(drive(node, {}, ctx, [Reply(text="hello")]))
