"""Between the soft and the hard end of what a caller says: the model is asked, nothing is said, and a pause is only a pause."""

from __future__ import annotations

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.phone_world import new_line
from tests.services.test_call_turns import TALK, Speaks, with_model
from tests.voice import sounds
from tests.voice.fake_speech import FakeSynthesizer, FakeTranscriber
from tests.voice.voice_world import quiet, until, voice_process
from voice.turn_taking import Phase

ANSWER = sounds.voice(800, seed=5, pitch=220, level_db=-20)
MORE = sounds.voice(1500, seed=0, pitch=120, level_db=-16)
LONG_PAUSE_MS = 4_000
"""Until the hard end: long enough to look at what happens before it, on any machine."""


async def test_the_model_is_asked_at_the_soft_end_and_heard_after_the_hard_one(
    services: Services, owner: Principal
) -> None:
    line = await new_line(services, owner, TALK, endpoint_ms=LONG_PAUSE_MS)
    model = with_model(services, Speaks(["Two euros."]))
    hears, talks = FakeTranscriber("Prices?"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: len(model.requests) == 1)
        assert call.turns.phase is Phase.SOFT, "the caller may still go on"
        assert talks.texts == ["How can I help?"]
        assert not call.turns.we_speak
        await until(lambda: "Two euros." in talks.texts)
        await quiet(leg, call)
        assert talks.texts == ["How can I help?", "Let me see.", "Two euros.", "How can I help?"]
        assert len(model.requests) == 1
        leg.check()
        leg.hang_up()


async def test_a_caller_who_goes_on_after_a_pause_is_answered_once_to_the_whole(
    services: Services, owner: Principal
) -> None:
    line = await new_line(services, owner, TALK, endpoint_ms=LONG_PAUSE_MS)
    # A syllable that the detector misses is one more probable end, and all is recognised once more.
    whole, answer = "Prices, no, a table", ["A table, yes."]
    model = with_model(services, Speaks(["Two", "…"], answer, answer, answer))
    hears, talks = FakeTranscriber("Prices", whole, whole, whole), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await model.asked.wait()
        await leg.say(MORE)
        await until(lambda: model.cancelled >= 1)
        assert call.turns.phase is not Phase.IDLE, "in the middle of what the caller says"
        await until(lambda: "A table, yes." in talks.texts)
        await quiet(leg, call)
        assert talks.texts == ["How can I help?", "Let me see.", "A table, yes.", "How can I help?"]
        first, *others = [r.messages[-1].text for r in model.requests]
        assert (first, {*others}) == ("Prices", {whole})
        leg.check()
        leg.hang_up()


async def test_keys_in_the_pause_take_the_place_of_the_words(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, TALK, endpoint_ms=LONG_PAUSE_MS)
    model = with_model(services, Speaks(["Two", "…"], ["Number four."]))
    async with voice_process(services, FakeTranscriber("Prices"), FakeSynthesizer()) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await model.asked.wait()
        await leg.press("4")
        await leg.press("#")
        await until(lambda: len(model.requests) == 2)
        assert model.cancelled == 1
        assert model.requests[1].messages[-1].text == "4"
        leg.hang_up()


async def test_a_caller_who_hangs_up_in_the_pause_leaves_no_connection_open(
    services: Services, owner: Principal
) -> None:
    line = await new_line(services, owner, TALK, endpoint_ms=LONG_PAUSE_MS)
    model = with_model(services, Speaks(["Two", "…"]))
    async with voice_process(services, FakeTranscriber("Prices"), FakeSynthesizer()) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await model.asked.wait()
        leg.hang_up()
        await until(lambda: model.cancelled == 1)
        await until(lambda: not process.switchboard.calls)
