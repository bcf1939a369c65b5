"""Five failures that users of another voice product for Asterisk reported: none of them happens here."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.fakes.asterisk_manager import managing
from tests.phone_world import new_line
from tests.services.test_calls_out import ended, line_to, place
from tests.voice import sounds
from tests.voice.asterisk_stand_in import Greeting, connect
from tests.voice.fake_speech import FakeSynthesizer, FakeTranscriber
from tests.voice.test_dialogue import BOOKING
from tests.voice.test_moving import MOVING, held, trail
from tests.voice.voice_world import quiet, until, voice_process

ANSWER = sounds.voice(800, seed=5, pitch=220, level_db=-20)


@pytest.mark.parametrize(("seconds", "how"), [(0.0, "with audio"), (0.0, "bytewise"), (1.0, "alone")])
async def test_1_a_silent_bridge_sound_that_comes_at_once_or_late_goes_both_ways(
    services: Services, owner: Principal, seconds: float, how: Greeting
) -> None:
    line = await new_line(services, owner, BOOKING, endpoint_ms=400)
    hears, talks = FakeTranscriber("Olena"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        call_id = uuid.UUID(await line.ring())
        await asyncio.sleep(seconds)
        leg = await connect(process.port, call_id, how=how)
        await until(lambda: bool(process.switchboard.calls))
        (call,) = process.switchboard.calls
        await quiet(leg, call)
        assert any(leg.audio), "the caller hears us"
        await leg.say(ANSWER)
        await until(lambda: len(hears.heard) == 1)
        leg.check()
        leg.hang_up()


async def test_2_a_leaked_place_comes_back_however_nobody_answers(services: Services, owner: Principal) -> None:
    async with managing() as manager:
        line = await line_to(services, owner, manager, most_calls=1)
        for how in ("busy", "no_answer", "rejected", "unreachable", "failed"):
            manager.ends = how
            began = time.monotonic()
            assert (await ended(line, await place(line))).result == how
            assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("template", "number", "dialed"),
    [
        ("PJSIP/{number}@trunk", "+4930123456", "PJSIP/+4930123456@trunk"),
        ("PJSIP/00{number}@trunk", "100", "PJSIP/00100@trunk"),
        ("Local/{number}@from-internal", "100", "Local/100@from-internal"),
        ("PJSIP/{number}@trunk", "PJSIP/100", "PJSIP/100"),
        ("PJSIP/{number}@trunk", "Local/100@people", "Local/100@people"),
    ],
)
async def test_3_a_normal_trunk_is_dialed_by_its_template(
    services: Services, owner: Principal, template: str, number: str, dialed: str
) -> None:
    async with managing(ends="busy") as manager:
        line = await line_to(services, owner, manager, dial_template=template)
        await ended(line, await place(line, number=number))
        assert [call["channel"] for call in manager.calls] == [dialed]


async def test_4_nobody_talks_to_the_ringback(services: Services, owner: Principal) -> None:
    hears, talks = FakeTranscriber(), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process, managing(holds=asyncio.Event()) as manager:
        line = await line_to(services, owner, manager)
        ringing = await place(line)
        early = await connect(process.port, uuid.UUID(ringing.id))
        early.microphone.extend([sounds.ringback(1000)[:320]] * 50)
        async with asyncio.timeout(5):
            await early.over.wait()  # what rings is no call yet
        assert talks.texts == []
        assert hears.heard == []
        await services.calls_out.answered(line.secret, ringing.id, is_machine=False)
        assert manager.holds is not None
        manager.holds.set()
        leg = await connect(process.port, uuid.UUID(ringing.id))
        await until(lambda: bool(talks.texts) and any(leg.audio))
        leg.check()
        leg.hang_up()


async def test_5_a_call_that_comes_back_from_a_transfer_is_the_same_call(
    services: Services, owner: Principal, admin: Any
) -> None:
    line = await new_line(services, owner, MOVING)
    pbx = await held(services, line, ["BUSY"])
    assert trail(pbx)[-1] == "hangup"
    assert {leg.call_id for leg in pbx.plan.legs} == {pbx.plan.call_id}
    assert len(pbx.plan.legs) == 2
    rows = admin.execute(
        "SELECT id::text, from_number, transfer_result, state FROM phone_call WHERE channel_id = %s", (line.channel_id,)
    ).fetchall()
    assert rows == [(str(pbx.plan.call_id), "+380501112233", "busy", "ended")]
    talks = admin.execute("SELECT count(*) FROM conversation WHERE agent_id = %s", (line.agent_id,)).fetchone()
    assert talks == (1,)
