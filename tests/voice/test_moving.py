"""Transfers that we begin, through the manager or the REST interface: whole calls over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import AccessDenied, BuilderError, InputInvalid
from graph_runtime.services.principal import Principal
from tests.fakes.asterisk_manager import SECRET, Manager, managing
from tests.fakes.asterisk_rest import PASSWORD, Rest, resting
from tests.phone_world import Line, new_line, phone_flow
from tests.voice.asterisk_stand_in import Dialplan
from tests.voice.fake_speech import FakeSynthesizer, FakeTranscriber
from tests.voice.voice_world import until, voice_process

CHANNEL = "asterisk-1732660000.12"
MOVING = phone_flow(
    {
        "n_move": ("transfer_call", {"target": "100", "text": "One moment.", "ring_seconds": 20}),
        "n_moved": ("end", {"result": "moved"}),
        "n_back": ("ask", {"text": "Nobody is free. Your name?", "kind": "text"}),
        "n_end": ("end", {}),
    },
    {
        "n_start.next": "n_move", "n_move.answered": "n_moved", "n_move.busy": "n_back", "n_move.no_answer": "n_back",
        "n_move.error": "n_end", "n_back.answered": "n_end",
    },
)  # fmt: skip


class Pbx:
    """A dialplan whose questions the services answer, and whose colleague is as the test says."""

    def __init__(self, line: Line, port: int, channel: str = CHANNEL) -> None:
        self.line = line
        self.statuses: list[str] = []
        self.dialed: list[str] = []
        self.plan = Dialplan(self.ask, lambda: port, self.dial, channel=channel, pause=0.02)

    async def ask(self, path: str, query: dict[str, str]) -> str:
        calls, uuid = self.line.services.phone_calls, query["uuid"]
        try:
            if path == "announce":
                told = query.get("channel", "")
                await calls.announce(self.line.secret, uuid, query["from"], query["did"], told)
            elif path == "next":
                return await calls.next(self.line.secret, uuid, query.get("dialed", ""))
            else:
                await calls.hung_up(self.line.secret, uuid, int(query["cause"]))
        except BuilderError:
            return ""
        return "ok"

    async def dial(self, whom: str) -> str:
        self.dialed.append(whom)
        return self.statuses.pop(0)

    def moved(self, channel: str) -> bool:
        """Asterisk finds the channel, or there is none of that name."""
        if channel != self.plan.channel:
            return False
        self.plan.redirect()
        return True


async def held(services: Services, line: Line, statuses: list[str], ready: Any = None, channel: str = CHANNEL) -> Pbx:
    """One call: up to the caller's end where the agent goes on, or to the colleague's answer."""
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber(), talks) as process:
        pbx = Pbx(line, process.port, channel)
        pbx.statuses = statuses[:]
        if ready is not None:
            ready(pbx)
        running = asyncio.create_task(pbx.plan.run())
        if statuses[-1] != "ANSWER":
            await until(lambda: "Nobody is free." in talks.texts)
            await until(lambda: any(pbx.plan.legs[-1].audio))
            assert len(process.switchboard.calls) == 1
            pbx.plan.legs[-1].hang_up()
        async with asyncio.timeout(15):
            await running
    for leg in pbx.plan.legs:
        leg.check()
    return pbx


def trail(pbx: Pbx) -> list[str]:
    return [one for one in pbx.plan.trail if one not in ("announced=ok", "refused", "next=wait", "next=again")]


def with_manager(line_settings: dict[str, Any], manager: Manager) -> dict[str, Any]:
    return {"manager_address": manager.address, "manager_secret": SECRET, "moves_by": "manager"} | line_settings


def with_rest(rest: Rest) -> dict[str, Any]:
    return {"ari_address": rest.address, "ari_password": PASSWORD, "moves_by": "rest"}


@pytest.mark.parametrize("status", ["BUSY", "NOANSWER"])
async def test_the_manager_moves_the_call_and_the_agent_goes_on_in_it(
    services: Services, owner: Principal, status: str
) -> None:
    async with managing() as manager:
        line = await new_line(services, owner, MOVING, **with_manager({"context": "agents"}, manager))
        pbx = await held(services, line, [status], lambda p: setattr(manager, "on_redirect", p.moved))
    (asked,) = manager.redirects
    assert {k: asked[k] for k in ("channel", "context", "exten", "priority")} == {
        "channel": CHANNEL, "context": "agents", "exten": "transfer", "priority": "1",
    }  # fmt: skip
    whom = "PJSIP/100@trunk|20"
    assert trail(pbx) == ["redirected", f"next=transfer|{whom}", f"dial {whom}: {status}", "hangup"]


async def test_a_colleague_who_answers_has_the_call(services: Services, owner: Principal, admin: Any) -> None:
    async with managing() as manager:
        line = await new_line(services, owner, MOVING, **with_manager({}, manager))
        pbx = await held(services, line, ["ANSWER"], lambda p: setattr(manager, "on_redirect", p.moved))
    assert len(pbx.dialed) == 1
    row = admin.execute("SELECT transfer_result, moves FROM phone_call WHERE channel_id = %s", (line.channel_id,))
    assert row.fetchone() == ("answered", 1)


@pytest.mark.parametrize("fault", ["refused", "answer lost", "away", "wrong secret", "channel unknown"])
async def test_a_call_that_cannot_be_moved_is_closed_and_the_dialplan_asks(
    services: Services, owner: Principal, fault: str
) -> None:
    async with managing(drops=fault == "answer lost") as manager:
        settings = with_manager({}, manager)
        if fault == "away":
            settings["manager_address"] = "127.0.0.1:9"
        if fault == "wrong secret":
            settings["manager_secret"] = "guessed"

        def ready(pbx: Pbx) -> None:
            manager.on_redirect = (lambda _: False) if fault == "refused" else pbx.moved

        line = await new_line(services, owner, MOVING, **settings)
        pbx = await held(services, line, ["BUSY"], ready, "" if fault == "channel unknown" else CHANNEL)
        # What Asterisk's manager says of a wrong secret is no fault of this test.
        manager.faults = [one for one in manager.faults if fault != "wrong secret"]
    assert len(pbx.dialed) == 1, "the colleague is rung once"
    assert trail(pbx)[0] == ("redirected" if fault == "answer lost" else "continues")
    assert len(manager.redirects) == (fault in ("refused", "answer lost"))


@pytest.mark.parametrize("fault", ["", "in the dialplan", "broken"])
async def test_the_rest_interface_moves_a_call_that_an_application_holds(
    services: Services, owner: Principal, fault: str
) -> None:
    async with resting() as rest:
        (rest.in_dialplan if fault == "in the dialplan" else rest.held).add(CHANNEL)
        rest.fails = 500 if fault == "broken" else 0
        line = await new_line(services, owner, MOVING, **with_rest(rest))
        pbx = await held(services, line, ["BUSY"], lambda p: setattr(rest, "on_continue", p.moved))
    assert len(pbx.dialed) == 1
    assert trail(pbx)[0] == ("continues" if fault else "redirected")
    place = {"context": "patchcord", "extension": "transfer", "priority": "1"}
    assert rest.moves == ([] if fault else [(CHANNEL, place)])


async def test_a_way_without_an_address_is_no_way_and_addresses_are_for_administrators(
    services: Services, owner: Principal
) -> None:
    line = await new_line(services, owner, MOVING)
    for way in ("manager", "rest"):
        with pytest.raises(InputInvalid, match="address first"):
            await services.channel_setup.update(owner, line.channel_id, settings={"moves_by": way})
    editor = Principal(owner.workspace_id, owner.member_id, "editor", owner.scopes - {"settings.manage"})
    with pytest.raises(AccessDenied):
        await services.channel_setup.update(
            editor, line.channel_id, settings={"ari_address": "http://10.0.0.5:8088/ari", "moves_by": "rest"}
        )


async def test_a_channel_name_that_is_none_is_not_kept(services: Services, owner: Principal, admin: Any) -> None:
    line = await new_line(services, owner, MOVING)
    for given, kept in (
        ("PJSIP/trunk-00000001", "PJSIP/trunk-00000001"),
        ("1\r\nAction: Command", ""),
        ("x" * 151, ""),
    ):
        uuid = str(uuid4())
        await services.phone_calls.announce(line.secret, uuid, "+380", "1", given)
        assert admin.execute("SELECT pbx_channel FROM phone_call WHERE id = %s", (uuid,)).fetchone() == (kept,)
