"""Many calls at the same time over SIP and RTP, through a real Asterisk; left out unless `PATCHCORD_ASTERISK` names one.

Telephones hear numbers as tones, which survive G.711: each knows that it hears its own call and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
import pytest

from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.contract.speech import Audio, SpeakRequest
from graph_runtime.services.principal import Principal
from tests.api.conftest import serving
from tests.asterisk.real import PASSWORD, PROGRAM, Asterisk, asterisk
from tests.asterisk.rtp import FRAME_SAMPLES, LOUD, RATE
from tests.asterisk.sip_phone import PhoneCall, phone
from tests.phone_world import new_line, phone_flow
from tests.voice.fake_speech import FakeTranscriber
from tests.voice.voice_world import voice_process

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="PATCHCORD_ASTERISK names no Asterisk"),
    pytest.mark.timeout(240),
]
CALLS: Final = 10
FIRST: Final = 501
LOWEST_HERTZ, STEP_HERTZ = 600, 200
"""Of the tones: 0 to 9."""
NUMBERS: Final = """
[from-phones]
exten => _5XX,1,Goto(patchcord,s,1)
"""
FLOW: Final = phone_flow(
    {
        "n_hello": ("say", {"text": "Line {{ call.to }}."}),
        "n_ask": (
            "ask",
            {"text": "After {{ var.code | default: '0' }} what is next?", "kind": "number", "save_to": "code"},
        ),
        "n_which": (
            "branch",
            {"cases": [{"id": "bye", "label": "bye", "when": {"left": {"ref": "var.code"}, "op": "gte", "right": {"value": 9000}}}]},
        ),
        "n_echo": ("say", {"text": "Line {{ call.to }} got {{ var.code }}."}),
        "n_bye": ("hang_up", {"text": "Goodbye line {{ call.to }}.", "reason": "told"}),
    },
    {
        "n_start.next": "n_hello", "n_hello.finished": "n_ask", "n_ask.answered": "n_which", "n_ask.invalid": "n_ask",
        "n_which.else": "n_echo", "n_echo.finished": "n_ask", "n_which.bye": "n_bye",
    },
    variables={"code": {"type": "number", "label": "Code"}},
)  # fmt: skip


class Tones:
    """A voice that speaks the digits of a text, and nothing else of it."""

    provider = name = "tones"

    async def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        time = np.arange(RATE // 10) / RATE
        still = bytes(RATE // 10)  # 50 ms
        for digit in filter(str.isdigit, request.text):
            tone = 8000 * np.sin(2 * np.pi * (LOWEST_HERTZ + STEP_HERTZ * int(digit)) * time)
            yield Audio(tone.astype("<i2").tobytes() + still, RATE)

    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...


def digits(call: PhoneCall) -> str:
    """Every digit that was heard so far; the frames of one are told from the next one's by the silence between them."""
    sound = np.frombuffer(bytes(call.sound.heard.pcm), "<i2").astype(float)
    frames = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    loud = np.sqrt((frames**2).mean(axis=1)) > LOUD
    peaks = np.abs(np.fft.rfft(frames, RATE // 20)).argmax(axis=1) * 20
    found = ""
    for is_loud, run in groupby(range(len(frames)), key=lambda n: bool(loud[n])):
        if is_loud:
            found += str(round((float(np.median(peaks[list(run)])) - LOWEST_HERTZ) / STEP_HERTZ))
    return found


async def hears(call: PhoneCall, wanted: str) -> None:
    """Until all of it was heard, and nothing else ever."""
    try:
        async with asyncio.timeout(60):
            while digits(call) != wanted:
                assert wanted.startswith(digits(call)), f"heard {digits(call)} instead of {wanted}"
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"heard {digits(call)}, {wanted} was waited for") from None


@pytest.fixture
async def pbx(tmp_path: Path) -> AsyncIterator[Asterisk]:
    folder = tmp_path / "asterisk"
    folder.mkdir()
    async with asterisk(folder) as running:
        yield running
        assert running.trouble() == []


async def test_many_calls_at_once_hear_and_are_heard_each_for_itself(
    services: Services, owner: Principal, pbx: Asterisk, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    line = await new_line(services, owner, FLOW, no_input_ms=60_000)
    talking = asyncio.Barrier(CALLS)
    async with (
        voice_process(services, FakeTranscriber(), Tones()) as process,
        serving(create_app(services), services) as web,
        contextlib.AsyncExitStack() as phones,
    ):
        setup = services.phone_setup
        more = {"phone_url": web.http, "phone_audio": f"127.0.0.1:{process.port}"}
        setup._settings = setup._settings.model_copy(update=more)
        await pbx.take(setup.dialplan(owner, line.secret) + NUMBERS)

        async def holds_a_call(place: int) -> None:
            number, codes = str(FIRST + place), [str(1000 + place), str(2000 + place)]
            ours = await phones.enter_async_context(phone("100", PASSWORD, server=pbx.sip))
            call = await ours.call(number)
            said = number + "0"
            await hears(call, said)
            await talking.wait()  # all of them hold a call now
            for code in codes:
                call.sound.press(f"{code}#")
                said += number + code + code
                await hears(call, said)
            assert await pbx.channels() >= CALLS // 2, "the others talk, too"
            await talking.wait()
            call.sound.press("9000#")
            async with asyncio.timeout(60):
                await call.over.wait()
            assert digits(call) == said + number
            assert call.sound.heard.faults == []
            assert call.sound.heard.figures().lost == 0

        await asyncio.gather(*(holds_a_call(place) for place in range(CALLS)))
    rows = admin.execute(
        "SELECT p.did, p.state, p.epoch, c.result, array_agg(m.text ORDER BY m.seq) FROM phone_call p"
        " JOIN conversation c ON c.id = p.conversation_id JOIN message m ON m.conversation_id = c.id"
        " GROUP BY p.id, c.id ORDER BY p.did"
    ).fetchall()
    assert [row[:4] for row in rows] == [(str(FIRST + place), "ended", 1, "told") for place in range(CALLS)]
    for place, row in enumerate(rows):
        number, one, two = (str(first + place) for first in (FIRST, 1000, 2000))
        assert row[4] == [
            f"Line {number}.", "After 0 what is next?", one, f"Line {number} got {one}.", f"After {one} what is next?",
            two, f"Line {number} got {two}.", f"After {two} what is next?", "9000", f"Goodbye line {number}.",
        ]  # fmt: skip
