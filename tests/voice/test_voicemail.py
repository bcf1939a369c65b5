"""A message of the caller: where it ends, what is kept of it, and that hanging up does not lose it."""

from __future__ import annotations

import asyncio
import io
import wave

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.calls import Record
from graph_runtime.services.principal import Principal
from tests.phone_world import Line, new_line, phone_flow
from tests.voice import sounds
from tests.voice.asterisk_stand_in import Leg
from tests.voice.fake_speech import FakeSynthesizer, FakeTranscriber
from tests.voice.voice_world import VoiceProcess, until, voice_process
from voice.call import Call
from voice.voicemail import TONE_MS, Message

WINDOW = bytes(512)
VOICE = b"\x01\x02" * 256
SPOKEN = sounds.voice(1600, seed=5, pitch=220, level_db=-20)


def feed(message: Message, voiced: int, silent: int) -> None:
    for _ in range(voiced):
        message.window(True, VOICE)
    for _ in range(silent):
        message.window(False, WINDOW)


def test_a_silence_ends_it_and_is_cut_off() -> None:
    message = Message(Record(silence_ms=2000), None, "en")
    feed(message, 31, 62)
    assert not message.over.is_set()
    feed(message, 0, 1)
    assert message.over.is_set()
    assert message.was_left
    assert 992 + 300 - 32 <= message.duration_ms <= 992 + 300
    with wave.open(io.BytesIO(message.wav())) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 8000)
        assert file.getnframes() == message.duration_ms * 8


def test_a_pause_does_not_end_it_but_its_length_does() -> None:
    message = Message(Record(longest_ms=3000), None, "en")
    for _ in range(40):
        feed(message, 2, 1)
    assert message.over.is_set()
    assert message.duration_ms <= 3000 + 32


def test_only_its_own_keys_end_it() -> None:
    message = Message(Record(stops_on="*"), None, "en")
    feed(message, 20, 0)
    message.press("#")
    assert not message.over.is_set()
    message.press("*")
    assert message.over.is_set()
    length = message.duration_ms
    feed(message, 20, 0)
    assert message.duration_ms == length


def test_nobody_spoke() -> None:
    message = Message(Record(silence_ms=1000), None, "en")
    feed(message, 3, 32)
    assert message.over.is_set()
    assert not message.was_left


async def test_a_line_without_any_audio_ends_it() -> None:
    message = Message(Record(silence_ms=500), None, "en")
    async with asyncio.timeout(10):
        await message.ended()
    assert not message.was_left


async def test_it_is_written_down_pause_by_pause() -> None:
    hears = FakeTranscriber("Hello.", "Call me back.")
    message = Message(Record(silence_ms=3000), hears, "en")
    feed(message, 30, 25)
    feed(message, 0, 20)
    feed(message, 30, 95)
    await message.ended()
    assert await message.text() == "Hello. Call me back."
    assert len(hears.listenings) == 2, "silence between sentences is nobody's"


async def test_what_cannot_be_understood_is_kept_without_words() -> None:
    hears = FakeTranscriber("Hello.")
    hears.fails = True
    message = Message(Record(), hears, "en")
    feed(message, 30, 0)
    message.stop()
    assert await message.text() == ""
    assert message.was_left


MAILBOX = phone_flow(
    {
        "n_record": ("record", {"text": "After the tone, please.", "save_to": "words", "silence_seconds": 1}),
        "n_thanks": ("hang_up", {"text": "Thank you, {{ var.words }}.", "reason": "message"}),
        "n_none": ("hang_up", {"text": "Nobody spoke.", "reason": "empty"}),
    },
    {"n_start.next": "n_record", "n_record.recorded": "n_thanks", "n_record.silence": "n_none"},
    variables={"words": {"type": "text", "label": "Words"}},
)


@pytest.fixture
async def mailbox(services: Services, owner: Principal) -> Line:
    return await new_line(services, owner, MAILBOX)


async def _recording(process: VoiceProcess, line: Line) -> tuple[Leg, Call]:
    leg, call = await process.dial(line)
    await until(lambda: call._message is not None)
    return leg, call


async def _kept(line: Line, call: Call) -> tuple[bytes, str]:
    """The sound in the transcript and the words beside it."""
    assert call._dialogue is not None
    phone = call._dialogue._phone
    assert phone is not None
    transcript = await line.services.conversations.transcript(line.owner, phone.conversation_id, limit=50)
    message = next(m for m in transcript.messages if m["role"] == "contact")
    sound = next(p for p in message["parts"] if p["kind"] == "media")
    return (await line.services.files.read(line.owner, sound["file_id"])).content, message["text"]


async def test_a_message_is_recorded_written_down_and_kept(mailbox: Line, services: Services) -> None:
    hears, talks = FakeTranscriber("Call me tomorrow"), FakeSynthesizer()
    async with voice_process(services, hears, talks) as process:
        leg, call = await _recording(process, mailbox)
        assert any(leg.audio[-TONE_MS * 16 :]), "the tone was heard"
        await leg.say(SPOKEN)
        async with asyncio.timeout(20):
            await leg.over.wait()
        assert talks.texts == ["After the tone, please.", "Thank you, Call me tomorrow."]
        await until(lambda: not process.switchboard.calls)
    content, words = await _kept(mailbox, call)
    assert words == "Call me tomorrow"
    with wave.open(io.BytesIO(content)) as file:
        seconds = file.getnframes() / file.getframerate()
        audio = file.readframes(file.getnframes())
    assert 1.6 <= seconds <= 2.6
    assert SPOKEN[16_000:16_320] in audio, "what is kept is what was said"
    leg.check()


async def test_the_key_ends_it_at_once(mailbox: Line, services: Services) -> None:
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber("Bye"), talks) as process:
        leg, _ = await _recording(process, mailbox)
        await leg.say(SPOKEN[:16_000])
        await leg.press("#")
        async with asyncio.timeout(20):
            await leg.over.wait()
        assert talks.texts[-1] == "Thank you, Bye."
        leg.check()


async def test_nobody_speaks_after_the_tone(mailbox: Line, services: Services) -> None:
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber(), talks) as process:
        leg, _ = await _recording(process, mailbox)
        async with asyncio.timeout(20):
            await leg.over.wait()
        assert talks.texts[-1] == "Nobody spoke."


@pytest.mark.parametrize("dialplan_tells", [True, False])
async def test_a_caller_who_hangs_up_has_left_a_message(
    mailbox: Line, services: Services, dialplan_tells: bool
) -> None:
    async with voice_process(services, FakeTranscriber("Call me"), FakeSynthesizer()) as process:
        leg, call = await _recording(process, mailbox)
        await leg.say(SPOKEN)
        if dialplan_tells:
            await services.phone_calls.hung_up(mailbox.secret, str(leg.call_id), 16)
        leg.hang_up()
        await until(lambda: not process.switchboard.calls)
    assert call._dialogue is not None
    assert call._dialogue._phone is not None
    assert await mailbox.status(call._dialogue._phone) == ("ended", "message")
    assert (await _kept(mailbox, call))[1] == "Call me"


async def test_a_recording_is_played_and_its_words_are_spoken_when_it_cannot_be(
    services: Services, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = {"what": "recording", "text": "Welcome."}
    flow = phone_flow(
        {
            "n_good": ("say", pieces | {"recording_url": "https://example.com/welcome.wav"}),
            "n_bad": ("say", {"what": "recording", "text": "Hours.", "recording_url": "https://example.com/hours.mp3"}),
            "n_end": ("hang_up", {"text": "Bye.", "reason": "played"}),
        },
        {"n_start.next": "n_good", "n_good.finished": "n_bad", "n_bad.finished": "n_end"},
    )
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(SPOKEN)
    asked: list[str] = []

    async def fetch(url: str, *, seconds: float) -> bytes:
        asked.append(url)
        return file.getvalue() if url.endswith(".wav") else b"ID3" + bytes(900)

    monkeypatch.setattr(services.phone_calls._sounds._http, "fetch", fetch)
    line = await new_line(services, owner, flow)
    talks = FakeSynthesizer()
    async with voice_process(services, FakeTranscriber(), talks) as process:
        leg, _ = await process.dial(line)
        async with asyncio.timeout(20):
            await leg.over.wait()
        assert SPOKEN[3200:6400] in leg.audio
        assert sorted(talks.texts) == ["Bye.", "Hours."]
        second, call = await process.dial(line)
        await until(lambda: SPOKEN[3200:6400] in second.audio)
        assert asked.count("https://example.com/welcome.wav") == 1, "it is fetched once"
        second.hang_up()
        await quiet_end(process, call)
        leg.check()


async def quiet_end(process: VoiceProcess, call: Call) -> None:
    await until(lambda: call not in process.switchboard.calls)
