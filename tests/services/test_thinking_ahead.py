"""Callers who are probably done: the model is asked early, once, and nothing else of the turn happens before it is certain."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import HungUp, Speech
from graph_runtime.services import thinking_ahead
from graph_runtime.services.call_turns import PhoneCall
from graph_runtime.services.principal import Principal
from graph_runtime.services.thinking_ahead import MOST_MISSES, MOST_TRIES, ThinkingAhead
from tests.phone_world import Line, new_line
from tests.services.test_call_turns import TALK, Speaks, with_model

PRICES = Speech(text="Prices?", confidence=0.9)


@pytest.fixture
async def line(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, TALK)


def ahead_of(services: Services) -> ThinkingAhead:
    return services.conversation_side.runner.ahead


async def rested(services: Services) -> None:
    """All that was begun has come as far as it can."""
    async with asyncio.timeout(10):
        while ahead_of(services)._running:
            await asyncio.wait([*ahead_of(services)._running])


async def rows(services: Services, call: PhoneCall, statement: str) -> list[dict[str, Any]]:
    async with services.database.workspace(call.workspace_id) as connection:
        cursor = await connection.execute(statement, {"id": call.conversation_id})
        return await cursor.fetchall()


async def events(services: Services, call: PhoneCall) -> list[dict[str, Any]]:
    statement = "SELECT kind, data FROM event WHERE conversation_id = %(id)s AND kind LIKE 'model%%' ORDER BY id"
    return await rows(services, call, statement)


async def test_the_answer_is_there_when_the_turn_comes_and_nothing_happened_before(
    line: Line, services: Services
) -> None:
    model = with_model(services, Speaks(["Two ", "euros."]))
    call, _ = await line.answered()
    place = "SELECT turn_seq, message_seq, lease_epoch, checkpoint, updated_at FROM conversation WHERE id = %(id)s"
    before = await rows(services, call, place)
    services.phone_calls.think_ahead(call, PRICES)
    await rested(services)
    assert len(model.requests) == 1, "the model was asked"
    assert model.requests[0].messages[-1].text == "Prices?"
    assert await rows(services, call, place) == before
    assert await line.texts(call) == ["How can I help?"]
    assert await rows(services, call, "SELECT effect_key FROM effect WHERE conversation_id = %(id)s") == []
    turn = await line.turn(call, PRICES)
    assert turn.said == ["Let me see.", "Two euros.", "How can I help?"]
    assert len(model.requests) == 1, "and not again"
    assert await line.texts(call) == ["How can I help?", "> Prices?", "Let me see.", "Two euros.", "How can I help?"]
    kept = await events(services, call)
    assert [e["kind"] for e in kept] == ["model_answered"], "it counts once"
    assert kept[0]["data"]["replayed"] is False


async def test_who_goes_on_is_answered_to_the_whole_and_what_was_begun_is_counted_as_discarded(
    line: Line, services: Services
) -> None:
    model = with_model(services, Speaks(["Two", "…", "never"], ["A table, yes."]))
    call, _ = await line.answered()
    services.phone_calls.think_ahead(call, PRICES)
    await model.asked.wait()
    services.phone_calls.think_no_more(call)
    await rested(services)
    assert model.cancelled == 1, "its connection is closed at once"
    turn = await line.turn(call, "Prices? No, a table")
    assert turn.said == ["Let me see.", "A table, yes.", "How can I help?"]
    assert [r.messages[-1].text for r in model.requests] == ["Prices?", "Prices? No, a table"]
    kept = {e["kind"]: e["data"] for e in await events(services, call)}
    assert kept.keys() == {"model_answered", "model_discarded"}
    assert kept["model_discarded"]["is_estimated"] is True
    assert kept["model_discarded"]["input_tokens"] > 0


async def test_other_words_than_were_thought_are_answered_by_the_model_anew(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(["Two euros."], ["Yes."]))
    call, _ = await line.answered()
    services.phone_calls.think_ahead(call, PRICES)
    await rested(services)
    turn = await line.turn(call, "A table")
    assert turn.said == ["Let me see.", "Yes.", "How can I help?"]
    assert sorted(e["kind"] for e in await events(services, call)) == ["model_answered", "model_discarded"]
    assert len(model.requests) == 2


async def test_a_caller_who_hangs_up_meanwhile_leaves_only_the_count(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(["…"]))
    call, _ = await line.answered()
    services.phone_calls.think_ahead(call, PRICES)
    await model.asked.wait()
    services.phone_calls.think_no_more(call)
    await line.turn(call, HungUp())
    assert (await line.status(call))[0] == "ended"
    assert model.cancelled == 1
    assert [e["kind"] for e in await events(services, call)] == ["model_discarded"]


async def test_a_line_can_do_without(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, TALK, thinks_ahead=False)
    model = with_model(services, Speaks(["Two euros."]))
    call, _ = await line.answered()
    services.phone_calls.think_ahead(call, PRICES)
    await rested(services)
    assert model.requests == []


async def test_a_call_that_was_taken_over_does_without(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(["Two euros."]))
    call, _ = await line.answered()
    again = await services.phone_calls.attach(call.uuid)
    services.phone_calls.think_ahead(again, PRICES)
    await rested(services)
    assert model.requests == [], "what may have killed a process is not tried before it is counted"


async def test_a_conversation_that_does_not_wait_for_words_is_left_alone(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(["…"], ["Never."]))
    call, _ = await line.answered()
    turn = asyncio.create_task(line.turn(call, PRICES))
    await model.asked.wait()
    services.phone_calls.think_ahead(call, Speech(text="And a table"))
    await rested(services)
    assert len(model.requests) == 1, "its turn is still running"
    model.go_on.set()
    await turn


async def test_words_that_nobody_waits_for_any_more_while_the_conversation_is_still_read(
    line: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_model(services, Speaks(["Two euros."]))
    call, _ = await line.answered()
    store = services.conversation_side.store
    glance, go_on = store.glance, asyncio.Event()

    async def slow(*args: Any) -> Any:
        found = await glance(*args)
        await go_on.wait()
        return found

    monkeypatch.setattr(store, "glance", slow)
    services.phone_calls.think_ahead(call, PRICES)
    await asyncio.sleep(0)
    services.phone_calls.think_no_more(call)
    go_on.set()
    await rested(services)
    assert model.requests == []


async def test_who_pauses_again_and_again_is_waited_for(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(*[["…"]] * 5))
    call, _ = await line.answered()
    for number in range(MOST_TRIES + 2):
        services.phone_calls.think_ahead(call, Speech(text=f"I want {number}"))
        await rested(services) if number >= MOST_TRIES else await model.asked.wait()
        model.asked.clear()
        services.phone_calls.think_no_more(call)
    await rested(services)
    assert len(model.requests) == MOST_TRIES


async def test_what_no_turn_came_for_is_broken_off(
    line: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinking_ahead, "KEPT_SECONDS", 0.05)
    model = with_model(services, Speaks(["…"]))
    call, _ = await line.answered()
    services.phone_calls.think_ahead(call, PRICES)
    await model.asked.wait()
    await rested(services)
    assert model.cancelled == 1


async def test_a_flow_that_always_asks_something_else_is_not_thought_ahead_for(line: Line, services: Services) -> None:
    model = with_model(services, Speaks(*[["Yes."]] * 40))
    call, _ = await line.answered()
    for number in range(MOST_MISSES):
        services.phone_calls.think_ahead(call, PRICES)
        await rested(services)
        await line.turn(call, f"Other {number}")
    asked = len(model.requests)
    services.phone_calls.think_ahead(call, PRICES)
    await rested(services)
    assert (asked, len(model.requests)) == (2 * MOST_MISSES, asked)
