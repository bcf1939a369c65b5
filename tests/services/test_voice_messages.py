"""Voice messages become words: decoded in a process of its own, heard once, and from there on text like any other."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from typing import Any
from uuid import uuid4

import av
import numpy as np
import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import Unreachable
from graph_runtime.contract.messages import Reply
from graph_runtime.services.principal import Principal
from graph_runtime.services.voice_messages import LONGEST_SECONDS, PIECE_SECONDS, RATE, VoiceMessages, decoded, pieces
from graph_runtime.storage.turns import LeasedTurn
from tests.fakes.hearing import KINDS, Hears, recording
from tests.services.flows import new_agent, node, wire

Admin = psycopg.Connection[tuple[Any, ...]]
ECHO = (
    node("n_ask", "ask", text="What?"),
    node("n_say", "send_message", text="Heard: {{ message.text }}"),
    wire("n_start.next", "n_ask"),
    wire("n_ask.answered", "n_say"),
    wire("n_say.next", "n_ask"),
)


def strongest(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


@pytest.mark.parametrize("mime", KINDS)
async def test_every_kind_is_decoded(mime: str) -> None:
    pcm = await decoded(recording(mime, 2.0), mime)
    assert abs(len(pcm) / 2 / RATE - 2.0) < 0.1
    assert abs(strongest(pcm) - 440) < 5


async def test_what_is_no_sound_or_refers_elsewhere_is_nothing(tmp_path: Any) -> None:
    wav = tmp_path / "a.wav"
    wav.write_bytes(recording("audio/wav", 1.0))
    for content in (
        b"",
        b"OggS" + bytes(500),
        recording("audio/ogg", 1.0)[:40],
        f"#EXTM3U\n{wav}\n".encode(),
        f"ffconcat version 1.0\nfile {wav}\n".encode(),
    ):
        for mime in KINDS:
            assert await decoded(content, mime) == b"", (content[:20], mime)
    assert await decoded(recording("audio/wav", 1.0), "image/png") == b""


async def test_a_film_is_no_voice_message() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        picture: Any = file.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        sound: Any = file.add_stream("aac", rate=44_100, layout="mono")
        file.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44_100
        file.mux(sound.encode(frame))
        for stream in (picture, sound):
            file.mux(stream.encode(None))
    assert await decoded(out.getvalue(), "video/mp4") == b""


async def test_what_is_too_long_is_heard_so_far() -> None:
    pcm = await decoded(recording("audio/wav", LONGEST_SECONDS + 20), "audio/wav")
    assert len(pcm) == LONGEST_SECONDS * RATE * 2


def test_long_sound_is_cut_where_it_is_quiet() -> None:
    loud = np.ones(RATE * 130, dtype=np.int16) * 5000
    for second in (47, 88):
        loud[second * RATE : second * RATE + RATE // 5] = 0
    found = [*pieces(loud.tobytes())]
    assert b"".join(found) == loud.tobytes()
    assert all(len(p) <= PIECE_SECONDS * RATE * 2 for p in found)
    ends = np.cumsum([len(p) / 2 / RATE for p in found])[:-1]
    assert [round(float(e)) for e in ends] == [47, 88]
    assert [*pieces(b"")] == []


class Chat:
    """Somebody who sends voice messages."""

    def __init__(self, services: Services, who: Principal, conversation_id: str) -> None:
        self.services, self.who, self.id = services, who, conversation_id

    async def send(self, text: str, *contents: bytes) -> str:
        """The agent's answer."""
        files = [await self.services.files.add(self.who, self.id, c) for c in contents]
        talks = self.services.conversations
        said = await talks.receive(
            self.who, self.id, Reply(text=text, attachments=tuple(files)), dedupe_key=uuid4().hex
        )
        await talks.wait_for_turn(self.who, self.id, said.inbox_id, 20)
        return str((await talks.get(self.who, self.id)).messages[-2]["text"])


@pytest.fixture
def hears(services: Services) -> Hears:
    found = Hears()
    runner = services.conversations._runner
    runner.voice_messages = VoiceMessages(services.database, found, runner._live.changed)
    return found


@pytest.fixture
async def chat(services: Services, owner: Principal, hears: Hears) -> Chat:
    agent, editor = await new_agent(services, owner, *ECHO)
    await services.publishing.publish(owner, agent.main_flow_id, revision=editor.revision)
    started = await services.conversations.start(owner, agent_id=agent.id, dedupe_key="begin", external_user_id="42")
    async with asyncio.timeout(10), services.conversations.watch(owner, started) as events:
        async for event in events:
            if event["type"] == "message":
                break
    return Chat(services, owner, started)


async def test_a_voice_message_is_answered_as_if_it_were_written(chat: Chat, hears: Hears, admin: Admin) -> None:
    assert await chat.send("", recording("audio/ogg", 3.0)) == "Heard: I need 3 chairs"
    ((request, size),) = hears.asked
    assert (request.rate, request.language) == (RATE, "en")
    assert abs(size / 2 / RATE - 3.0) < 0.1
    message = next(
        m for m in (await chat.services.conversations.get(chat.who, chat.id)).messages if m["role"] == "contact"
    )
    assert (message["text"], message["flags"]["from_speech"]) == ("I need 3 chairs", True)
    assert admin.execute("SELECT transcript FROM file").fetchall() == [("I need 3 chairs",)]
    assert await chat.send("Look:", recording("audio/mp4", 2.0), b"%PDF-1.7", recording("audio/wav", 5.0)) == (
        "Heard: Look:\nI need 2 chairs\nI need 5 chairs"
    )


async def test_a_turn_that_is_repeated_does_not_pay_again(chat: Chat, hears: Hears, services: Services) -> None:
    await chat.send("", recording("audio/wav", 2.0))
    messages = (await services.conversations.get(chat.who, chat.id)).messages
    (file_id,) = (p["file_id"] for m in messages for p in m["parts"] if p["kind"] == "media")
    turn = await _again(services, chat, file_id)
    assert turn.payload["reply"]["text"] == "I need 2 chairs"
    assert len(hears.asked) == 1
    message = next(m for m in (await services.conversations.get(chat.who, chat.id)).messages if m["role"] == "contact")
    assert message["text"] == "I need 2 chairs", "nothing is written twice"


async def _again(services: Services, chat: Chat, file_id: str) -> LeasedTurn:
    about = {"file_id": file_id, "name": "a.wav", "mime": "audio/wav", "size": 1}
    fields: dict[str, Any] = dict.fromkeys((f.name for f in dataclasses.fields(LeasedTurn)), None)
    turn = LeasedTurn(
        **fields | {"payload": {"reply": {"text": "", "attachments": [about]}}, "language": "en", "channel_kind": "api"}
    )
    voice = services.conversations._runner.voice_messages
    assert voice is not None
    return await voice.heard((chat.who.workspace_id, chat.id), turn)


async def test_what_cannot_be_heard_stays_a_file(chat: Chat, hears: Hears) -> None:
    hears.error = Unreachable("Nobody is there.")
    assert await chat.send("As I said", recording("audio/wav", 2.0)) == "Heard: As I said"
    hears.error = None
    assert await chat.send("So:", b"RIFF\x10\x00\x00\x00WAVEfmt " + bytes(60)) == "Heard: So:"
    hears.is_chosen = False
    assert await chat.send("Well:", recording("audio/wav", 2.0)) == "Heard: Well:"
    assert len(hears.asked) == 1


async def test_speech_without_keys_is_never_asked_for_free_speech(services: Services, owner: Principal) -> None:
    agent, _ = await new_agent(services, owner, *ECHO)
    if services.speech.works_without_keys():
        assert await services.speech.chosen_transcriber(owner.workspace_id, agent.id) is None
