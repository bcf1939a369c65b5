"""Whatever fails on a call, the caller hears something and the call ends well: model, voice, recogniser."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import Refused, Unreachable
from graph_runtime.contract.models import ModelReply
from graph_runtime.engine.run import sorry
from graph_runtime.services.principal import Principal
from tests.phone_world import new_line, phone_flow
from tests.services.test_call_turns import TALK, Speaks, with_model
from tests.voice import sounds
from tests.voice.fake_speech import FakeSynthesizer, FakeTranscriber
from tests.voice.voice_world import MovedTime, quiet, until, voice_process
from voice.texts import Bridge, text_of
from voice.turn_taking import Phase

ANSWER = sounds.voice(800, seed=5, pitch=220, level_db=-20)
SORRY = "I cannot look this up right now."


def talk(**prompt: Any) -> dict[str, Any]:
    """A question and a model's answer, by these settings."""
    settings = {"connection": "llm", "system": "Help.", "history": 10} | prompt
    return phone_flow(
        {"n_ask": ("ask", {"text": "How can I help?", "kind": "text"}), "n_model": ("prompt", settings)},
        {"n_start.next": "n_ask", "n_ask.answered": "n_model", "n_model.next": "n_ask", "n_model.error": "n_ask"},
        connections={"llm": {"kind": "chat_model", "label": "Model"}},
    )


def said(talks: FakeSynthesizer, rung: Bridge) -> bool:
    return text_of(rung, "en") in talks.texts


class Fails:
    """A model that gives this and nothing else."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def run(self, *_: Any, **__: Any) -> ModelReply:
        if self.error is not None:
            raise self.error
        return ModelReply("")


@pytest.mark.parametrize("error", [None, Unreachable("The model answers 500."), Refused("The model refuses.")])
async def test_a_model_that_fails_or_says_nothing_is_spoken_for(
    services: Services, owner: Principal, error: Exception | None
) -> None:
    line = await new_line(services, owner, talk(fallback_text=SORRY), endpoint_ms=300)
    with_model(services, Fails(error))
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber("Prices"), talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: talks.texts.count("How can I help?") == 2)
        assert SORRY in talks.texts
        leg.hang_up()


@pytest.mark.parametrize(("substitute", "ends"), [("", "hangup"), ("100", "transfer|PJSIP/100@trunk|20")])
async def test_a_model_that_hangs_is_bridged_and_given_up(
    services: Services, owner: Principal, substitute: str, ends: str
) -> None:
    line = await new_line(services, owner, talk(), endpoint_ms=300, substitute=substitute)
    model = with_model(services, Speaks(["…"]))
    talks, time = FakeSynthesizer(), MovedTime()
    async with voice_process(services, FakeTranscriber("Prices"), talks) as process:
        process.house.waiting = time.waiting
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: model.asked.is_set() and call.turns.phase is Phase.IDLE)  # from then on somebody waits
        spoken = len(talks.texts)
        for seconds, rung in (
            (0.8, Bridge.FILLER),
            (3.4, Bridge.ONE_MOMENT),
            (6.2, Bridge.SORRY),
            (10, Bridge.GIVE_UP),
        ):
            await until(lambda: call._playout is not None and call._playout.is_idle)
            await time.passes(seconds)
            await until(partial(said, talks, rung))
        assert talks.texts[spoken:] == [text_of(rung, "en") for rung in Bridge]
        async with asyncio.timeout(20):
            await leg.over.wait()
        leg.check()
        await until(lambda: not process.switchboard.calls)
    assert await services.phone_calls.next(line.secret, str(leg.call_id)) == ends
    model.go_on.set()


async def test_keys_over_what_bridges_a_wait_are_an_answer(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, talk(), endpoint_ms=300)
    model = with_model(services, Speaks(["…"]))
    talks, time = FakeSynthesizer(), MovedTime()
    async with voice_process(services, FakeTranscriber("Prices"), talks) as process:
        process.house.waiting = time.waiting
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: model.asked.is_set() and call.turns.phase is Phase.IDLE)
        await time.passes(0.8)
        await until(lambda: call.turns.we_speak)
        for key in "7#":
            await leg.press(key)
        assert call._dialogue is not None
        phone = call._dialogue._phone
        assert phone is not None
        async with asyncio.timeout(15):
            while "> 7" not in await line.texts(phone):  # noqa: ASYNC110 (the database)
                await asyncio.sleep(0.02)
        await until(lambda: "Fine." in talks.texts)
        leg.hang_up()
    model.go_on.set()


async def test_a_wait_whose_bridge_was_interrupted_is_given_up_all_the_same(
    services: Services, owner: Principal
) -> None:
    line = await new_line(services, owner, talk(), endpoint_ms=300)
    model = with_model(services, Speaks(["…"]))
    talks, time = FakeSynthesizer(), MovedTime()
    async with voice_process(services, FakeTranscriber("Prices"), talks) as process:
        process.house.waiting = time.waiting
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: model.asked.is_set() and call.turns.phase is Phase.IDLE)
        await time.passes(0.8)
        await until(lambda: call.turns.we_speak)
        assert call._dialogue is not None
        call._dialogue.interrupt()
        for seconds in (3.4, 6.2, 10.2):
            await until(lambda: call._playout is not None and call._playout.is_idle)
            await time.passes(seconds)
        await until(partial(said, talks, Bridge.GIVE_UP))
        async with asyncio.timeout(20):
            await leg.over.wait()
    model.go_on.set()


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({"filler": "Let me see."}, "Let me see."),
        ({"has_filler": False}, text_of(Bridge.ONE_MOMENT, "en")),
    ],
)
async def test_a_step_chooses_what_bridges_its_wait(
    services: Services, owner: Principal, settings: dict[str, Any], first: str
) -> None:
    line = await new_line(services, owner, talk(**settings), endpoint_ms=300)
    model = with_model(services, Speaks(["…", "Here you are."]))
    talks, time = FakeSynthesizer(), MovedTime()
    async with voice_process(services, FakeTranscriber("Prices"), talks) as process:
        process.house.waiting = time.waiting
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: model.asked.is_set() and call.turns.phase is Phase.IDLE)  # from then on somebody waits
        spoken = len(talks.texts)
        await until(lambda: call._dialogue is not None and call._dialogue._bridging.ladder.filler != "")
        await time.passes(4.2)
        await until(lambda: len(talks.texts) > spoken)
        assert talks.texts[spoken] == first
        model.go_on.set()
        await until(lambda: "Here you are." in talks.texts)
        leg.hang_up()


@pytest.mark.parametrize("fault", ["fails", "breaks_off"])
async def test_another_voice_speaks_when_the_chosen_one_fails(services: Services, owner: Principal, fault: str) -> None:
    line = await new_line(services, owner, TALK)
    talks, other = FakeSynthesizer(), FakeSynthesizer()
    setattr(talks, fault, True)
    async with voice_process(services, FakeTranscriber(), talks, other) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        assert other.texts == ["How can I help?"]
        assert leg.speech_began() is not None
        leg.hang_up()


async def test_without_any_voice_the_desk_takes_the_call(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, TALK, substitute="100")
    talks, other = FakeSynthesizer(), FakeSynthesizer()
    talks.fails = other.fails = True
    async with voice_process(services, FakeTranscriber(), talks, other) as process:
        leg, _ = await process.dial(line)
        async with asyncio.timeout(10):
            await leg.over.wait()
        await until(lambda: not process.switchboard.calls)
    assert await services.phone_calls.next(line.secret, str(leg.call_id)) == "transfer|PJSIP/100@trunk|20"


async def test_a_recogniser_that_hangs_is_bridged(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, TALK, endpoint_ms=300)
    hears, talks, time = FakeTranscriber(), FakeSynthesizer(), MovedTime()
    hears.hangs = True
    async with voice_process(services, hears, talks) as process:
        process.house.waiting = time.waiting
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: bool(hears.heard))
        await until(lambda: call._dialogue is not None and call._dialogue._bridging._running is not None)
        await time.passes(0.8)
        await until(lambda: text_of(Bridge.FILLER, "en") in talks.texts)
        leg.hang_up()


async def test_a_turn_that_breaks_off_ends_in_words(services: Services, owner: Principal) -> None:
    flow = talk(fallback_text=SORRY)
    del flow["edges"]["n_model.error"]
    line = await new_line(services, owner, flow, endpoint_ms=300)
    with_model(services, Fails(RuntimeError("a fault of ours")))
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber("Prices"), talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: "".join(talks.texts[1:]).replace(" ", "") == sorry("phone", "en").replace(" ", ""))
        leg.hang_up()
