"""The dialplan around a call: our server dies, comes back, transfers and hangs up, and the caller stays."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from tests.voice.asterisk_stand_in import Dialplan, Leg
from tests.voice.machines import tone
from tests.voice.test_server import Office, Party, until


class Desk:
    """The web side: announcements, what is next, and calls to somebody else."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.asked: list[str] = []
        self.answers: list[str] = []
        self.statuses: list[str] = []

    async def ask(self, path: str, query: dict[str, str]) -> str:
        self.asked.append(path)
        if path == "announce":
            call_id = uuid.UUID(query["uuid"])
            self.office.parties[call_id] = Party(self.office.clock)
            return "ok"
        if "dialed" in query:
            return ""
        if path == "next":
            return self.answers.pop(0) if self.answers else ""
        return ""

    async def dial(self, whom: str) -> str:
        return self.statuses.pop(0)

    def call(self) -> Dialplan:
        return Dialplan(self.ask, lambda: self.office.port, self.dial, pause=0.02)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    office = Office()
    office.port = await office.server.open("127.0.0.1", 0)
    office.clock.start()
    desk = Desk(office)
    yield desk
    office.clock.stop()
    await desk.office.server.close()


async def leg_of(plan: Dialplan, number: int) -> Leg:
    await until(lambda: len(plan.legs) >= number and bool(plan.legs[number - 1].frames))
    return plan.legs[number - 1]


async def test_the_caller_hangs_up(desk: Desk) -> None:
    plan = desk.call()
    running = asyncio.create_task(plan.run())
    leg = await leg_of(plan, 1)
    leg.hang_up()
    assert await running == "hangup"
    assert desk.asked == ["announce", "hangup"]
    leg.check()


async def test_a_transfer_that_nobody_answers_brings_the_caller_back_and_one_that_is_answered_does_not(
    desk: Desk,
) -> None:
    desk.answers = ["transfer|PJSIP/200", "transfer|PJSIP/201"]
    desk.statuses = ["NOANSWER", "ANSWER"]
    plan = desk.call()
    running = asyncio.create_task(plan.run())
    for number in (1, 2):
        await leg_of(plan, number)
        line = desk.office.server.lines[plan.call_id]
        line.end()
    assert await running == "done"
    assert plan.trail == [
        "announced=ok",
        *("continues", "next=transfer|PJSIP/200", "dial PJSIP/200: NOANSWER"),
        *("continues", "next=transfer|PJSIP/201", "dial PJSIP/201: ANSWER"),
    ]


async def test_a_server_that_dies_and_comes_back_has_the_same_call_again(desk: Desk) -> None:
    plan = desk.call()
    running = asyncio.create_task(plan.run())
    first = await leg_of(plan, 1)
    old = desk.office.server
    old.stop_listening()
    transport = old.lines[plan.call_id]._transport
    assert transport is not None
    transport.abort()
    await until(lambda: "refused" in plan.trail)
    new = Office()
    new.parties, new.clock = desk.office.parties, desk.office.clock
    new.server.admit = new.parties.get
    new.port = await new.server.open("127.0.0.1", 0)
    desk.office, old_office = new, desk.office
    second = await leg_of(plan, 2)
    party = new.parties[plan.call_id]
    assert party.playout is not None
    party.playout.say("again", tone(100))
    await until(lambda: tone(100) in second.audio)
    assert (first.dropped, second.dropped) == ("", "")
    second.hang_up()
    assert await running == "hangup"
    assert desk.asked.count("announce") == 1
    await old_office.server.close()


async def test_a_server_that_is_gone_for_good_leaves_the_caller_to_the_desk(desk: Desk) -> None:
    await desk.office.server.close()
    plan = desk.call()
    plan.pause = 0
    assert await plan.run() == "desk"
    assert plan.trail.count("refused") == 21
    assert desk.asked[-1] == "hangup", "the call holds its place on the line no longer"


async def test_we_hang_up(desk: Desk) -> None:
    desk.answers = ["hangup"]
    plan = desk.call()
    running = asyncio.create_task(plan.run())
    await leg_of(plan, 1)
    desk.office.server.lines[plan.call_id].end()
    assert await running == "done"
