"""A whole call through real processes: the voice process is killed and replaced in the middle, and the caller stays."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from connectors.offline_speech.speech import EspeakSynthesizer, SphinxTranscriber, missing
from graph_runtime.api.app import create_app
from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Voice
from graph_runtime.contract.errors import Conflict
from graph_runtime.services.principal import Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.instance import call_states
from tests.api.conftest import serving
from tests.phone_world import Line, new_line, phone_flow
from tests.ports import free_port
from tests.voice.asterisk_stand_in import Dialplan, Leg, connect
from voice.house import SpeechParts
from voice.speaker import speech_of

ROOT = Path(__file__).resolve().parents[2]
ECHO_SECONDS = 0.8
"""Both sides have the same voice; while ours may still echo, the caller's would be taken for it."""

LOOK_SECONDS = 0.1

LONG = "We have a garden with old trees and a terrace. " * 4
FLOW = phone_flow(
    {
        "n_day": (
            "ask_choice",
            {
                "text": "Which day suits you?",
                "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}],
            },
        ),
        "n_count": ("ask", {"text": "How many guests?", "kind": "number", "save_to": "guests"}),
        "n_long": ("say", {"text": LONG, "waits_to_end": True}),
        "n_model": (
            "prompt",
            {"connection": "llm", "system": "Parking is free behind the house.", "user": "Where is parking?"},
        ),
        "n_sure": (
            "ask_choice",
            {"text": "Are you sure?", "options": [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}]},
        ),
        "n_move": ("transfer_call", {"target": "100", "text": "I am connecting you.", "ring_seconds": 20}),
        "n_bye": ("hang_up", {"text": "Nobody is there. Goodbye.", "reason": "booked"}),
    },
    {
        "n_start.next": "n_day", "n_day.mon": "n_count", "n_day.tue": "n_count", "n_day.other": "n_day",
        "n_count.answered": "n_long", "n_count.invalid": "n_count", "n_long.finished": "n_model", "n_long.interrupted": "n_model",
        "n_model.next": "n_sure", "n_model.error": "n_sure", "n_sure.yes": "n_move", "n_sure.no": "n_bye",
        "n_sure.other": "n_sure", "n_move.answered": "n_bye", "n_move.busy": "n_bye", "n_move.no_answer": "n_bye",
        "n_move.error": "n_bye",
    },
    variables={"guests": {"type": "number", "label": "Guests"}},
    connections={"llm": {"kind": "chat_model", "label": "Model"}},
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason="the extra offline-voice is not installed"),
    pytest.mark.timeout(240),
]


@dataclass
class VoiceProcesses:
    """`python -m graph_runtime voice`, one after another on the same port."""

    environment: dict[str, str]
    port: int
    running: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> None:
        self.running.append(
            await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "graph_runtime", "voice", env=self.environment, cwd=ROOT
            )
        )

    async def kill(self) -> None:
        """As a crash of the machine would."""
        self.running[-1].send_signal(signal.SIGKILL)
        await self.running[-1].wait()

    async def replace(self) -> None:
        """As an upgrade does: the next one waits for the port while the old one gives its calls away."""
        old = self.running[-1]
        await self.start()
        old.send_signal(signal.SIGTERM)
        assert await old.wait() == 0

    async def close(self) -> None:
        for process in self.running:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.fixture
async def processes(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[VoiceProcesses]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PATCHCORD_", "DATABASE"))}
    environment = kept | {
        "PYTHONPATH": str(ROOT), "DATABASE_URL": postgres.app_url, "PATCHCORD_SECRET_KEY": "for tests only, " * 3,
        "PATCHCORD_VOICE_PORT": str(port), "PATCHCORD_DATA_DIR": str(tmp_path),
        "PATCHCORD_VOICE_MOST_LAG_MS": "2000",  # how busy the machine of the tests is decides nothing here
    }  # fmt: skip
    found = VoiceProcesses(environment, port)
    await found.start()
    yield found
    await found.close()


async def spoken(*texts: str) -> list[bytes]:
    """What the caller says, in a voice."""
    hears, talks = SphinxTranscriber(), EspeakSynthesizer()
    voice, parts = Voice("en", "gmw/en-US", 0.9), SpeechParts(hears, talks)
    try:
        return [b"".join([a async for a in speech_of(text, voice, 8000, parts, None)]) for text in texts]
    finally:
        await talks.aclose()
        await hears.aclose()


@dataclass
class Caller:
    """Somebody who hears what comes and knows from the database what is waited for."""

    line: Line
    plan: Dialplan
    conversation_id: str = ""

    @property
    def leg(self) -> Leg:
        return self.plan.legs[-1]

    async def is_asked(self, node_id: str, *, legs: int, seconds: float = 80, anew: bool = False) -> Leg:
        """Until that step has asked on that connection, and it is quiet. `anew`: what was said before this does not count;
        between an interruption and the answer to it, it is quiet, too."""
        since = time.monotonic() if anew else 0.0
        async with self._in_time(node_id, seconds):
            # Another process writes the database, and the phone has no event for silence.
            while (  # noqa: ASYNC110 (see above)
                len(self.plan.legs) < legs
                or not self._loud_after(since)
                or not self._is_quiet()
                or await self._waits_at() != node_id
            ):
                await asyncio.sleep(LOOK_SECONDS)
        return self.leg

    async def hears(self, node_id: str, *, seconds: float = 80) -> None:
        """Until that step waits and something is being said."""
        async with self._in_time(node_id, seconds):
            while not self._loud_after(time.monotonic() - LOOK_SECONDS * 2) or await self._waits_at() != node_id:  # noqa: ASYNC110 (see above)
                await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def _in_time(self, node_id: str, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            where = await self._waits_at()
            told = f"{node_id} was waited for; it waits at {where}; {self.plan.trail}; {await self.said()}"
            raise AssertionError(told) from None

    def _is_quiet(self) -> bool:
        return any(self.leg.audio) and not self._loud_after(time.monotonic() - ECHO_SECONDS)

    def _loud_after(self, moment: float) -> bool:
        return self.leg.speech_began(after=moment) is not None

    async def _waits_at(self) -> str:
        async with self.line.services.database.workspace(self.line.owner.workspace_id) as connection:
            cursor = await connection.execute(
                "SELECT c.id::text, c.node_id FROM phone_call p JOIN conversation c ON c.id = p.conversation_id"
                " WHERE p.id = %s AND c.pending_since IS NULL", (self.plan.call_id,),
            )  # fmt: skip
            row = await cursor.fetchone()
        self.conversation_id = str(row["id"]) if row else ""
        return str(row["node_id"]) if row else ""

    async def said(self) -> list[str]:
        """The transcript; the caller's with "> "."""
        found = await self.line.services.conversations.transcript(self.line.owner, self.conversation_id, limit=500)
        return [("> " if m["role"] == "contact" else "") + m["text"] for m in found.messages]


async def test_one_call_outlives_two_processes(services: Services, owner: Principal, processes: VoiceProcesses) -> None:
    line = await new_line(services, owner, FLOW, endpoint_ms=400, no_input_ms=2500, is_recorded=True)
    await services.agents.bind(owner, line.agent_id, "llm", credential_id=None, connector="demo_model", model="")
    tuesday, monday, yes = await spoken("Tuesday", "I would like Monday please", "Yes")
    dialed: list[str] = []

    async def dial(whom: str) -> str:
        dialed.append(whom)
        return "NOANSWER"

    async with serving(create_app(services), services) as web, httpx2.AsyncClient(base_url=web.http) as client:

        async def ask(path: str, query: dict[str, str]) -> str:
            return (await client.get(f"/phone/{line.secret}/{path}", params=query)).text.strip()

        plan = Dialplan(ask, lambda: processes.port, dial, pause=2.0)  # a new process takes its time beside other tests
        caller = Caller(line, plan)
        call = asyncio.create_task(plan.run())

        leg = await caller.is_asked("n_day", legs=1)
        await leg.say(tuesday)
        await caller.is_asked("n_count", legs=1)
        await processes.kill()
        await processes.start()
        leg = await caller.is_asked("n_count", legs=2)
        assert any(leg.audio), "the open question is put again"
        for key in "12#":
            await leg.press(key)
        await caller.hears("n_long")
        await asyncio.sleep(2)  # into the middle of it
        await leg.say(monday)
        leg = await caller.is_asked("n_sure", legs=2, anew=True)
        await leg.press("7")
        leg = await caller.is_asked("n_sure", legs=2, anew=True)
        await processes.replace()
        leg = await caller.is_asked("n_sure", legs=3)
        asked = len([text for text in await caller.said() if text.startswith("Are you sure")])
        await caller.hears("n_sure")  # nothing was said, so it is asked again
        leg = await caller.is_asked("n_sure", legs=3)
        await leg.say(yes)
        async with asyncio.timeout(60):
            assert await call == "done"
        for one in plan.legs:
            assert one.dropped == ""

    assert asked >= 1
    assert dialed == ["PJSIP/100@trunk|20"]
    assert "next=again" in plan.trail
    assert [leg.outcome for leg in plan.legs][-1] == "continues"
    said = await caller.said()
    assert "> Tuesday" in said
    assert "> 12" in said
    assert any("Parking is free" in text for text in said)
    assert said[-1] == "Nobody is there. Goodbye."
    detail = await services.conversations.get(owner, caller.conversation_id)
    assert (detail.row.status, detail.row.result) == ("ended", "booked")
    found = await services.conversations.transcript(owner, caller.conversation_id, limit=500)
    flags = [m["flags"] for m in found.messages if m["role"] == "agent"]
    assert any(f.get("interrupted") for f in flags), "the long message was cut to what was heard"
    assert sum("first_frame" in f.get("times", {}) for f in flags) >= 3
    facts = (await services.phone_setup.calls(owner, caller.conversation_id))[0]
    heard = sum(len(leg.frames) for leg in plan.legs) * 0.02
    assert heard * 0.6 < facts.recorded_seconds <= heard + 2, "what the killed process had recorded is there"


async def test_others_see_whether_a_process_takes_calls(
    services: Services, owner: Principal, processes: VoiceProcesses
) -> None:
    line = await new_line(services, owner, FLOW)

    async def stand(**states: int) -> None:
        """Until the living processes stand like this."""
        wanted = {"" if state == "open" else state: count for state, count in states.items()}
        async with asyncio.timeout(60), services.database.direct() as connection:
            while await call_states(connection) != wanted:  # noqa: ASYNC110 (another process tells nobody)
                await asyncio.sleep(LOOK_SECONDS)

    await stand(open=1)
    await processes.kill()
    await stand()
    processes.environment["PATCHCORD_VOICE_MOST_CALLS"] = "1"
    await processes.start()
    await stand(open=1)
    leg = await connect(processes.port, uuid.UUID(await line.ring()))
    await stand(calls=1)
    with pytest.raises(Conflict) as refused:
        await line.ring()
    assert refused.value.params["reason"] == "desk"
    leg.hang_up()
    await stand(open=1)
    await line.ring()
    processes.running[-1].send_signal(signal.SIGTERM)
    assert await processes.running[-1].wait() == 0
    await stand()
    leg.check()
