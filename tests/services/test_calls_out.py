"""Calls that we place, against a strict stand-in for Asterisk's manager over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Begin
from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, NotFound, TooMany
from graph_runtime.services.calls_out import PlacedCall
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import Principal
from tests.fakes.asterisk_manager import SECRET, Manager, managing
from tests.phone_world import Line, new_line, phone_flow

NUMBER = "+49 30 123-4567"
GREETING = phone_flow(
    {
        "n_hello": ("ask", {"text": "Hello, who is there?", "kind": "text", "save_to": "name"}),
        "n_end": ("end", {"text": "Thank you."}),
    },
    {"n_start.next": "n_hello", "n_hello.answered": "n_end"},
    variables={"name": {"type": "text", "label": "Name"}},
)


async def line_to(services: Services, owner: Principal, manager: Manager, **settings: Any) -> Line:
    given = {"manager_address": manager.address, "manager_secret": SECRET, "caller_id": "+4930999"} | settings
    return await new_line(services, owner, GREETING, **given)


async def place(line: Line, key: str = "", number: str = NUMBER) -> PlacedCall:
    return await line.services.calls_out.place(line.owner, line.channel_id, number, key=key or uuid4().hex)


async def ended(line: Line, call: PlacedCall) -> PlacedCall:
    """Once its result is known."""
    async with asyncio.timeout(10):
        while not (now := await line.services.calls_out.get(line.owner, call.id)).result:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return now


@pytest.mark.parametrize("fault", ["", "early", "cause_late"])
@pytest.mark.parametrize("how", ["busy", "no_answer", "rejected", "unreachable", "failed"])
async def test_each_end_is_told_apart_and_gives_the_place_back(
    services: Services, owner: Principal, how: str, fault: str
) -> None:
    async with managing(ends=how, **({fault: True} if fault else {})) as manager:
        line = await line_to(services, owner, manager, most_calls=1)
        first = await ended(line, await place(line))
        assert (first.result, first.state) == (how, "ended")
        assert first.ended_at is not None
        assert (await ended(line, await place(line))).result == how, "the place was given back"


async def test_nothing_is_said_before_somebody_answers(services: Services, owner: Principal) -> None:
    async with managing(holds=asyncio.Event()) as manager:
        line = await line_to(services, owner, manager)
        call = await place(line)
        assert (call.state, call.result) == ("dialing", "")
        with pytest.raises(NotFound):
            await services.phone_calls.attach(str(uuid4()))
        assert manager.holds is not None
        await services.calls_out.answered(line.secret, call.id, is_machine=False)
        manager.holds.set()
        attached = await services.phone_calls.attach(call.id)
        turn = await line.turn(attached, Begin())
        assert turn.said == ["Hello, who is there?"]
        assert isinstance(attached.access, ChannelAccess)
        assert attached.access.external_user_id == "+49301234567"
        assert (await ended(line, call)).result == "answered"
        await services.phone_calls.hung_up(line.secret, call.id, 16)
        assert (await services.calls_out.get(owner, call.id)).state == "ended"
    (asked,) = manager.calls
    assert asked["channel"] == "PJSIP/+49301234567@trunk"
    assert asked["channelid"] == call.id
    assert asked["variable"] == f"PATCHCORD_CALL={call.id}"
    assert (asked["exten"], asked["callerid"]) == ("out", "+4930999")
    assert "earlymedia" not in asked


async def test_the_same_key_rings_once(services: Services, owner: Principal) -> None:
    async with managing(ends="busy") as manager:
        line = await line_to(services, owner, manager)
        both = await asyncio.gather(place(line, "order-7"), place(line, "order-7"))
        assert both[0].id == both[1].id
        await ended(line, both[0])
        assert (await place(line, "order-7")).result == "busy"
        assert len(manager.calls) == 1


async def test_no_more_calls_than_the_line_may_have(services: Services, owner: Principal) -> None:
    async with managing(ends="busy", holds=asyncio.Event()) as manager:
        line = await line_to(services, owner, manager, most_calls=2)
        call = await place(line)
        await line.ring()
        with pytest.raises(TooMany):
            await place(line)
        with pytest.raises(Conflict) as refused:
            await line.ring()
        assert refused.value.params["reason"] == "full"
        assert manager.holds is not None
        manager.holds.set()
        await ended(line, call)
        await line.ring()


async def test_a_call_that_may_have_been_placed_is_not_placed_again(
    services: Services, owner: Principal, admin: Any
) -> None:
    async with managing(drops=True) as manager:
        line = await line_to(services, owner, manager, most_calls=1)
        call = await place(line, "once")
        async with asyncio.timeout(10):
            while services.calls_out._ringing:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await place(line, "once")).id == call.id
        assert len(manager.calls) == 1
        # The dialplan knows how it ended.
        await services.calls_out.failed(line.secret, call.id, "5")
        assert (await services.calls_out.get(owner, call.id)).result == "busy"
        # Of the next one nobody tells anything: its place comes back when its time is over.
        lost = await place(line, "twice")
        admin.execute("UPDATE phone_call SET dial_until = now() - interval '1 second' WHERE id = %s", (lost.id,))
        now = await services.calls_out.get(owner, lost.id)
        assert (now.state, now.result) == ("ended", "unknown")
        with pytest.raises(Conflict):
            await services.calls_out.answered(line.secret, lost.id, is_machine=False)
        await place(line, "three times")


async def test_a_machine_is_hung_up_on_unless_it_may_be_talked_to(services: Services, owner: Principal) -> None:
    async with managing() as manager:
        line = await line_to(services, owner, manager)
        call = await place(line)
        with pytest.raises(Conflict) as refused:
            await services.calls_out.answered(line.secret, call.id, is_machine=True)
        assert refused.value.params["reason"] == "machine"
        told = await services.calls_out.get(owner, call.id)
        assert (told.result, told.state) == ("machine", "ended")
        patient = await line_to(services, owner, manager, hangs_up_on_machines=False)
        call = await place(patient)
        await services.calls_out.answered(patient.secret, call.id, is_machine=True)


async def test_what_cannot_be_placed_is_said(services: Services, owner: Principal) -> None:
    async with managing() as manager:
        line = await line_to(services, owner, manager)
        reader = Principal(owner.workspace_id, owner.member_id, "viewer", frozenset({"conversation.read"}))
        for number in ("", "call me", "1,2", "1&2", "PJSIP/a b"):
            with pytest.raises(InputInvalid):
                await place(line, number=number)
        with pytest.raises(AccessDenied):
            await services.calls_out.place(reader, line.channel_id, NUMBER, key="k")
        with pytest.raises(NotFound):
            await services.calls_out.place(owner, str(uuid4()), NUMBER, key="k")
        silent = await line_to(services, owner, manager, manager_address="")
        with pytest.raises(Conflict):
            await place(silent)
        wrong = await line_to(services, owner, manager, manager_secret="wrong")
        assert (await ended(wrong, await place(wrong))).result == "failed"
        assert manager.calls == []
    gone = await line_to(services, owner, manager)
    assert (await ended(gone, await place(gone))).result == "failed"


async def test_only_authors_name_a_technology(services: Services, owner: Principal) -> None:
    async with managing(ends="busy") as manager:
        line = await line_to(services, owner, manager)
        await ended(line, await place(line, number="Local/100@from-internal"))
        await ended(line, await place(line, number="100"))
        operator = Principal(owner.workspace_id, owner.member_id, "operator", frozenset({"conversation.write"}))
        with pytest.raises(InputInvalid):
            await services.calls_out.place(operator, line.channel_id, "Local/100@from-internal", key="k")
        assert [c["channel"] for c in manager.calls] == ["Local/100@from-internal", "PJSIP/100@trunk"]
