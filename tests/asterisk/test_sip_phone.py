"""The phone of the tests is strict: with another one like it, and against what is wrong on purpose."""

from __future__ import annotations

import asyncio
import socket
import time

import numpy as np
import pytest

from tests.asterisk.rtp import FRAME_SAMPLES, PCMA, PCMU, RATE, Heard, Packet, Stream, decoded, encoded
from tests.asterisk.sip import BadMessage, Message, Sound, authorization, challenge, fields, is_right, read, read_sdp
from tests.asterisk.sip_phone import Phone, Refused, phone

GOOD = (
    "INVITE sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKabc;rport\r\n"
    "From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:100@127.0.0.1>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
SINE = (np.sin(np.arange(RATE // 2) * 2 * np.pi * 440 / RATE) * 8000).astype("<i2").tobytes()


def test_a_message_is_read_as_it_was_written() -> None:
    message = read(GOOD.encode())
    assert (message.method, message.uri, message.branch, message.cseq) == (
        "INVITE", "sip:100@127.0.0.1", "z9hG4bKabc", (1, "INVITE"),
    )  # fmt: skip
    assert read(message.to_bytes().replace(b"Content-Length: 0\r\nContent-Length", b"Content-Length")) is not None
    assert read(GOOD.replace("From:", "f:").replace("Via:", "v:").encode()).get("from") == "<sip:a@127.0.0.1>;tag=1"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("z9hG4bK", "old", "magic"),
        ("Call-ID: x\r\n", "", "call-id"),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE", "another method"),
        ("Content-Length: 0", "Content-Length: 7", "length of the body"),
        ("SIP/2.0\r\n", "SIP/3.0\r\n", "first line"),
        ("To: <sip:100@127.0.0.1>", "To <sip:100@127.0.0.1>", "not a header"),
        ("To:", "From:", "from"),
        ("\r\n\r\n", "\r\n", "no empty line"),
    ],
)
def test_what_is_not_sip_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(BadMessage, match=says):
        read(GOOD.replace(old, new, 1).encode())


def test_a_session_is_read_as_it_was_written() -> None:
    sound = Sound("127.0.0.1", 4000, (8, 0), 96)
    assert read_sdp(sound.to_sdp()) == sound
    with pytest.raises(BadMessage, match="something else"):
        read_sdp(sound.to_sdp().replace("PCMA/8000", "G729/8000"))
    with pytest.raises(BadMessage, match="no place"):
        read_sdp(sound.to_sdp().replace("4000", "0"))


def test_the_digest_is_that_of_the_standard() -> None:
    """The example of RFC 2617, 3.5."""
    asked = 'Digest realm="testrealm@host.com", qop="auth", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    answer = (
        'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1"'
    )
    assert is_right(answer, asked, ("Mufasa", "Circle Of Life"), "GET")
    assert not is_right(answer, asked, ("Mufasa", "Circle of Life"), "GET")
    assert not is_right(answer, asked, ("Mufasa", "Circle Of Life"), "PUT")
    assert not is_right(answer, challenge("tests"), ("Mufasa", "Circle Of Life"), "GET")
    own = authorization(asked, ("Mufasa", "Circle Of Life"), "GET", "/dir/index.html")
    assert is_right(own, asked, ("Mufasa", "Circle Of Life"), "GET")
    assert fields(own)["opaque"] == fields(asked)["opaque"]


@pytest.mark.parametrize("payload", [PCMU, PCMA])
def test_sound_survives_g711(payload: int) -> None:
    sound = np.frombuffer(SINE, "<i2").astype(np.int32)
    back = decoded(encoded(SINE, payload), payload).astype(np.int32)
    assert np.abs(sound - back).max() <= 512
    assert not decoded(encoded(bytes(320), PCMU), PCMU).any()


def test_figures_are_those_of_the_packets() -> None:
    heard = Heard()
    at = [0.0, 0.02, 0.04, 0.08, 0.1]
    heard.packets = [Packet(t, 65534 + n & 65535, n * FRAME_SAMPLES, PCMU, 0) for n, t in enumerate(at)]
    del heard.packets[2]
    figures = heard.figures()
    assert (figures.packets, figures.lost) == (4, 1)
    assert figures.longest == pytest.approx(60)
    assert 0 < figures.jitter < 3
    assert (heard.figures(since=0.09).packets, heard.figures(since=0.09).lost) == (1, 0)


async def _pair(stack: list[Phone]) -> None:
    one, two = stack
    call = await one.begin(two.uri)
    connecting = asyncio.create_task(one.connect(call))
    rung = await two.rung()
    rung.ring()
    async with asyncio.timeout(5):
        await call.ringing.wait()
    assert rung.caller == one.user
    await rung.answer()
    await connecting
    began = time.monotonic()
    call.sound.say(SINE)
    rung.sound.press("4#")
    async with asyncio.timeout(10):
        while call.sound.heard.keys != "4#" or rung.sound.heard.last_loud() == 0:  # noqa: ASYNC110 (packets)
            await asyncio.sleep(0.02)
        await call.sound.said.wait()
    loud = rung.sound.heard.loud_since(began)
    assert loud is not None
    assert loud - began < 0.5
    assert call.sound.heard.last_loud() == 0, "a key is no sound"
    figures = rung.sound.heard.figures()
    assert (figures.lost, figures.packets > 15) == (0, True)
    await rung.hang_up()
    async with asyncio.timeout(5):
        await call.over.wait()
    assert not call.sound.heard.faults + rung.sound.heard.faults


@pytest.mark.parametrize("payloads", [(PCMU, PCMA), (PCMA,)])
async def test_two_phones_talk(payloads: tuple[int, ...]) -> None:
    async with phone("100", "right") as one, phone("200", guard=("100", "right")) as two:
        one.payloads = two.payloads = payloads
        await _pair([one, two])


async def test_a_phone_that_may_not_is_told_so_and_one_that_may_is_registered() -> None:
    async with phone("registrar", guard=("100", "right")) as server:
        place = ("127.0.0.1", server.port)
        async with phone("100", "right", server=place) as one, phone("100", "wrong", server=place) as other:
            await one.register()
            assert server.registered == {"sip:100@127.0.0.1": one.uri}
            with pytest.raises(Refused) as refused:
                await other.register()
            assert refused.value.status == 401
            with pytest.raises(Refused):
                await other.call("200")


async def test_a_call_is_refused_or_given_up() -> None:
    async with phone("100") as one, phone("200") as two:
        call = await one.begin(two.uri)
        connecting = asyncio.create_task(one.connect(call))
        await (await two.rung()).refuse(603, "Decline")
        with pytest.raises(Refused) as refused:
            await connecting
        assert refused.value.status == 603
        call = await one.begin(two.uri)
        connecting = asyncio.create_task(one.connect(call))
        rung = await two.rung()
        await one.cancel(call)
        with pytest.raises(Refused) as refused:
            await connecting
        assert refused.value.status == 487
        async with asyncio.timeout(5):
            await rung.over.wait()


async def test_a_lost_message_is_sent_again() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.setblocking(False)
        async with phone("100", server=("127.0.0.1", deaf.getsockname()[1])) as one:
            registering = asyncio.create_task(one.register())
            async with asyncio.timeout(5):
                first, _ = await loop.sock_recvfrom(deaf, 4096)
                second, addr = await loop.sock_recvfrom(deaf, 4096)
            assert first == second
            asked = read(second)
            kept = tuple(h for h in asked.headers if h[0] in ("via", "from", "to", "call-id", "cseq", "contact"))
            await loop.sock_sendto(deaf, Message(kept, status=200, reason="OK").to_bytes(), addr)
            await registering


async def test_sound_that_is_not_as_agreed_is_a_fault() -> None:
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_datagram_endpoint(Stream, local_addr=("127.0.0.1", 0))
    head = bytes.fromhex("80000001 00000000 00000007")
    stream.datagram_received(b"\x00" * 20, None)
    stream.datagram_received(head + b"\xff" * 80, None)
    stream.datagram_received(bytes([0x80, 3]) + head[2:] + b"\xff" * 160, None)
    stream.datagram_received(head[:3] + b"\x02" + bytes.fromhex("00000001 00000007") + b"\xff" * 160, None)
    stream.datagram_received(head[:3] + b"\x02" + bytes.fromhex("00000001 00000007") + b"\xff" * 160, None)
    assert stream.heard.faults == [
        "not RTP", "a packet of 80 samples", "payload type 3, agreed was 0", "timestamp 0 → 1", "sequence 2 → 2",
    ]  # fmt: skip
    await stream.close()
