"""What a published flow always says is there before the first call, under the very name the voice process asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import MessageEnds, Words
from graph_runtime.contract.errors import CredentialRejected
from graph_runtime.contract.speech import Audio, SpeakRequest
from graph_runtime.services.bound_speech import ChosenVoice
from graph_runtime.services.principal import Principal
from tests.phone_world import Line, new_line, phone_flow
from tests.voice.fake_speech import FakeSynthesizer
from voice.frames import PHONE
from voice.house import SpeechParts
from voice.playout import Playout
from voice.speaker import Speaker

SAYS = "Good morning, this is the clinic of Dr. Koval. We open at 9:00. What can we do for you?"
FLOW = phone_flow(
    {
        "n_hello": ("say", {"text": SAYS, "rate": 1.1}),
        "n_name": ("say", {"text": "Hello {{ contact.name }}."}),
        "n_end": ("hang_up", {"text": "Goodbye."}),
    },
    {"n_start.next": "n_hello", "n_hello.finished": "n_name", "n_name.finished": "n_end"},
)


class Counting(FakeSynthesizer):
    """Keeps the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[SpeakRequest] = []

    def speak(self, request: SpeakRequest) -> AsyncIterator[Audio]:
        self.requests.append(request)
        return super().speak(request)


@pytest.fixture
def voice(services: Services, monkeypatch: pytest.MonkeyPatch) -> Counting:
    found = Counting()

    async def chosen(*_: Any) -> ChosenVoice:
        return ChosenVoice(found, "", services.catalog.connectors["asterisk"])

    monkeypatch.setattr(services.speech, "synthesizer", chosen)
    return found


async def published_again(services: Services, line: Line) -> None:
    agent = await services.agents.get(line.owner, line.agent_id)
    draft = await services.drafts.open(line.owner, agent.main_flow_id)
    await services.drafts.replace(line.owner, agent.main_flow_id, FLOW | {"name": "Calls again"})
    draft = await services.drafts.open(line.owner, agent.main_flow_id)
    await services.publishing.publish(line.owner, agent.main_flow_id, revision=draft.revision)
    async with asyncio.timeout(10):
        while services.phrase_warming._warming:  # noqa: ASYNC110 (its task)
            await asyncio.sleep(0.01)


async def test_the_voice_process_finds_every_sentence(services: Services, owner: Principal, voice: Counting) -> None:
    line = await new_line(services, owner, FLOW, voice_en="Ann", rate=1.2)
    await published_again(services, line)
    made = {r.text for r in voice.requests}
    assert len(made) >= 3
    assert not any("{{" in text or "Goodbye" in text for text in made), "only what is said to every caller"
    assert {(r.voice, r.speed, r.language, r.rate) for r in voice.requests} == {("Ann", 1.32, "en", 8000)}
    asked = len(voice.requests)

    call, turn = await line.answered()
    playout = Playout(_Silent(), PHONE)
    speaker = Speaker(playout, SpeechParts(voice, voice), services.phrases)  # type: ignore[arg-type] # only what speaks
    for event in turn.events:
        if isinstance(event, Words) and event.may_cache:
            speaker.words(event)
        elif isinstance(event, MessageEnds):
            speaker.message_ends(event.key)
    assert call.language == "en"
    for piece in speaker._pieces:
        async for _ in speaker._audio(piece):
            pass
    assert {piece.text.strip() for piece in speaker._pieces} == made
    assert len(voice.requests) == asked, "nothing had to be made while somebody waited"


async def test_an_agent_without_a_line_costs_nothing(services: Services, owner: Principal, voice: Counting) -> None:
    line = await new_line(services, owner, FLOW)
    await services.channel_setup.set_on(owner, line.channel_id, False)
    await published_again(services, line)
    assert voice.requests == []


async def test_a_voice_that_cannot_be_had_does_not_keep_anybody_from_publishing(
    services: Services, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: Any) -> ChosenVoice:
        raise CredentialRejected("There is no key.")

    line = await new_line(services, owner, FLOW)
    monkeypatch.setattr(services.speech, "synthesizer", none)
    await published_again(services, line)
    assert (await services.agents.get(owner, line.agent_id)).live_version == 2


class _Silent:
    """A mouth nobody hears."""

    def speak(self, frame: bytes | None) -> bool:
        return True
