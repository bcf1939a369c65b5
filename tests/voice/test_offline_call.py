"""A spoken dialogue with no key and no network: espeak-ng speaks for both sides, pocketsphinx understands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.offline_speech.speech import EspeakSynthesizer, SphinxTranscriber, missing
from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Voice
from graph_runtime.services.principal import Principal
from tests.phone_world import new_line, phone_flow
from tests.voice.voice_world import quiet, until, voice_process
from voice.house import SpeechParts
from voice.speaker import speech_of

THINKS_BYTES = 16 * 800
"""Both sides have the same voice here; while ours may still echo, the caller's would be taken for it."""

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
        "n_sure": (
            "ask_choice",
            {"text": "Are you sure?", "options": [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}]},
        ),
        "n_end": ("end", {"text": "Good, see you on Tuesday.", "result": "booked"}),
        "n_sorry": ("end", {"text": "Then not.", "result": "not booked"}),
    },
    {
        "n_start.next": "n_day",
        "n_day.mon": "n_sorry",
        "n_day.tue": "n_sure",
        "n_day.other": "n_sorry",
        "n_sure.yes": "n_end",
        "n_sure.no": "n_sorry",
        "n_sure.other": "n_sorry",
    },
)


@pytest.fixture
async def engines() -> AsyncIterator[tuple[SphinxTranscriber, EspeakSynthesizer]]:
    hears, talks = SphinxTranscriber(), EspeakSynthesizer()
    await hears.warm_up()
    await talks.warm_up()
    yield hears, talks
    await hears.aclose()
    await talks.aclose()


async def test_a_spoken_dialogue(
    services: Services, owner: Principal, engines: tuple[SphinxTranscriber, EspeakSynthesizer]
) -> None:
    hears, talks = engines
    line = await new_line(services, owner, SHOP, endpoint_ms=400)
    caller = Voice("en", "gmw/en-US", 0.9)
    tuesday, yes = [
        b"".join([audio async for audio in speech_of(text, caller, 8000, SpeechParts(hears, talks), None)])
        for text in ("Tuesday", "Yes")
    ]
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(bytes(THINKS_BYTES) + tuesday)
        await until(lambda: not call.turns.waits)
        await quiet(leg, call)
        await leg.say(bytes(THINKS_BYTES) + yes)
        async with asyncio.timeout(20):
            await leg.over.wait()
        assert leg.outcome == "continues"
        await until(lambda: not process.switchboard.calls)
    assert call._dialogue is not None
    assert call._dialogue._phone is not None
    assert await line.status(call._dialogue._phone) == ("ended", "booked")
    assert await services.phone_calls.next(line.secret, str(leg.call_id)) == "hangup"
    leg.check()
