"""Phone calls as the telephone system and the media process use them, on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import (
    Begin,
    DigitMap,
    Digits,
    HangUp,
    HungUp,
    Listen,
    MessageEnds,
    Silence,
    TurnTimes,
    Words,
)
from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.services.call_turns import Replaced
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import Principal
from tests.phone_world import DID, FROM, Line, new_line, phone_flow

BOOKING = phone_flow(
    {
        "n_hello": ("send_message", {"text": "**Hello** from {{ call.to }}, see [us](https://example.com)."}),
        "n_name": ("ask", {"text": "What is your name?", "kind": "text", "save_to": "name"}),
        "n_day": (
            "ask_choice",
            {
                "text": "{{ var.name }}, which day?",
                "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}],
            },
        ),
        "n_end": ("end", {"text": "See you then.", "result": "booked"}),
    },
    {
        "n_start.next": "n_hello",
        "n_hello.next": "n_name",
        "n_name.answered": "n_day",
        "n_day.mon": "n_end",
        "n_day.tue": "n_end",
        "n_day.other": "n_end",
    },
    variables={"name": {"type": "text", "label": "Name"}},
)


@pytest.fixture
async def line(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, BOOKING, endpoint_ms=300, voice_en="Anna")


async def test_a_call_from_the_greeting_to_the_end(line: Line, services: Services) -> None:
    call, first = await line.answered()
    assert call.is_new
    assert first.said == [f"Hello from {DID}, see us.", "What is your name?"]
    assert first.end == Listen(endpoint_ms=300, no_input_ms=6000, languages=("en",))
    words = next(e for e in first.events if isinstance(e, Words))
    assert (words.voice.language, words.voice.name, words.node_id) == ("en", "Anna", "n_hello")
    assert sum(isinstance(e, MessageEnds) for e in first.events) == 2
    second = await line.turn(call, "Olena")
    assert second.said == ["Olena, which day? For Monday, press 1. For Tuesday, press 2."]
    assert isinstance(second.end, Listen)
    assert second.end.hints == ("Monday", "Tuesday")
    assert second.end.digits == DigitMap(most=1)
    third = await line.turn(call, Digits(digits="2"))
    assert third.said == ["See you then."]
    assert isinstance(third.end, HangUp)
    assert third.end.reason == "booked"
    assert await services.phone_calls.next(line.secret, call.uuid) == "wait"
    await services.phone_calls.let_go(call)
    assert await services.phone_calls.next(line.secret, call.uuid) == "hangup"
    await services.phone_calls.hung_up(line.secret, call.uuid, 16)
    assert await line.status(call) == ("ended", "booked")
    assert await line.texts(call) == [
        f"**Hello** from {DID}, see [us](https://example.com).", "What is your name?", "> Olena", "Olena, which day?", "> 2",
        "See you then.",
    ]  # fmt: skip


async def test_only_an_announced_call_of_a_line_is_attached(line: Line, services: Services) -> None:
    calls = services.phone_calls
    with pytest.raises(NotFound):
        await calls.attach(str(uuid4()))
    with pytest.raises(NotFound):
        await calls.attach("no uuid")
    for secret in ("", "x" * 54, line.secret[:-1] + "!", line.secret[:22], line.secret + "a"):
        with pytest.raises(NotFound):
            await calls.announce(secret, str(uuid4()), FROM, DID)
    with pytest.raises(InputInvalid):
        await calls.announce(line.secret, "12", FROM, DID)
    uuid = await line.ring()
    assert await line.ring(uuid) == uuid
    assert (await calls.attach(uuid.upper())).from_number == FROM


async def test_a_call_of_another_line_is_unknown(line: Line, services: Services, other_workspace: Principal) -> None:
    other = await new_line(services, other_workspace, BOOKING)
    uuid = await line.ring()
    with pytest.raises(InputInvalid):
        await other.ring(uuid)
    with pytest.raises(NotFound):
        await services.phone_calls.next(other.secret, uuid)
    with pytest.raises(NotFound):
        await services.phone_calls.hung_up(other.secret, uuid, 16)


async def test_nobody_answers_for_an_agent_that_is_off(line: Line, services: Services) -> None:
    await services.agents.set_on(line.owner, line.agent_id, False)
    with pytest.raises(Conflict) as refused:
        await line.ring()
    assert refused.value.params["reason"] == "agent_off"
    await services.agents.set_on(line.owner, line.agent_id, True)
    await services.channel_setup.set_on(line.owner, line.channel_id, False)
    services.phone_calls._lines._channels._by_public_id.clear()
    with pytest.raises(Conflict) as refused:
        await line.ring()
    assert refused.value.params["reason"] == "channel_off"
    assert [row.outcome for row in (await services.call_log.list(line.owner)).rows] == ["off", "off"]


async def test_a_line_that_is_closed_sends_callers_to_the_desk_and_the_log_says_so(
    services: Services, owner: Principal
) -> None:
    far = f"{datetime.now(UTC) + timedelta(days=3):%a}".lower()
    line, uuid = await new_line(services, owner, BOOKING, hours=f"{far} 09:00-10:00"), str(uuid4())
    for _ in range(2):  # told twice, decided once
        with pytest.raises(Conflict) as refused:
            await line.ring(uuid)
        assert refused.value.params["reason"] == "closed"
    assert await services.phone_calls.next(line.secret, uuid) == "desk"
    assert [row.outcome for row in (await services.call_log.list(owner)).rows] == ["closed"]


async def test_an_old_secret_lasts_a_day_and_a_new_one_works_at_once(line: Line, services: Services) -> None:
    await line.ring()
    _, newer = await services.channel_setup.rotate_secret(line.owner, line.channel_id)
    assert newer[:22] == line.secret[:22]
    await line.ring()
    services.phone_calls._lines._channels._by_public_id.clear()
    await services.phone_calls.announce(newer, str(uuid4()), FROM, DID)
    await line.ring()


async def test_a_second_attachment_goes_on_where_the_first_was(line: Line) -> None:
    """As after a kill: nothing is told to the first holder, the second one begins."""
    call, _ = await line.answered()
    await line.turn(call, "Olena")
    again = await line.services.phone_calls.attach(call.uuid)
    assert (again.conversation_id, again.is_new) == (call.conversation_id, False)
    turn = await line.turn(again, Begin())
    assert turn.said == ["Olena, which day? For Monday, press 1. For Tuesday, press 2."]
    assert isinstance(turn.end, Listen)
    assert turn.end.hints == ("Monday", "Tuesday")
    with pytest.raises(Replaced):
        await line.turn(call, "Monday")
    done = await line.turn(again, "Monday")
    assert done.said == ["See you then."]
    assert await line.texts(again) == (await line.texts(call))


async def test_what_was_played_is_not_said_again_but_the_question_is(line: Line, services: Services) -> None:
    call, first = await line.answered()
    again = await services.phone_calls.attach(call.uuid)
    assert (await line.turn(again, Begin())).said == first.said, "nobody said that it was heard"
    await services.phone_calls.spoken(again)
    third = await services.phone_calls.attach(call.uuid)
    assert (await line.turn(third, Begin())).said == ["What is your name?"]


async def test_a_silence_asks_again_and_then_ends_with_a_word(line: Line) -> None:
    call, _ = await line.answered()
    for _ in range(2):
        turn = await line.turn(call, Silence())
        assert turn.said == ["What is your name?"]
        assert isinstance(turn.end, Listen)
    last = await line.turn(call, Silence())
    assert isinstance(last.end, HangUp)
    assert (last.end.reason, last.end.last_words[:17]) == ("silence", "I cannot hear you")
    assert await line.texts(call) == [f"**Hello** from {DID}, see [us](https://example.com).", "What is your name?"]


async def test_silences_count_only_in_a_row(line: Line) -> None:
    call, _ = await line.answered()
    await line.turn(call, Silence())
    await line.turn(call, "Olena")
    for _ in range(2):
        assert isinstance((await line.turn(call, Silence())).end, Listen)


async def test_a_hang_up_ends_the_conversation_whoever_tells_it(line: Line, services: Services) -> None:
    call, _ = await line.answered()
    await line.turn(call, HungUp(cause=0))
    await services.phone_calls.hung_up(line.secret, call.uuid, 16)
    assert await line.status(call) == ("ended", "hung_up")
    other, _ = await line.answered()
    await services.phone_calls.hung_up(line.secret, other.uuid, 16)
    assert await line.status(other) == ("ended", "hung_up")
    with pytest.raises(NotFound):
        await services.phone_calls.attach(other.uuid)
    with pytest.raises(Replaced):
        await line.turn(other, "Hello?")


async def test_a_planned_end_of_the_process_connects_again_once(line: Line, services: Services) -> None:
    call, _ = await line.answered()
    await services.phone_calls.let_go(call, again=True)
    assert await services.phone_calls.next(line.secret, call.uuid) == "again"
    assert await services.phone_calls.next(line.secret, call.uuid) == "wait"


async def test_an_interrupted_message_keeps_what_was_heard(line: Line, services: Services) -> None:
    call, first = await line.answered()
    keys = [e.key for e in first.events if isinstance(e, MessageEnds)]
    await services.phone_calls.heard_until(call, keys[0], "Hello from")
    detail = await services.conversations.get(line.owner, call.conversation_id)
    cut, unheard = detail.messages
    assert (cut["text"], cut["flags"]["interrupted"], cut["parts"][0]["text"]) == ("Hello from", True, "Hello from")
    assert (unheard["text"], unheard["flags"]["unheard"]) == ("", True)
    again = await services.phone_calls.attach(call.uuid)
    assert (await line.turn(again, Begin())).said == ["What is your name?"]


async def test_stamps_stand_beside_the_first_message_of_the_turn(line: Line, services: Services) -> None:
    call, _ = await line.answered()
    await line.turn(call, "Olena")
    await services.phone_calls.measured(call, TurnTimes(hard_end=400.0, first_frame=612.5))
    detail = await services.conversations.get(line.owner, call.conversation_id)
    assert detail.messages[-1]["flags"]["times"] == {"hard_end": 400.0, "first_frame": 612.5}


async def test_the_caller_is_known_by_their_number(line: Line, services: Services) -> None:
    call, _ = await line.answered()
    detail = await services.conversations.get(line.owner, call.conversation_id)
    assert detail.row.contact_name == FROM
    hidden = await services.phone_calls.attach(await line.ring(from_number=""))
    other = await services.phone_calls.attach(await line.ring(from_number=""))
    assert isinstance(hidden.access, ChannelAccess)
    assert isinstance(other.access, ChannelAccess)
    assert hidden.access.external_user_id != other.access.external_user_id
