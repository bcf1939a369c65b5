"""All model connectors through the same questions and answers, over a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectors.openai import connector as openai
from graph_runtime.contract.errors import (
    BadAnswer,
)
from graph_runtime.contract.models import ModelMessage, ModelRequest, Tool, ToolCall
from tests.connectors.conftest import CANARY, Wire
from tests.fakes.model_vendors import ModelVendors

pytestmark = pytest.mark.asyncio

HI = (ModelMessage("system", "Be brief."), ModelMessage("user", "Привіт, how are you?"))
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "guests": {"type": "integer"}},
    "required": ["city", "guests"],
}
WEATHER = Tool("weather", "The weather in a city", {"type": "object", "properties": {"city": {"type": "string"}}})


async def test_text_comes_in_pieces_and_then_as_a_whole(wire: Wire) -> None:
    wire.lane.answer("Good morning, Олено!", input_tokens=40, output_tokens=7, cached_tokens=16)
    pieces, reply = await wire.ask(ModelRequest(HI, temperature=0.2, max_tokens=50))
    assert pieces == ["Good ", "morning, ", "Олено!"]
    assert (reply.text, reply.data, reply.finish, reply.model) == ("Good morning, Олено!", None, "stop", "small")
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens) == (40, 7, 16)
    assert not reply.usage.estimated


async def test_the_vendor_is_asked_what_the_step_said_and_nothing_more(wire: Wire) -> None:
    request = ModelRequest(HI, temperature=0.2, max_tokens=50, purpose="judge", hints={"rubric": "secret plan"})
    await wire.ask(request)
    call = wire.lane.journal[-1]
    assert call.asked is not None
    assert call.asked.stream
    assert call.asked.model == "small"
    assert call.asked.messages == (("system", "Be brief."), ("user", "Привіт, how are you?"))
    assert call.key == CANARY
    body = str(call.body)
    assert "secret plan" not in body
    assert "judge" not in body
    assert "0.2" in body
    assert "50" in body


async def test_a_conversation_may_begin_and_end_with_the_agent(wire: Wire) -> None:
    messages = (ModelMessage("assistant", "Hello!"), ModelMessage("user", "Hi"), ModelMessage("assistant", "Well?"))
    await wire.ask(ModelRequest(messages))
    asked = wire.lane.journal[-1].asked
    assert asked is not None
    assert asked.messages[0][0] == "user"
    assert asked.messages[-1][0] == "user"
    assert ("assistant", "Hello!") in asked.messages


async def test_a_structured_answer_fits_the_schema_and_is_not_streamed(wire: Wire) -> None:
    wire.lane.answer('{"city": "Київ", "guests": "3"}')
    pieces, reply = await wire.ask(ModelRequest(HI, schema=SCHEMA))
    assert pieces == []
    assert reply.data == {"city": "Київ", "guests": 3}
    asked = wire.lane.journal[-1].asked
    assert asked is not None
    assert asked.schema is not None
    assert set(asked.schema["properties"]) == {"city", "guests"}


async def test_a_server_without_schemas_is_asked_in_words_and_remembered(wire: Wire) -> None:
    wire.lane.fail("no_schema", times=5)
    for _ in range(2):
        wire.lane.answer('Of course:\n```json\n{"city": "Oslo", "guests": 2,}\n```')
        _, reply = await wire.ask(ModelRequest(HI, schema=SCHEMA))
        assert reply.data == {"city": "Oslo", "guests": 2}
    schemas = [call.asked.schema is not None for call in wire.lane.journal if call.asked]
    assert schemas == [True, False, False]
    last = wire.lane.journal[-1].asked
    assert last is not None
    assert "JSON Schema" in last.messages[0][1]


@pytest.mark.parametrize("text", ["Sorry, no.", '{"city": "Oslo"}', '{"city": "Oslo", "guests": "many"}'])
async def test_an_answer_that_does_not_fit_is_refused(wire: Wire, text: str) -> None:
    wire.lane.answer(text)
    with pytest.raises(BadAnswer):
        await wire.ask(ModelRequest(HI, schema=SCHEMA))


async def test_tools_are_offered_and_their_results_go_back(wire: Wire) -> None:
    wire.lane.answer("One moment.", tool_calls=(("weather", {"city": "Львів"}),))
    pieces, reply = await wire.ask(ModelRequest(HI, tools=(WEATHER,)))
    assert reply.finish == "tools"
    assert "".join(pieces) == "One moment."
    assert [(c.name, c.arguments) for c in reply.tool_calls] == [("weather", {"city": "Львів"})]
    asked = wire.lane.journal[-1].asked
    assert asked is not None
    assert asked.tools == ("weather",)

    call = ToolCall(reply.tool_calls[0].id, "weather", {"city": "Львів"})
    said = (*HI, ModelMessage("assistant", "", (call,)), ModelMessage("tool", "+12", tool_call_id=call.id))
    wire.lane.answer("It is +12.")
    _, reply = await wire.ask(ModelRequest(said, tools=(WEATHER,)))
    assert reply.text == "It is +12."
    assert "+12" in str(wire.lane.journal[-1].body)


@pytest.mark.parametrize("finish", ["length", "filter"])
async def test_how_the_answer_ended_is_told(wire: Wire, finish: str) -> None:
    wire.lane.answer("Half an ans", finish=finish)
    _, reply = await wire.ask(ModelRequest(HI))
    assert reply.finish == finish


async def test_missing_token_figures_are_estimated_and_marked(wire: Wire) -> None:
    wire.lane.answer("Some words to count.", usage=False)
    if wire.name == "openai responses":
        pytest.skip("this protocol always reports usage")
    _, reply = await wire.ask(ModelRequest(HI))
    assert reply.usage.estimated
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


async def test_half_characters_do_no_harm_in_either_direction(wire: Wire) -> None:
    wire.lane.answer("\ud83d\ude00 fine \ud83d alone \x00 nul")
    _, reply = await wire.ask(ModelRequest((ModelMessage("user", "broken \ud83d emoji"),)))
    assert reply.text == "😀 fine \ufffd alone \ufffd nul"
    reply.text.encode()
    asked = wire.lane.journal[-1].asked
    assert asked is not None
    assert asked.last == "broken \ufffd emoji"


async def test_many_conversations_at_once_do_not_mix(wire: Wire) -> None:
    requests = [ModelRequest((ModelMessage("user", f"number {n}"),)) for n in range(20)]
    answers = await asyncio.gather(*(wire.ask(r) for r in requests))
    assert [reply.text for _, reply in answers] == [f"You said: number {n}" for n in range(20)]


@pytest.mark.parametrize("name", ["llama3.2:3b", "meta-llama/llama-4:free", "anthropic:odd"])
async def test_names_with_colons_and_slashes_are_left_alone(vendors: ModelVendors, name: str) -> None:
    lane = vendors.lane()
    model = openai.chat_model(openai.Settings(base_url=vendors.url(lane) + "/v1/"), name)
    async for _ in model.stream(ModelRequest(HI)):
        pass
    await model.aclose()
    assert lane.journal[-1].asked is not None
    assert lane.journal[-1].asked.model == name
    assert lane.journal[-1].key in ("", "none"), "no key was given and none was taken from the machine"
