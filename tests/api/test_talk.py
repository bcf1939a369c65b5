"""Talks: a tester's own voice, or typed words, in the pipeline that holds calls; who may, how often, and how it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from connectors.offline_speech.speech import EspeakSynthesizer, SphinxTranscriber, missing
from graph_runtime.api.app import create_app
from graph_runtime.api.talk import bridge as talk_bridge
from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import CredentialRejected, NotFound, TooMany
from graph_runtime.services import talks as talk_service
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.api.conftest import Address, Member, serving
from tests.api.sockets import Page, page
from tests.phone_world import phone_flow
from tests.voice.voice_world import VoiceProcess, voice_process

pytestmark = pytest.mark.skipif(bool(missing()), reason="the extra offline-voice is not installed")

SHOP = phone_flow(
    {
        "n_day": (
            "ask_choice",
            {
                "text": "Which day suits you?",
                "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}],
            },
        ),
        "n_move": ("transfer_call", {"target": "100", "text": "One moment.", "ring_seconds": 20}),
        "n_alone": ("end", {"text": "Nobody is there.", "result": "nobody"}),
        "n_gone": ("end", {"text": "Goodbye.", "result": "connected"}),
    },
    {
        "n_start.next": "n_day", "n_day.mon": "n_alone", "n_day.tue": "n_move", "n_day.other": "n_alone",
        "n_move.answered": "n_gone", "n_move.busy": "n_alone", "n_move.no_answer": "n_alone", "n_move.error": "n_alone",
    },
)  # fmt: skip


@pytest.fixture
async def voice(services: Services) -> AsyncIterator[VoiceProcess]:
    hears, talks = SphinxTranscriber(), EspeakSynthesizer()
    async with voice_process(services, hears, talks) as process:
        yield process
    await hears.aclose()
    await talks.aclose()


@pytest.fixture
async def address(services: Services, voice: VoiceProcess) -> AsyncIterator[Address]:
    settings = services.settings.model_copy(update={"voice_port": voice.port})
    knowing = dataclasses.replace(services, settings=settings)
    async with serving(create_app(knowing), knowing) as here:
        yield here


@pytest.fixture
async def flow_id(services: Services, ann: Member) -> str:
    """Of an agent that is off and has nothing published: only its draft can be tried."""
    agent = await services.agents.create(ann.who, name="Shop", language="en")
    await services.drafts.replace(ann.who, agent.main_flow_id, SHOP)
    return str(agent.main_flow_id)


def tab(ann: Member, flow_id: str) -> Any:
    return page(f"{ann.address.ws}/ws/editor/{flow_id}", Cookie=ann.cookie, Origin=ann.address.http)


@dataclasses.dataclass
class Handset:
    """A page that talks, without a browser: counts frames, keeps their numbers, and what it was told."""

    connection: ClientConnection
    numbers: list[int] = dataclasses.field(default_factory=list)
    spoken: int = 0
    quiet: int = 0
    told: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    close: tuple[int, str] | None = None
    news: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        try:
            async for message in self.connection:
                if isinstance(message, bytes):
                    self.numbers.append(int.from_bytes(message[:4], "big"))
                    is_sound = any(message[4:])
                    self.spoken += is_sound
                    self.quiet = 0 if is_sound else self.quiet + 1
                else:
                    self.told.append(json.loads(message))
                self.news.set()
        except websockets.ConnectionClosed:
            pass
        self.close = (self.connection.close_code or 0, self.connection.close_reason or "")
        self.news.set()

    async def until(self, done: Any, seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def asked(self, spoken: int = 0) -> None:
        """The agent has said something new and is silent, and what it said echoes no more."""
        await self.until(lambda: self.spoken > spoken and self.quiet >= 40)

    async def send(self, **wish: Any) -> None:
        await self.connection.send(json.dumps(wish))

    def heard(self, kind: str) -> dict[str, Any] | None:
        return next((m for m in self.told if m["t"] == kind), None)


async def ticket_of(editor: Page) -> str:
    await editor.until("hello")
    await editor.send(t="test_start", is_talk=True)
    found = (await editor.until("live", lambda f: f["event"]["type"] in ("talk", "error")))["event"]
    assert found["options_only"]
    assert found["can_type"]
    return str(found["ticket"])


def door(ann: Member, ticket: str, **headers: str) -> Any:
    usual = {"Cookie": ann.cookie, "Origin": ann.address.http}
    return connect(f"{ann.address.ws}/ws/talk/{ticket}", additional_headers=usual | headers, open_timeout=10)


async def test_a_draft_is_talked_with_by_typing(ann: Member, flow_id: str, voice: VoiceProcess) -> None:
    async with tab(ann, flow_id) as editor:
        ticket = await ticket_of(editor)
        async with door(ann, ticket) as connection:
            handset = Handset(connection)
            listening = asyncio.create_task(handset.listen())
            await handset.asked()
            assert handset.heard("connected") == {"t": "connected", "frame": 0, "again": False}
            # The voice process is replaced, as at an upgrade: the talk is taken up again with the open question.
            (call,) = voice.switchboard.calls
            call.leave_at_turn_boundary()
            await handset.until(lambda: len([m for m in handset.told if m["t"] == "connected"]) == 2)
            await handset.asked(handset.spoken)
            said = handset.spoken
            await handset.send(t="key", key="x")
            await handset.until(lambda: handset.heard("refused") is not None)
            await handset.send(t="say", text="Tuesday")
            # The recognizer has heard it: the transcript has what it understood, not what was typed.
            message = await editor.until(
                "live", lambda f: f["event"]["type"] == "message" and f["event"]["message"]["role"] == "contact"
            )
            assert message["event"]["message"]["text"] == "Tuesday"
            assert message["event"]["message"]["parts"][0]["heard"] == "speech"
            times = (await editor.until("live", lambda f: f["event"]["type"] == "times"))["event"]
            assert times["node_id"] == "n_move"
            assert 0 < times["times"]["hard_end"] <= times["times"]["first_frame"] < 5000
            await handset.until(lambda: handset.heard("rings") is not None)
            rings = handset.heard("rings")
            assert rings is not None
            assert (rings["target"], rings["is_warm"]) == ("100", False)
            assert handset.spoken > said
            said = handset.spoken
            await handset.send(t="moved", result="busy")
            await handset.until(lambda: handset.close is not None)
            await listening
        assert handset.close == (1000, "")
        assert handset.told[-1]["reason"] == "ended"
        assert handset.spoken > said, "“Nobody is there.” was heard"
        assert handset.numbers == list(range(len(handset.numbers))), "no frame is missing or comes twice"
        ended = await editor.until("live", lambda f: f["event"]["type"] == "ended")
        assert ended["event"]["result"] == "nobody"
        # Used once, it opens nothing.
        async with door(ann, ticket) as connection:
            again = Handset(connection)
            await again.listen()
            assert again.close is not None
            assert again.close[0] == 4404


async def test_who_may_not(ann: Member, flow_id: str, services: Services, admin: Any) -> None:
    async with tab(ann, flow_id) as editor:
        ticket = await ticket_of(editor)
        for headers in ({"Cookie": "patchcord_session=guessed"}, {"Cookie": ""}):
            async with door(ann, ticket, **headers) as connection:
                stranger = Handset(connection)
                await stranger.listen()
                assert stranger.close is not None
                assert stranger.close[0] == 4401
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with door(ann, ticket, Origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        # Nobody has used it up: it is still Ann's, and nobody else's of the workspace.
        colleague = Principal(
            ann.who.workspace_id, "0" * 8 + "-0000-4000-8000-" + "0" * 12, "editor", PERMISSIONS["editor"]
        )
        with pytest.raises(NotFound):
            await services.talks.admit(colleague, ticket)
        viewer = dataclasses.replace(ann.who, scopes=PERMISSIONS["viewer"])
        with pytest.raises(Exception, match=r"flow\.edit"):
            await services.talks.admit(viewer, ticket)
        admin.execute("UPDATE phone_call SET dial_until = now() - interval '1 second'")
        with pytest.raises(NotFound):
            await services.talks.admit(ann.who, ticket)


async def test_limits(ann: Member, flow_id: str, services: Services, admin: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(talk_service, "MOST_TALKS", 1)
    async with tab(ann, flow_id) as one, tab(ann, flow_id) as two:
        first = await ticket_of(one)
        second = await ticket_of(two)  # a member has one talk: the newest
        with pytest.raises(NotFound):
            await services.talks.admit(ann.who, first)
        talk = await services.talks.admit(ann.who, second)
        assert await services.talks.is_open(ann.who, talk.id)
        colleague = admin.execute(
            "INSERT INTO member (workspace_id, email, name, role, password_hash) VALUES (%s, 'b@example.org', 'Bob', 'editor', '')"
            " RETURNING id::text",
            (ann.who.workspace_id,),
        ).fetchone()[0]
        bob = dataclasses.replace(ann.who, member_id=colleague)
        agent_id = (await services.drafts.open(ann.who, flow_id)).agent_id
        with pytest.raises(TooMany):
            await services.talks.begin(bob, agent_id, talk.conversation_id, "en")
        with pytest.raises(CredentialRejected) as silent:
            await services.talks.begin(bob, agent_id, talk.conversation_id, "uk")
        assert silent.value.params["reason"] == "no_speech"
        admin.execute("UPDATE phone_call SET started_at = now() - interval '1 hour'")
        await services.talks.begin(bob, agent_id, talk.conversation_id, "en")
        assert not await services.talks.is_open(ann.who, talk.id)
        assert not (await services.call_log.list(ann.who)).rows, "a talk is no call of a line"


async def test_a_voice_process_without_room(ann: Member, flow_id: str, voice: VoiceProcess, monkeypatch: Any) -> None:
    monkeypatch.setattr(voice.switchboard._admission, "verdict", lambda _: "lag")
    async with tab(ann, flow_id) as editor, door(ann, await ticket_of(editor)) as connection:
        handset = Handset(connection)
        await handset.listen()
    error = handset.heard("error")
    assert error is not None
    assert error["code"] == "too_many"
    assert handset.told[-1]["t"] == "over"


async def test_no_voice_process(ann: Member, flow_id: str, voice: VoiceProcess, monkeypatch: Any) -> None:
    monkeypatch.setattr(talk_bridge, "MOST_TRIES", 2)
    await voice.server.close()
    async with tab(ann, flow_id) as editor, door(ann, await ticket_of(editor)) as connection:
        handset = Handset(connection)
        await handset.listen()
    error = handset.heard("error")
    assert error is not None
    assert (error["code"], error["params"]["reason"] if "params" in error else error["reason"]) == (
        "unreachable",
        "voice_down",
    )
    assert handset.told[-1]["t"] == "over"
