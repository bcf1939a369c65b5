"""Calls over Asterisk's WebSocket channel: the wire, and the same pipeline behind it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from wsproto import ConnectionType, WSConnection
from wsproto.events import BytesMessage, CloseConnection, Ping, Request, TextMessage

from tests.voice.machines import tone
from tests.voice.websocket_stand_in import dialed
from voice.audiosocket.protocol import AudioHeard, CallNamed, DigitReleased, EndReceived, Packet, WireBroken
from voice.audiosocket.server import Line, Server
from voice.websocket.protocol import Decoder

CALL = uuid.UUID("0198f0a1-0000-7000-8000-000000000001")
START = "MEDIA_START connection_id:patchcord channel:WebSocket/patchcord/0x7f channel_id:1.2 format:{} optimal_frame_size:{} ptime:20"


def asked(target: str = f"/call?uuid={CALL}") -> tuple[WSConnection, bytes]:
    peer = WSConnection(ConnectionType.CLIENT)
    return peer, peer.send(Request(host="voice", target=target, subprotocols=["media"]))


def spoken(peer: WSConnection, decoder: Decoder) -> bytes:
    """What Asterisk says on a connection that is open."""
    peer.receive_data(decoder.replies())
    list(peer.events())
    return b"".join(
        peer.send(message)
        for message in (
            TextMessage(START.format("slin16", 640)), BytesMessage(bytes(640)), TextMessage("DTMF_END digit:5 channel_id:1.2"),
            TextMessage('{"event":"DTMF_END","channel_id":"1.2","digit":"#"}'), TextMessage("MEDIA_XOFF channel_id:1.2"),
            BytesMessage(b"\1\0" * 320), Ping(b"x"), CloseConnection(1000),
        )
    )  # fmt: skip


@given(st.integers(min_value=1, max_value=400))
def test_any_segmentation_gives_the_same_packets(size: int) -> None:
    decoder = Decoder()
    peer, request = asked()
    packets: list[Packet] = []
    for at in range(0, len(request), size):
        packets += decoder.feed(request[at : at + size])
    assert packets == [CallNamed(CALL)]
    data = spoken(peer, decoder)
    packets = []
    for at in range(0, len(data), size):
        packets += decoder.feed(data[at : at + size])
    assert packets == [
        AudioHeard(0x12, bytes(640)), DigitReleased("5"), DigitReleased("#"), AudioHeard(0x12, b"\1\0" * 320), EndReceived(),
    ]  # fmt: skip
    assert decoder.unknown == 1
    assert decoder.replies(), "a ping and a close are answered"
    assert decoder.encoder(0x10).message(bytes(640)) == b"", "nothing is said after goodbye"


def test_what_is_no_call() -> None:
    for target in ("/call", "/call?uuid=me"):
        decoder = Decoder()
        with pytest.raises(WireBroken, match="uuid"):
            decoder.feed(asked(target)[1])
        assert b"400" in decoder.replies()
    with pytest.raises(WireBroken, match="no WebSocket"):
        Decoder().feed(b"\x01\x00\x10" + bytes(16) + b"\r\n\r\n")
    for message, reason in (
        (TextMessage(START.format("ulaw", 160)), "c\\(slin\\)"), (BytesMessage(b"\1\2\3"), "16-bit"), (TextMessage("x" * 20_000), "longer"),
        (BytesMessage(bytes(300_000), message_finished=False), "longer"),
    ):  # fmt: skip
        decoder = Decoder()
        peer, request = asked()
        decoder.feed(request)
        peer.receive_data(decoder.replies())
        list(peer.events())
        with pytest.raises(WireBroken, match=reason):
            decoder.feed(peer.send(message))


@dataclass
class Ears:
    """Keeps what a call would get."""

    line: Line | None = None
    audio: bytes = b""
    digits: str = ""
    reason: str = ""
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    is_closed: asyncio.Event = field(default_factory=asyncio.Event)

    def opened(self, line: Line) -> None:
        self.line = line
        self.is_open.set()

    def heard(self, audio: bytes) -> None:
        self.audio += audio

    def pressed(self, digit: str) -> None:
        self.digits += digit

    def closed(self, reason: str) -> None:
        self.reason = reason
        self.is_closed.set()


@pytest.mark.parametrize("is_json", [False, True])
async def test_a_call(is_json: bool) -> None:
    ears = Ears()
    server = Server(lambda call_id: ears if call_id == CALL else None, wire=Decoder)
    port = await server.open("127.0.0.1", 0)
    channel = await dialed(port, CALL, is_json=is_json)
    running = asyncio.create_task(channel.run())
    async with asyncio.timeout(10):
        await ears.is_open.wait()
        assert ears.line is not None
        assert ears.line.format.rate == 8000
        sound = tone(400)
        channel.saying = [sound[at : at + 320] for at in range(0, len(sound), 320)]
        await channel.tell("DTMF_END", digit="7", channel_id="1.1")
        for at in range(0, len(sound), 320):
            assert ears.line.speak(sound[at : at + 320])
            await asyncio.sleep(0.02)
        ears.line.speak(None)
        while sound not in ears.audio or len(channel.played) < 21:  # noqa: ASYNC110 (a socket brings it)
            await asyncio.sleep(0.01)
        assert b"".join(channel.played)[: len(sound)] == sound
        assert channel.longest_queue <= 5, "paced by us, so that an interruption is heard at once"
        assert ears.digits == "7"
        ears.line.end()
        await channel.over.wait()
        await running
    assert (channel.fault, channel.close_code, ears.reason) == ("", 1000, "ended")
    await server.close()


async def test_who_hangs_up_and_who_is_not_let_in() -> None:
    ears = Ears()
    server = Server(lambda call_id: ears if call_id == CALL else None, wire=Decoder)
    port = await server.open("127.0.0.1", 0)
    async with asyncio.timeout(10):
        channel = await dialed(port, CALL)
        running = asyncio.create_task(channel.run())
        await ears.is_open.wait()
        await channel.connection.close()
        await ears.is_closed.wait()
        await running
        assert ears.reason == "hangup"
        stranger = await dialed(port)
        with pytest.raises(websockets.ConnectionClosed):
            await stranger.connection.recv()
        with pytest.raises(websockets.InvalidStatus):
            await connect(f"ws://127.0.0.1:{port}/call")
    assert (server.counts.unknown_calls, server.counts.broken) == (1, 1)
    await server.close()
