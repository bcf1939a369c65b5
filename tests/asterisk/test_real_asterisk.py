"""The dialplan and the calls of a real Asterisk; left out unless `PATCHCORD_ASTERISK` names its program."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.services.calls_out import PlacedCall
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, serving
from tests.asterisk.real import PROGRAM, SECRET, Asterisk, asterisk
from tests.phone_world import Line, new_line, phone_flow
from tests.voice.fake_speech import FakeSynthesizer, FakeTranscriber
from tests.voice.voice_world import VoiceProcess, until, voice_process
from voice.admission import Admission, Limits

pytestmark = pytest.mark.skipif(not PROGRAM, reason="PATCHCORD_ASTERISK names no Asterisk")

PEOPLE = """
[people]
exten => busy,1,Hangup(17)
exten => rejected,1,Hangup(21)
exten => nowhere,1,Hangup(3)
exten => away,1,Ringing()
 same => n,Wait(60)
exten => early,1,Progress()
 same => n,Wait(2)
 same => n,Answer()
 same => n,Wait(30)
exten => keys,1,Answer()
 same => n,Wait(3)
 same => n,SendDTMF(1)
 same => n,Wait(30)
exten => takes,1,Answer()
 same => n,Wait(4)
 same => n,SendDTMF(1)
 same => n,Wait(3)
exten => declines,1,Answer()
 same => n,Wait(4)
 same => n,SendDTMF(2)
 same => n,Wait(30)

[caller]
exten => s,1,Wait(60)

[desk]
exten => s,1,Answer()
 same => n,Set(GLOBAL(AT_DESK)=yes)
 same => n,Wait(30)
"""


def flow(target: str = "", *, is_warm: bool = False) -> dict[str, object]:
    """Asks for a key; then transfers, when there is somebody to."""
    nodes = {
        "n_ask": ("ask_choice", {"text": "Press one.", "options": [{"id": "one", "label": "One"}, {"id": "two", "label": "Two"}]}),
        "n_end": ("end", {"text": "Thank you.", "result": "pressed"}),
        "n_moved": ("end", {"result": "moved"}),
        "n_back": ("ask_choice", {"text": "Nobody is there.", "options": [{"id": "one", "label": "One"}, {"id": "two", "label": "Two"}]}),
    }  # fmt: skip
    edges = {"n_start.next": "n_ask", "n_ask.one": "n_end", "n_ask.two": "n_end", "n_ask.other": "n_end",
             "n_back.one": "n_end", "n_back.two": "n_end", "n_back.other": "n_end"}  # fmt: skip
    if target:
        settings = {"target": target, "ring_seconds": 5, "is_warm": is_warm, "summary": "Ann asks about an invoice."}
        nodes["n_move"] = ("transfer_call", settings)
        edges |= {"n_start.next": "n_move", "n_move.answered": "n_moved", "n_move.busy": "n_back", "n_move.no_answer": "n_back",
                  "n_move.error": "n_back"}  # fmt: skip
    return phone_flow(nodes, edges)


@pytest.fixture
async def address(services: Services) -> AsyncIterator[Address]:
    async with serving(create_app(services), services) as here:
        yield here


@pytest.fixture
async def pbx(tmp_path: Path) -> AsyncIterator[Asterisk]:
    async with asterisk(tmp_path) as running:
        yield running


@pytest.fixture
async def voice(services: Services) -> AsyncIterator[VoiceProcess]:
    async with voice_process(services, FakeTranscriber(), FakeSynthesizer()) as process:
        yield process


LineWith = Callable[[dict[str, object]], Awaitable[Line]]


@pytest.fixture
def line_with(services: Services, owner: Principal, address: Address, pbx: Asterisk, voice: VoiceProcess) -> LineWith:
    """Makes a line of a flow, whose dialplan that Asterisk runs."""

    async def make(document: dict[str, object]) -> Line:
        line = await new_line(
            services, owner, document, manager_address=pbx.manager, manager_secret=SECRET,
            dial_template="Local/{number}@people",
        )  # fmt: skip
        setup = services.phone_setup
        more = {"phone_url": address.http, "phone_audio": f"127.0.0.1:{voice.port}"}
        setup._settings = setup._settings.model_copy(update=more)
        await pbx.take(setup.dialplan(owner, line.secret) + PEOPLE)
        return line

    return make


async def place(line: Line, number: str, seconds: int = 5) -> PlacedCall:
    return await line.services.calls_out.place(line.owner, line.channel_id, number, key=number, ring_seconds=seconds)


async def told(line: Line, call: PlacedCall, *, over: bool = False) -> PlacedCall:
    """Once its result is known, or it is over."""
    async with asyncio.timeout(30):
        while True:
            now = await line.services.calls_out.get(line.owner, call.id)
            is_final = call.id not in {task.get_name() for task in line.services.calls_out._ringing}
            if now.result and is_final and (not over or now.state == "ended"):
                return now
            await asyncio.sleep(0.02)


async def at_desk(pbx: Asterisk) -> None:
    """Until a caller is there."""
    async with asyncio.timeout(20):
        while "AT_DESK=yes" not in await pbx.command("dialplan show globals"):  # noqa: ASYNC110 (another program)
            await asyncio.sleep(0.1)


async def test_calls_out_end_as_they_end(line_with: LineWith, pbx: Asterisk, voice: VoiceProcess) -> None:
    line = await line_with(flow())
    found = {}
    for number in ("busy", "rejected", "nowhere", "away"):
        found[number] = (await told(line, await place(line, number))).result
    assert found == {"busy": "busy", "rejected": "rejected", "nowhere": "unreachable", "away": "no_answer"}
    missing = await line.services.calls_out.place(line.owner, line.channel_id, "Nothing/100", key="none")
    assert (await told(line, missing)).result == "failed"
    assert await pbx.channels() == 0


async def test_an_agent_that_calls_speaks_when_it_is_answered_and_hears_keys(
    line_with: LineWith, pbx: Asterisk, voice: VoiceProcess
) -> None:
    line = await line_with(flow())
    early = await place(line, "early", 10)
    assert voice.switchboard.calls == set()
    keys = await place(line, "keys", 10)
    assert (await told(line, early)).result == "answered"
    over = await told(line, keys, over=True)
    assert (over.result, over.state) == ("answered", "ended")
    detail = await line.services.conversations.get(line.owner, over.conversation_id)
    assert detail.row.result == "pressed"
    await pbx.command("channel request hangup all")
    assert (await told(line, early, over=True)).state == "ended"
    await until(lambda: not voice.switchboard.calls)


async def test_a_caller_whose_line_is_full_gets_to_the_desk(
    line_with: LineWith, pbx: Asterisk, voice: VoiceProcess
) -> None:
    line = await line_with(flow())
    await line.services.channel_setup.update(
        line.owner, line.channel_id, settings={"hours": "mon 00:00-00:01", "most_calls": 1}
    )
    await pbx.command("channel originate Local/s@patchcord extension s@caller")
    await at_desk(pbx)
    assert voice.switchboard.calls == set()


async def test_a_caller_whom_nobody_can_hold_is_not_answered(
    line_with: LineWith, pbx: Asterisk, voice: VoiceProcess, services: Services
) -> None:
    await line_with(flow())
    await services.conversation_side.instance.takes_calls("calls")
    await pbx.command("channel originate Local/s@patchcord extension s@caller")
    await at_desk(pbx)
    assert voice.server.counts.connections == 0
    await pbx.command("channel request hangup all")


@pytest.mark.parametrize("is_older", [False, True])
async def test_a_caller_who_came_too_late_for_the_last_place_reaches_the_desk_at_once(
    line_with: LineWith, pbx: Asterisk, voice: VoiceProcess, *, is_older: bool
) -> None:
    """An older dialplan, which takes "desk" for one more word to come again for, does so after five seconds."""
    await line_with(flow())
    if is_older:
        lines = (pbx.folder / "patchcord.conf").read_text().splitlines(keepends=True)
        older = [line for line in lines if '"${NEXT}" = "desk"' not in line]
        assert len(older) == len(lines) - 1
        await pbx.take("".join(older))
    voice.switchboard._admission = Admission(Limits(calls=1))
    await pbx.command("channel originate Local/s@patchcord extension s@caller")
    await until(lambda: any(c.turns.waits for c in voice.switchboard.calls))
    await pbx.command("channel originate Local/s@patchcord extension s@caller")
    await at_desk(pbx)
    assert voice.server.counts.connections == 1 + (21 if is_older else 1)
    assert voice.switchboard.held() == 1
    await pbx.command("channel request hangup all")
    await until(lambda: not voice.switchboard.calls)


@pytest.mark.parametrize(
    "case",
    [
        ("busy", False, "busy"),
        ("away", False, "no_answer"),
        ("takes", True, "answered"),
        ("declines", True, "declined"),
    ],
)
async def test_transfers(
    line_with: LineWith, pbx: Asterisk, voice: VoiceProcess, admin: Any, case: tuple[str, bool, str]
) -> None:
    target, is_warm, result = case
    line = await line_with(flow(target, is_warm=is_warm))
    await pbx.command("channel originate Local/s@patchcord extension s@caller")
    async with asyncio.timeout(30):
        while True:
            row = admin.execute(
                "SELECT transfer_result FROM phone_call WHERE channel_id = %s", (line.channel_id,)
            ).fetchone()
            if row == (result,) and (result == "answered" or voice.switchboard.calls):
                break
            await asyncio.sleep(0.05)
    if result != "answered":
        await until(lambda: any(c.turns.waits for c in voice.switchboard.calls))
        assert len(voice.switchboard.calls) == 1, "the agent goes on in the same call"
    await pbx.command("channel request hangup all")
    await until(lambda: not voice.switchboard.calls)


async def test_a_call_outlives_the_process_that_held_its_audio(
    line_with: LineWith, pbx: Asterisk, voice: VoiceProcess
) -> None:
    await line_with(flow())
    await pbx.command("channel originate Local/s@patchcord extension s@caller")
    await until(lambda: any(c.turns.waits for c in voice.switchboard.calls))
    (call,) = voice.switchboard.calls
    line = voice.server.lines[UUID(str(call.call_id))]
    assert line._transport is not None
    loop = asyncio.get_running_loop()
    # As a process that is gone: the socket breaks, and nobody tells the service anything.
    line._ears = None
    voice.switchboard.calls.discard(call)
    assert call._running is not None
    call._running.cancel()
    line._transport.abort()
    began = loop.time()
    await until(lambda: any(c is not call and c.turns.waits for c in voice.switchboard.calls))
    if os.environ.get("PATCHCORD_FIGURES"):
        print(f"audio back after {loop.time() - began:.3f} s")
    assert await pbx.channels() > 0
    await pbx.command("channel request hangup all")
    await until(lambda: not voice.switchboard.calls)
