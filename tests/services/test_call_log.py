"""The list of calls and of lines, over real calls."""

from __future__ import annotations

import math
from dataclasses import replace
from uuid import uuid4

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, InputInvalid
from graph_runtime.services.call_log import LoggedCall, outcome
from graph_runtime.services.principal import Principal
from tests.phone_world import DID, FROM, Line, new_line, phone_flow
from tests.services.test_call_recordings import SOUND

FLOW = phone_flow(
    {
        "n_ask": ("ask", {"text": "Hello?", "kind": "text", "save_to": "name"}),
        "n_more": ("ask", {"text": "And what is it about?", "kind": "text"}),
        "n_end": ("end", {"text": "Thank you."}),
    },
    {"n_start.next": "n_ask", "n_ask.answered": "n_more", "n_more.answered": "n_end"},
    variables={"name": {"type": "text", "label": "Name"}},
)


@pytest.fixture
async def line(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, FLOW, most_calls=7)


async def one(line: Line, **filters: str) -> list[LoggedCall]:
    return (await line.services.call_log.list(line.owner, **filters)).rows  # type: ignore[arg-type]


async def test_a_call_from_its_ringing_to_its_end(line: Line, services: Services, owner: Principal) -> None:
    uuid = await line.ring()
    (call,) = await one(line)
    assert (call.outcome, call.is_live, call.number, call.own_number) == ("ringing", True, FROM, DID)
    phone = await services.phone_calls.attach(uuid)
    (call,) = await one(line, kind="live")
    assert (call.outcome, call.conversation_id) == ("talking", phone.conversation_id)
    assert (call.agent_name, call.line_id, call.seconds) == ("Reception", line.channel_id, None)
    (known,) = await services.call_log.lines(owner)
    assert (known.live, known.today, known.most_calls, known.numbers, known.can_call) == (1, 1, 7, [DID], False)
    await services.phone_calls.keep_part(phone, 0, SOUND)
    await services.phone_calls.hung_up(line.secret, uuid, 16)
    (call,) = await one(line, kind="recorded")
    assert (call.outcome, call.is_live, call.cause) == ("talked", False, 16)
    assert call.seconds is not None
    assert call.recorded_seconds == math.ceil(len(SOUND) / 2 / 8000) >= 1
    await services.call_recordings.delete(owner, uuid)
    assert await one(line, kind="recorded") == []
    assert (await services.call_log.lines(owner))[0].live == 0


async def test_filters_and_pages(line: Line, services: Services, owner: Principal) -> None:
    numbers = [f"+4930{n}" for n in range(5)]
    for number in numbers:
        await line.ring(from_number=number)
    missed = await line.ring(from_number="+111")
    await services.phone_calls.hung_up(line.secret, missed, 0)
    other = await new_line(services, owner, FLOW)
    await other.ring(from_number="+222")
    assert [c.number for c in await one(line, kind="missed")] == ["+111"]
    assert [c.number for c in await one(line, number="22")] == ["+222"]
    assert [c.number for c in await one(line, number="+49 (30) 3")] == ["+49303"]
    assert await one(line, number="abc") == []
    assert await one(line, agent_id="not an id") == []
    assert [c.number for c in await one(line, line_id=other.channel_id)] == ["+222"]
    assert [c.number for c in await one(line, agent_id=other.agent_id)] == ["+222"]
    assert await one(line, kind="out") == []
    seen, cursor = [], ""
    while True:
        page = await services.call_log.list(owner, cursor=cursor, limit=3)
        seen += [c.number for c in page.rows]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == ["+222", "+111", *reversed(numbers)]
    with pytest.raises(InputInvalid):
        await services.call_log.list(owner, cursor="damaged")


async def test_nobody_else_sees_them(
    line: Line, services: Services, other_workspace: Principal, owner: Principal
) -> None:
    await line.ring()
    assert (await services.call_log.list(other_workspace)).rows == []
    assert await services.call_log.lines(other_workspace) == []
    nobody = replace(owner, scopes=frozenset())
    for ask in (services.call_log.list, services.call_log.lines):
        with pytest.raises(AccessDenied):
            await ask(nobody)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"state": "dialing"}, "ringing"), ({"state": "moving"}, "moving"), ({"answered_at": 1}, "talked"), ({}, "missed"),
        ({"answered_at": 1, "transfer_result": "answered"}, "transferred"),
        ({"answered_at": 1, "transfer_result": "busy"}, "talked"), ({"direction": "out", "result": "busy"}, "busy"),
        ({"result": "line"}, "full"), ({"result": "calls"}, "full"), ({"result": "processor"}, "full"), ({"result": "lag"}, "full"),
        ({"result": "speech"}, "no_speech"), ({"result": "closed"}, "closed"), ({"result": "agent_off"}, "off"), ({"result": "channel_off"}, "off"),
        ({"direction": "out"}, "unknown"), ({"direction": "out", "result": "answered"}, "missed"),
    ],
)  # fmt: skip
def test_how_a_call_stands_is_one_word(row: dict[str, object], word: str) -> None:
    usual = {
        "state": "ended",
        "transfer_result": "",
        "answered_at": None,
        "direction": "in",
        "result": "",
        "id": uuid4(),
    }
    assert outcome(usual | row) == word
