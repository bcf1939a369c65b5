"""The public fakes behave as the contract says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from graph_runtime.contract.errors import RateLimited, Unreachable
from graph_runtime.contract.messages import Text
from graph_runtime.contract.models import ModelMessage, ModelReply, ModelRequest, TextDelta
from graph_runtime.contract.nodes import Leave, NodeContext
from graph_runtime.examples import ExampleRun
from graph_runtime.testing import NOON, FakeClock, FakeContext, FakeModel, sequence_rule

REQUEST = ModelRequest(messages=(ModelMessage("user", "What does delivery cost?"),))


def test_a_fake_context_is_a_node_context() -> None:
    context: NodeContext = FakeContext()
    assert context.step_id


def test_a_clock_moves_only_when_told() -> None:
    clock = FakeClock()
    clock.advance(hours=2)
    assert clock.now() - NOON == timedelta(hours=2)


async def test_a_model_streams_words_then_the_reply() -> None:
    events = [e async for e in FakeModel(["one two"]).stream(REQUEST)]
    assert [e.text for e in events if isinstance(e, TextDelta)] == ["one ", "two "]
    assert isinstance(events[-1], ModelReply)
    assert events[-1].text == "one two"


def test_a_rule_answers_by_what_is_asked() -> None:
    model = FakeModel(rule=sequence_rule([("delivery", "Two euros"), ("", "?")]))
    assert model.answer(REQUEST).text == "Two euros"
    assert model.requests == [REQUEST]


async def test_the_second_slot_answers_when_the_first_fails() -> None:
    context = FakeContext(models={"a": FakeModel([RateLimited("Wait.")]), "b": FakeModel(["from b"])})
    assert (await context.model(REQUEST, connection="a", fallback="b")).text == "from b"


async def test_an_unbound_slot_is_a_connector_error() -> None:
    with pytest.raises(Unreachable, match="llm"):
        await FakeContext().model(REQUEST, connection="llm")


async def test_references_read_what_the_step_wrote() -> None:
    context = FakeContext(contact={"first_name": "Ann"})
    context.set("items", ["a", {"b": 1}])
    context.output("text", "x")
    await context.say(Text(text="Hello"))
    assert context.resolve("var.items.1.b") == 1
    assert context.resolve("step.n_1.text") == "x"
    assert context.resolve("contact.nobody.there") is None
    assert context.render("{{ contact.first_name }} {{ nothing.here }}") == "Ann "
    assert context.history(5)[-1].text == "Hello"


def test_a_broken_text_is_said_as_it_is_written() -> None:
    assert FakeContext().render("{{ var. | }") == "{{ var. | }"


def test_differences_name_what_is_wrong() -> None:
    run = ExampleRun(Leave("next"), FakeContext())
    assert run.differences({"port": "next", "said": []}) == []
    wrong = run.differences({"port": "other", "said_contains": ["hi"], "colour": "red"})
    assert len(wrong) == 3
