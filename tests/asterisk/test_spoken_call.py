"""A call over SIP and RTP, spoken from end to end through a real Asterisk; left out unless `PATCHCORD_ASTERISK` names one.

With `PATCHCORD_FIGURES=1` it prints what it measured at the telephone: docs/voice.md keeps those.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from connectors.offline_speech.speech import missing
from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import serving
from tests.asterisk.real import PASSWORD, PROGRAM, Asterisk, asterisk
from tests.asterisk.sip_phone import PhoneCall, phone
from tests.phone_world import Line, new_line, phone_flow
from tests.voice.test_processes import FLOW, VoiceProcesses, processes, spoken  # noqa: F401 (a fixture)
from tests.voice.voice_world import until

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="PATCHCORD_ASTERISK names no Asterisk"),
    pytest.mark.skipif(bool(missing()), reason="the extra offline-voice is not installed"),
    pytest.mark.timeout(240),
]
QUIET_SECONDS = 0.8
LOOK_SECONDS = 0.05
TO_DESK = {**FLOW["nodes"]["n_move"], "settings": {"target": "PJSIP/101", "text": "One moment.", "ring_seconds": 5}}
DIALOGUE = phone_flow({}, FLOW["edges"], variables=FLOW["variables"], connections=FLOW["connections"]) | {
    "nodes": {**FLOW["nodes"], "n_move": TO_DESK}
}


@pytest.fixture
async def pbx(tmp_path: Path) -> AsyncIterator[Asterisk]:
    folder = tmp_path / "asterisk"
    folder.mkdir()
    async with asterisk(folder) as running:
        yield running
        expected = ("audiosocket", "AudioSocket")  # the process at its other end is killed on purpose
        assert not [line for line in running.trouble() if not any(word in line for word in expected)]


@dataclass
class Person:
    """Who holds the telephone: knows from the database what is waited for, and hears when it is quiet."""

    line: Line
    call: PhoneCall
    asked_about: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    async def waits_at(self) -> str:
        async with self.line.services.database.workspace(self.line.owner.workspace_id) as connection:
            cursor = await connection.execute(
                "SELECT c.node_id FROM phone_call p JOIN conversation c ON c.id = p.conversation_id"
                " WHERE p.channel_id = %s AND c.pending_since IS NULL ORDER BY p.started_at DESC LIMIT 1",
                (self.line.channel_id,),
            )
            row = await cursor.fetchone()
        return str(row["node_id"]) if row else ""

    async def is_asked(self, node_id: str, *, after: float = 0.0, seconds: float = 40) -> None:
        """That step has asked after a moment, and it is quiet."""
        heard = self.call.sound.heard
        try:
            async with asyncio.timeout(seconds):
                while not await self._is_asked(node_id, after):  # noqa: ASYNC110 (the database)
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            ago = time.monotonic() - heard.last_loud()
            raise AssertionError(
                f"{node_id} was waited for, it waits at {await self.waits_at()}; the last sound is {ago:.1f} s ago"
            ) from None

    async def _is_asked(self, node_id: str, after: float) -> bool:
        is_quiet = after < self.call.sound.heard.last_loud() < time.monotonic() - QUIET_SECONDS
        return is_quiet and await self.waits_at() == node_id

    async def hears(self, *, after: float, seconds: float = 20) -> float:
        """When sound came first after a moment."""
        await until(lambda: self.call.sound.heard.loud_since(after) is not None, seconds)
        at = self.call.sound.heard.loud_since(after)
        assert at is not None
        return at

    async def says(self, sound: bytes) -> float:
        """Speak; when it was over. What lies behind the last word is cut off, so that the end is one."""
        self.call.sound.say(_without_end(sound))
        await self.call.sound.said.wait()
        return time.monotonic()

    async def answers(self, what: str, sound: bytes) -> float:
        """Speak, and measure until the agent does."""
        over = await self.says(sound)
        at = await self.hears(after=over)
        self.figures[f"{what}: end of speech → voice at the phone, ms"] = (at - over) * 1000
        return over


def _without_end(sound: bytes) -> bytes:
    samples = np.frombuffer(sound, "<i2")
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 400)
    return samples[: loud[-1] + 160].tobytes() if len(loud) else sound


@pytest.fixture
async def pair(processes: VoiceProcesses) -> AsyncIterator[VoiceProcesses]:  # noqa: F811 (a fixture)
    """Two that know of each other: the one that takes calls is the last of `running`."""
    await processes.kill()
    processes.environment["PATCHCORD_VOICE_HAS_SPARE"] = "yes"
    spare = VoiceProcesses(processes.environment, processes.port)
    await processes.start()
    async with asyncio.timeout(60):
        while not _listens(processes.port):  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.2)
    await spare.start()
    yield processes
    await spare.close()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


async def test_a_whole_spoken_call(services: Services, owner: Principal, pair: VoiceProcesses, pbx: Asterisk) -> None:
    line = await new_line(services, owner, DIALOGUE, endpoint_ms=400, no_input_ms=2500, is_recorded=True)
    await services.agents.bind(owner, line.agent_id, "llm", credential_id=None, connector="demo_model", model="")
    tuesday, monday, yes = await spoken("Tuesday", "I would like Monday please", "Yes")
    async with (
        serving(create_app(services), services) as web,
        phone("100", PASSWORD, server=pbx.sip) as ours,
        phone("101", PASSWORD, server=pbx.sip) as desk,
    ):
        setup = services.phone_setup
        more = {"phone_url": web.http, "phone_audio": f"127.0.0.1:{pair.port}"}
        setup._settings = setup._settings.model_copy(update=more)
        await pbx.take(setup.dialplan(owner, line.secret))
        await ours.register()
        await desk.register()
        call = await ours.call("500")
        one = Person(line, call)
        one.figures["INVITE → 200, ms"] = (call.answered_at - call.asked_at) * 1000
        one.figures["200 → voice, ms"] = (await one.hears(after=call.answered_at) - call.answered_at) * 1000

        await one.is_asked("n_day")
        await one.answers("speech", tuesday)
        await one.is_asked("n_count")

        killed = time.monotonic()
        await pair.kill()
        one.figures["kill -9 of the voice process → the spare speaks, ms"] = (
            await one.hears(after=killed) - killed
        ) * 1000
        await one.is_asked("n_count", after=killed)
        gaps = call.sound.heard.figures(since=killed)
        one.figures["longest gap of RTP around the kill, ms"] = gaps.longest

        call.sound.press("12#")
        await until(lambda: call.sound.is_pressed)
        pressed = time.monotonic()
        one.figures["keys: end → voice, ms"] = (await one.hears(after=pressed) - pressed) * 1000
        await asyncio.sleep(2)  # into the middle of a long message
        began = time.monotonic()
        call.sound.say(monday)
        await asyncio.sleep(1.2)
        silent = max(p.at for p in call.sound.heard.packets if p.level > 300 and p.at < began + 1.2)
        one.figures["interruption: the agent is silent after, ms"] = (silent - began) * 1000
        await call.sound.said.wait()
        await one.is_asked("n_sure", after=began)

        pressed = time.monotonic()
        call.sound.press("7")
        await one.is_asked("n_sure", after=pressed + 0.2)
        asked = time.monotonic()
        await one.hears(after=asked)  # nobody answers, so it is asked again
        await one.is_asked("n_sure", after=asked)

        over = await one.says(yes)
        ringing = await desk.rung()
        ringing.ring()
        one.figures["last word → the desk rings (with “One moment.”), ms"] = (time.monotonic() - over) * 1000
        assert ringing.caller == "100", "the desk sees who calls"
        async with asyncio.timeout(15):
            await ringing.over.wait()
        gone = time.monotonic()
        one.figures["nobody took it → voice, ms"] = (await one.hears(after=gone) - gone) * 1000
        async with asyncio.timeout(20):
            await call.over.wait()
        assert call.sound.heard.faults == []
        figures = call.sound.heard.figures()
        assert figures.lost == 0

    async with services.database.workspace(owner.workspace_id) as connection:
        cursor = await connection.execute("SELECT conversation_id::text AS id, state FROM phone_call")
        row = await cursor.fetchone()
    assert row is not None
    found = await services.conversations.transcript(owner, row["id"], limit=500)
    said = [("> " if m["role"] == "contact" else "") + m["text"] for m in found.messages]
    if os.environ.get("PATCHCORD_FIGURES"):
        print(f"\nRTP at the phone: {figures}")
        for name, value in one.figures.items():
            print(f"{value:8.0f}  {name}")
        for message in found.messages:
            if times := message["flags"].get("times"):
                print(f"{message['text'][:30]:30} {times}")
    assert row["state"] == "ended"
    assert {"> Tuesday", "> 12"} <= set(said)
    assert any("Parking is free" in text for text in said), said
    assert said[-1] == "Nobody is there. Goodbye."
    assert any(m["flags"].get("interrupted") for m in found.messages), "the long message was cut to what was heard"
