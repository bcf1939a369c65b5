"""Whole calls: a stand-in for Asterisk, our server, real services and database; speech is faked."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import numpy as np
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.phone_world import Line, new_line, phone_flow
from tests.services.test_call_language import SWITCHES
from tests.services.test_call_turns import TALK, Speaks, with_model
from tests.voice import sounds
from tests.voice.asterisk_stand_in import connect
from tests.voice.fake_speech import MS_PER_CHARACTER, FakeSynthesizer, FakeTranscriber
from tests.voice.voice_world import quiet, until, voice_process
from voice.call import Call
from voice.latency import Stamp
from voice.turn_taking import Decision, TurnEvent, TurnTaking
from voice.wav import MULAW_TABLE

BOOKING = phone_flow(
    {
        "n_hello": ("send_message", {"text": "Hello."}),
        "n_name": ("ask", {"text": "What is your name?", "kind": "text", "save_to": "name"}),
        "n_day": (
            "ask_choice",
            {
                "text": "{{ var.name }}, which day?",
                "options": [{"id": "mon", "label": "Monday"}, {"id": "tue", "label": "Tuesday"}],
            },
        ),
        "n_end": ("end", {"text": "See you then.", "result": "booked"}),
    },
    {
        "n_start.next": "n_hello",
        "n_hello.next": "n_name",
        "n_name.answered": "n_day",
        "n_day.mon": "n_end",
        "n_day.tue": "n_end",
        "n_day.other": "n_end",
    },
    variables={"name": {"type": "text", "label": "Name"}},
)
ANSWER = sounds.voice(800, seed=5, pitch=220, level_db=-20)
LOUD = sounds.voice(1000, seed=0, pitch=120, level_db=-16)
COUGH = LOUD[: 260 * 16]


@pytest.fixture
async def booking(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, BOOKING, endpoint_ms=400)


async def test_a_call_from_the_greeting_to_the_end(booking: Line, services: Services) -> None:
    hears, talks = FakeTranscriber("Olena", "Tuesday"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        assert talks.texts == ["Hello.", "What is your name?"]
        await leg.say(ANSWER)
        await until(lambda: len(talks.texts) > 2)
        await quiet(leg, call)
        assert any(text.startswith("Olena, which day?") for text in talks.texts[2:])
        await leg.say(ANSWER)
        async with asyncio.timeout(15):
            await leg.over.wait()
        assert leg.outcome == "continues"
        assert talks.texts[-1] == "See you then."
        await until(lambda: not process.switchboard.calls)
        assert await services.phone_calls.next(booking.secret, str(leg.call_id)) == "hangup"
        leg.check()
    for audio in hears.heard:
        # On a machine that is late, a little of a backlog is skipped.
        assert 600 <= len(audio) / 16 <= 800 + 400 + 700, "the utterance with what was before and after it"


async def test_keys_are_an_answer_and_interrupt(booking: Line, services: Services) -> None:
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber("Olena"), talks) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: call.turns.waits and call.turns.we_speak)
        await leg.press("2")
        async with asyncio.timeout(15):
            await leg.over.wait()
        assert talks.texts[-1] == "See you then."
        leg.check()


async def test_an_interruption_silences_us_at_once_and_the_transcript_keeps_what_was_heard(
    services: Services, owner: Principal
) -> None:
    line = await new_line(services, owner, TALK, endpoint_ms=400)
    story = "Once upon a time there was a very long answer. It went on and on. And nobody wanted to hear it. " * 2
    model = with_model(services, Speaks([story], ["Fine."]))
    hears, talks = FakeTranscriber("Tell me everything", "Stop"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: any("Once upon" in text for text in talks.texts))
        await until(lambda: call.turns.we_speak)
        await asyncio.sleep(1.5)
        began = time.monotonic()
        await leg.say(LOUD)
        await until(lambda: call.counts.interruptions == 1)
        silent = max(at for at, frame in leg.frames if any(frame) and at < began + 1.2)
        assert silent - began < 0.5
        await until(lambda: len(model.requests) == 2)
        await quiet(leg, call)
        said = [(m.role, m.text) for m in model.requests[1].messages]
        heard = next(text for role, text in said if role == "assistant" and text.startswith("Once"))
        assert len(heard) < len(story) / 2
        assert story.startswith(heard)
        assert said[-1] == ("user", "Stop")
        leg.check()
        assert call._dialogue is not None
        assert call._dialogue._phone is not None
        transcript = await services.conversations.transcript(owner, call._dialogue._phone.conversation_id, limit=100)
        (cut,) = [m for m in transcript.messages if m["flags"].get("interrupted")]
        first = next(m for m in transcript.messages if m["turn_id"] == cut["turn_id"] and m["role"] == "agent")
        assert first["flags"]["times"]["first_frame"] > 400, "an answer that was interrupted was waited for, too"
        leg.hang_up()


async def test_an_interruption_that_nobody_understands_goes_on_without_words(
    services: Services, owner: Principal
) -> None:
    flow = phone_flow(
        {
            "n_long": ("say", {"text": "Our garden has old trees and a terrace. " * 4, "waits_to_end": True}),
            "n_end": ("hang_up", {"text": "Goodbye.", "reason": "heard"}),
        },
        {"n_start.next": "n_long", "n_long.finished": "n_end", "n_long.interrupted": "n_end"},
    )
    line = await new_line(services, owner, flow, endpoint_ms=400)
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber(), talks) as process:
        leg, call = await process.dial(line)
        await until(lambda: call.turns.we_speak)
        await asyncio.sleep(1)
        await leg.say(LOUD)
        async with asyncio.timeout(15):
            await leg.over.wait()
        assert call.counts.interruptions == 1
        assert talks.texts[-1] == "Goodbye."
        leg.check()


async def test_a_cough_only_pauses_us(booking: Line, services: Services) -> None:
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber(), talks) as process:
        leg, call = await process.dial(booking)
        await until(lambda: call.turns.we_speak and "What is your name?" in talks.texts)
        await leg.say(COUGH)
        await quiet(leg, call)
        assert call.counts.interruptions == 0
        heard = sum(any(frame) for _, frame in leg.frames) * 20
        spoken = sum(max(len(text), 4) for text in talks.texts) * MS_PER_CHARACTER
        assert heard >= spoken * 0.8, "nothing of it is lost"
        leg.hang_up()


async def test_a_silent_caller_is_asked_again(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, BOOKING, no_input_ms=600)
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber(), talks) as process:
        leg, _ = await process.dial(line)
        async with asyncio.timeout(30):
            await leg.over.wait()
        assert talks.texts.count("What is your name?") == 3
        leg.check()


async def test_a_slow_model_is_bridged_and_no_silence_is_longer_than_a_second(
    services: Services, owner: Principal
) -> None:
    line = await new_line(services, owner, TALK, endpoint_ms=300)
    model = with_model(services, Speaks(["…", "Here you are."]))
    hears, talks = FakeTranscriber("Prices"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: "One second." in talks.texts)
        model.go_on.set()
        await until(lambda: "Here you are." in talks.texts)
        await quiet(leg, call)
        assert talks.texts.index("One second.") < talks.texts.index("Here you are.")
        leg.check()
        leg.hang_up()


async def test_a_voice_that_fails_gives_the_call_back(booking: Line, services: Services) -> None:
    talks = FakeSynthesizer()
    talks.fails = True
    async with voice_process(services, FakeTranscriber(), talks) as process:
        leg, _ = await process.dial(booking)
        async with asyncio.timeout(10):
            await leg.over.wait()
        assert leg.outcome == "continues"
        await until(lambda: not process.switchboard.calls)
        assert await services.phone_calls.next(booking.secret, str(leg.call_id)) == "hangup"


async def test_what_is_not_understood_is_asked_again(booking: Line, services: Services) -> None:
    hears, talks = FakeTranscriber(), FakeSynthesizer()
    hears.fails = True
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: talks.texts.count("What is your name?") == 2)
        leg.hang_up()


async def test_a_call_that_was_not_announced_is_closed(booking: Line, services: Services) -> None:
    async with voice_process(services, FakeTranscriber(), FakeSynthesizer()) as process:
        leg = await connect(process.port, uuid.uuid4())
        async with asyncio.timeout(5):
            await leg.over.wait()
        assert not any(leg.audio)
        await until(lambda: not process.switchboard.calls)


async def test_the_caller_hangs_up_in_the_middle_of_a_sentence(booking: Line, services: Services) -> None:
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber(), talks) as process:
        leg, call = await process.dial(booking)
        await until(lambda: call.turns.we_speak)
        leg.hang_up()
        await until(lambda: not process.switchboard.calls)
    assert await services.phone_calls.next(booking.secret, str(leg.call_id)) == "hangup"


async def test_another_process_takes_the_call_at_the_end_of_a_turn(booking: Line, services: Services) -> None:
    hears, talks = FakeTranscriber("Olena"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as first:
        leg, call = await first.dial(booking)
        await quiet(leg, call)
        await first.switchboard.leave(10)
        async with asyncio.timeout(5):
            await leg.over.wait()
        assert leg.outcome == "continues"
    assert await services.phone_calls.next(booking.secret, str(leg.call_id)) == "again"
    async with voice_process(services, hears, talks) as second:
        again = await connect(second.port, leg.call_id)
        await until(lambda: bool(second.switchboard.calls))
        call = next(iter(second.switchboard.calls))
        await quiet(again, call)
        await again.say(ANSWER)
        await until(lambda: any(text.startswith("Olena, which day?") for text in talks.texts))
        again.hang_up()


async def test_a_process_that_ends_hears_the_caller_out(booking: Line, services: Services) -> None:
    """Keys that were pressed before it was told to end, and words that are still being recognised."""
    hears, talks = FakeTranscriber("Olena"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        for key in "12":
            await leg.press(key)
        await until(lambda: call.turns.is_hearing)
        leaving = asyncio.create_task(process.switchboard.leave(15))
        await leg.press("#")
        await leaving
        assert [text for text in await line_texts(booking, call) if text.startswith("> ")] == ["> 12"]
        assert any(text.startswith("12, which day?") for text in talks.texts), "the answer to it is heard here"
        second, spoken = await process.dial(booking)
        await quiet(second, spoken)
        hears.hangs = True
        await second.say(ANSWER)
        await until(lambda: bool(spoken._results))
        leaving = asyncio.create_task(process.switchboard.leave(15))
        await asyncio.sleep(0.1)
        assert not second.over.is_set()
        hears.may_go.set()
        await leaving
        assert [text for text in await line_texts(booking, spoken) if text.startswith("> ")] == ["> Olena"]


async def test_a_caller_who_begins_while_the_call_is_given_away_is_heard_out(booking: Line, services: Services) -> None:
    async with voice_process(services, FakeTranscriber(), FakeSynthesizer()) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        let_go, written = process.house.phone.let_go, asyncio.Event()

        async def late(*arguments: Any, **more: Any) -> None:
            await let_go(*arguments, **more)
            await written.wait()

        services.phone_calls.let_go = late  # type: ignore[method-assign]  # a database that takes its time
        leaving = asyncio.create_task(process.switchboard.leave(15))
        await asyncio.sleep(0)
        await leg.press("1")
        await until(lambda: call.turns.is_hearing)
        written.set()
        for key in "2#":
            await leg.press(key)
        await leaving
        assert [text for text in await line_texts(booking, call) if text.startswith("> ")] == ["> 12"]
        assert leg.outcome == "continues"


async def test_a_process_that_ends_does_not_wait_for_a_noise(
    booking: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with voice_process(services, FakeTranscriber(), FakeSynthesizer()) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        is_heard, step = asyncio.Event(), TurnTaking.step

        def noticed(turns: TurnTaking, event: TurnEvent, now: float) -> list[Decision]:
            decisions = step(turns, event, now)
            if turns.is_hearing:
                is_heard.set()
            return decisions

        async def cough() -> None:
            while not (is_heard.is_set() or leg.over.is_set()):  # how it meets the windows of 32 ms decides
                await leg.say(COUGH[: 180 * 16].ljust(820 * 16, b"\0"))

        monkeypatch.setattr(TurnTaking, "step", noticed)
        coughing = asyncio.create_task(cough())
        async with asyncio.timeout(15):
            await is_heard.wait()
        async with asyncio.timeout(10):
            await process.switchboard.leave(15)
        await coughing
        assert leg.outcome == "continues"


async def line_texts(line: Line, call: Call) -> list[str]:
    assert call._dialogue is not None
    assert call._dialogue._phone is not None
    return await line.texts(call._dialogue._phone)


async def test_the_stamps_of_a_turn_are_in_order(booking: Line, services: Services) -> None:
    async with voice_process(services, FakeTranscriber("Olena"), FakeSynthesizer()) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: call.turns.we_speak)
        assert call._dialogue is not None
        latency = call._dialogue.latency
        stamps = latency.as_milliseconds()
        assert set(stamps) == {stamp.value for stamp in Stamp}
        assert list(stamps.values()) == sorted(stamps.values())
        assert latency.response_ms is not None
        assert latency.response_ms < 900
        leg.hang_up()


async def test_a_recorded_call_is_announced_and_both_sides_are_kept(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, BOOKING, is_recorded=True, recording_notice="We record this.")
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber("Olena"), talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        assert talks.texts[:2] == ["We record this.", "Hello."]
        await leg.say(ANSWER)
        await until(lambda: any(text.startswith("Olena") for text in talks.texts))
        await quiet(leg, call)
        leg.hang_up()
        await until(lambda: not process.switchboard.calls)
    sound = await services.call_recordings.open(owner, str(leg.call_id))
    content = b"".join([piece async for piece in services.call_recordings.read(owner, sound)])
    sides = MULAW_TABLE[np.frombuffer(content[58:], "u1")].reshape(-1, 2).astype(float)
    said, heard = np.abs(sides[:, 0]), np.abs(sides[:, 1])
    assert len(sides) / 8000 > len(leg.frames) * 0.02 - 0.5, "all but what passed before it began"
    assert said.max() > 1000
    assert heard.max() > 1000
    first = np.flatnonzero(heard > 500)[0], np.flatnonzero(said > 500)[0]
    assert first[0] < first[1], "we spoke first"


async def test_a_call_is_not_recorded_unless_its_line_says_so(booking: Line, services: Services) -> None:
    async with voice_process(services, FakeTranscriber(), FakeSynthesizer()) as process:
        leg, call = await process.dial(booking)
        await quiet(leg, call)
        assert call._recording is None
        leg.hang_up()


async def test_voice_and_recogniser_change_their_language_within_a_call(services: Services, owner: Principal) -> None:
    line = await new_line(services, owner, SWITCHES, endpoint_ms=400)
    hears, talks = FakeTranscriber("Українська", "Ірина"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await process.dial(line)
        await quiet(leg, call)
        await leg.say(ANSWER)
        await until(lambda: "Як вас звати?" in talks.texts)
        await quiet(leg, call)
        said = dict(zip(talks.texts, talks.languages, strict=True))
        assert [said[text] for text in ("Fine.", "Це номер 5 до 7.", "Як вас звати?")] == ["en", "uk", "uk"]
        assert call.turns.rules.language == "uk", "the words that do not interrupt"
        await leg.say(ANSWER)
        await until(lambda: len(hears.heard) > 1)
        assert [listening.request.language for listening in hears.listenings] == ["en", "uk"]
        leg.check()
