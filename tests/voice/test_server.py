"""Our server against the strict stand-in for Asterisk, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable

import pytest

from tests.voice import asterisk_stand_in as asterisk
from tests.voice.asterisk_stand_in import ASTERISK_20_6, MISLABELLED_ULAW, WIDE_CHANNEL, Leg, connect
from tests.voice.machines import tone
from voice.audiosocket import server
from voice.audiosocket.server import Line, Server
from voice.clock import Clock
from voice.playout import Playout

FRAME = b"\x10\x01\x40" + bytes(320)


class Party:
    """Holds one call: plays what it is told and notes what happens."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.line: Line | None = None
        self.playout: Playout | None = None
        self.audio = bytearray()
        self.digits = ""
        self.reasons: list[str] = []
        self.is_open = asyncio.Event()
        self.is_closed = asyncio.Event()

    def opened(self, line: Line) -> None:
        self.line = line
        self.playout = Playout(line, line.format)
        self.clock.join(self.playout)
        self.is_open.set()

    def heard(self, audio: bytes) -> None:
        self.audio += audio

    def pressed(self, digit: str) -> None:
        self.digits += digit

    def closed(self, reason: str) -> None:
        if self.playout is not None:
            self.clock.leave(self.playout)
        self.reasons.append(reason)
        self.is_closed.set()


class Office:
    """The server with everybody who may call."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.parties: dict[uuid.UUID, Party] = {}
        # Long, so that only the test of it meets this deadline, however slow the machine is.
        self.server = Server(self.parties.get, first_message_seconds=60)
        self.port = 0

    def announce(self) -> tuple[uuid.UUID, Party]:
        call_id = uuid.uuid4()
        self.parties[call_id] = Party(self.clock)
        return call_id, self.parties[call_id]


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    office.port = await office.server.open("127.0.0.1", 0)
    office.clock.start()
    yield office
    office.clock.stop()
    async with asyncio.timeout(5):
        await office.server.close()


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what is waited for happens on a socket)
            await asyncio.sleep(0.005)


async def over(leg: Leg) -> None:
    async with asyncio.timeout(5):
        await leg.over.wait()


@pytest.mark.parametrize("how", ["alone", "bytewise", "with audio"])
async def test_a_call_is_heard_and_hears_silence_until_it_hangs_up(office: Office, how: asterisk.Greeting) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id, how=how)
    await leg.say(tone(200))
    await until(lambda: tone(200) in bytes(party.audio))
    await until(lambda: len(leg.frames) >= 5)
    assert not any(leg.audio)
    leg.hang_up()
    await until(party.is_closed.is_set)
    assert party.reasons == ["hangup"]
    leg.check()


async def test_what_we_say_arrives_as_we_said_it(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    assert party.playout is not None
    party.playout.say("hello", tone(500))
    await party.playout.drained()
    await until(lambda: tone(500) in leg.audio)
    leg.check()
    leg.hang_up()


async def test_the_last_frame_is_heard_before_the_call_goes_back_to_the_dialplan(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    assert party.playout is not None
    assert party.line is not None
    party.playout.say("bye", tone(300))
    await party.playout.drained()
    party.line.end()
    await over(leg)
    assert leg.outcome == "continues"
    assert tone(300) in leg.audio
    await until(party.is_closed.is_set)
    assert party.reasons == ["ended"]
    leg.check()


async def test_what_the_peer_still_sends_after_our_farewell_does_not_fail(office: Office) -> None:
    call_id, party = office.announce()
    reader, writer = await asyncio.open_connection("127.0.0.1", office.port)
    writer.write(b"\x01\x00\x10" + call_id.bytes + FRAME)
    await party.is_open.wait()
    assert party.line is not None
    party.line.fetch_only()
    for _ in range(3):
        writer.write(FRAME)  # nobody fetches it
    await writer.drain()
    party.line.end()
    said = await reader.read()
    assert said.endswith(b"\x00\x00\x00")
    for _ in range(10):
        writer.write(FRAME)
        await writer.drain()
        await asyncio.sleep(0.005)
    assert party.reasons == []
    assert not party.line.speak(None), "nothing is said after a farewell"
    writer.close()
    await writer.wait_closed()
    await until(party.is_closed.is_set)
    assert party.reasons == ["ended"]


async def test_a_peer_that_does_not_close_after_our_farewell_is_not_waited_for_long(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ENDS_SECONDS", 0.1)
    call_id, party = office.announce()
    _, writer = await asyncio.open_connection("127.0.0.1", office.port)
    writer.write(b"\x01\x00\x10" + call_id.bytes + FRAME)
    await party.is_open.wait()
    assert party.line is not None
    party.line.end()
    await until(party.is_closed.is_set)
    assert party.reasons == ["ended"]
    writer.close()


async def test_a_line_that_is_only_fetched_hands_on_everything_and_notices_the_end(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    line = party.line
    assert line is not None
    line.fetch_only()
    already = len(party.audio)
    await leg.say(tone(200))
    assert len(party.audio) <= already + 320
    line.fetch()
    assert tone(200) in bytes(party.audio)
    leg.hang_up()

    def is_closed() -> bool:
        line.fetch()
        return party.is_closed.is_set()

    await until(is_closed)
    assert party.reasons == ["hangup"]


async def test_keys_arrive_and_their_gap_in_the_audio_ends_nothing(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    for digit in "1#":
        await leg.press(digit)
    await until(lambda: party.digits == "1#")
    assert party.reasons == []
    leg.check()
    leg.hang_up()


async def test_an_old_asterisk_has_no_keys_and_calls_our_end_an_error(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id, ASTERISK_20_6)
    await leg.press("1")
    await until(lambda: len(party.audio) > 3200)
    assert party.digits == ""
    assert party.line is not None
    party.line.end()
    await over(leg)
    assert leg.outcome == "error"
    leg.check()


async def test_a_wide_channel_is_answered_in_its_own_kind(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id, WIDE_CHANNEL)
    await party.is_open.wait()
    assert party.playout is not None
    assert party.playout.format.rate == 16_000
    party.playout.say("hello", tone(200, rate=16_000))
    await until(lambda: tone(200, rate=16_000) in leg.audio)
    leg.check()
    leg.hang_up()


async def test_mislabelled_mu_law_is_refused_with_what_to_write(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id, MISLABELLED_ULAW)
    await over(leg)
    await until(party.is_closed.is_set)
    assert "c(slin)" in party.reasons[0]
    assert office.server.counts.broken == 1


async def test_ten_milliseconds_of_real_samples_are_no_mu_law(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    leg.is_muted = True
    for _ in range(120):
        leg.write(b"\x10\x00\xa0" + bytes(160))
        await asyncio.sleep(0.002)
    await until(lambda: len(party.audio) >= 120 * 160)
    assert party.reasons == []
    leg.hang_up()


async def test_a_muted_phone_hears_us_all_the_same(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    leg.is_muted = True
    await until(lambda: len(leg.frames) > 110)
    assert party.reasons == []
    leg.check()
    leg.hang_up()


async def test_the_stand_in_hangs_up_when_both_sides_are_silent(office: Office) -> None:
    call_id, _ = office.announce()
    office.clock.stop()
    leg = await connect(office.port, call_id)
    leg.is_muted = True
    await over(leg)
    assert leg.dropped == "both sides were silent for 2 s"


async def test_an_unknown_call_and_a_second_connection_are_refused(office: Office) -> None:
    stranger = await connect(office.port, uuid.uuid4())
    await over(stranger)
    assert stranger.outcome == "continues"
    call_id, party = office.announce()
    first = await connect(office.port, call_id)
    await party.is_open.wait()
    second = await connect(office.port, call_id)
    await over(second)
    assert second.frames == []
    assert not first.over.is_set()
    assert party.reasons == []
    assert (office.server.counts.unknown_calls, office.server.counts.second_connections) == (1, 1)
    first.hang_up()
    await until(party.is_closed.is_set)
    party.is_open.clear()
    again = await connect(office.port, call_id)
    await party.is_open.wait()
    again.check()
    again.hang_up()


async def test_who_does_not_say_which_call_it_is_is_cut_off_in_time(office: Office) -> None:
    office.server.first_message_seconds = 0.1
    reader, writer = await asyncio.open_connection("127.0.0.1", office.port)
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()
    assert office.server.counts.silent_strangers == 1


@pytest.mark.parametrize(
    "first",
    [b"\x10\x01\x40" + bytes(320), b"\x03\x00\x011", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x05hello", bytes(3)],
)
async def test_who_begins_with_something_else_is_cut_off(office: Office, first: bytes) -> None:
    office.server.first_message_seconds = 0.1
    reader, writer = await asyncio.open_connection("127.0.0.1", office.port)
    writer.write(first)
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()
    assert office.server.lines == {}


async def test_a_second_name_on_one_connection_ends_it(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    leg.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
    await until(party.is_closed.is_set)
    assert party.reasons == ["named twice"]


async def test_too_many_strangers_are_turned_away(office: Office) -> None:
    pairs = [await asyncio.open_connection("127.0.0.1", office.port) for _ in range(70)]
    try:
        await until(lambda: office.server.counts.too_many_strangers == 6)
    finally:
        for _, writer in pairs:
            writer.close()
    await until(lambda: not office.server.strangers)


async def test_a_thousand_stale_frames_arrive_whole(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    leg.deliver_stale(1000)
    await until(lambda: len(party.audio) >= 320_000)
    leg.check()
    leg.hang_up()


async def test_a_peer_that_stops_reading_is_sent_silence_and_then_nothing(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id, receive_buffer=4096)
    await party.is_open.wait()
    leg.stop_reading()
    assert party.playout is not None
    party.playout.say("long", tone(60_000))
    await until(lambda: party.playout is not None and party.playout.counts.held > 10, 20)
    heard = party.playout.counts.spoken
    assert office.server.counts.silenced_frames > 10
    await until(lambda: party.playout is not None and party.playout.counts.held > 20, 20)
    assert party.playout.counts.spoken == heard, "what cannot be heard waits"
    await until(party.is_closed.is_set, 30)
    assert party.reasons == ["not reading"]
    assert office.server.counts.not_reading == 1
    leg.hang_up()


async def test_a_peer_that_pauses_for_a_moment_hears_everything(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id, receive_buffer=4096)
    await party.is_open.wait()
    assert party.playout is not None
    party.playout.say("long", tone(3000))
    leg.stop_reading()
    await until(lambda: party.playout is not None and party.playout.counts.held > 3, 20)
    leg.read_again()
    await party.playout.drained()
    await until(lambda: b"".join(f for _, f in leg.frames if any(f)) == tone(3000))
    assert leg.dropped == ""
    leg.hang_up()


async def test_every_frame_is_one_segment_without_delay(office: Office) -> None:
    call_id, party = office.announce()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    line = office.server.lines[call_id]
    assert line._transport is not None
    sock: socket.socket = line._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    leg.hang_up()


async def test_closing_gives_every_call_back_and_lets_nobody_in(office: Office) -> None:
    calls = [office.announce() for _ in range(5)]
    legs = [await connect(office.port, call_id) for call_id, _ in calls]
    for _, party in calls:
        await party.is_open.wait()
    async with asyncio.timeout(5):
        await office.server.close()
    for leg in legs:
        await over(leg)
        assert leg.outcome == "continues"
        leg.check()
    with pytest.raises(OSError, match="Connect"):
        await connect(office.port, calls[0][0])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x10\x00\x00", "audio of no length"),
        (b"\x03\x00\x011", "kind 0x03"),
        (b"\x12\x02\x80" + bytes(640), "kind 0x12"),
        (b"\x10\x01\x40" + bytes(100), "the payload came later than its header"),
    ],
)
async def test_the_stand_in_drops_the_call_for_what_asterisk_drops_it_for(
    office: Office, data: bytes, reason: str
) -> None:
    call_id, party = office.announce()
    office.clock.stop()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    line = office.server.lines[call_id]
    assert line._transport is not None
    line._transport.write(data)
    await over(leg)
    assert leg.dropped == reason
    with pytest.raises(AssertionError, match="Asterisk dropped the call"):
        leg.check()


async def test_the_stand_in_bears_a_stall_inside_a_header_and_objects_to_odd_lengths_and_bursts(office: Office) -> None:
    call_id, party = office.announce()
    office.clock.stop()
    leg = await connect(office.port, call_id)
    await party.is_open.wait()
    transport = office.server.lines[call_id]._transport
    assert transport is not None
    transport.write(b"\x10\x01")
    await asyncio.sleep(0.05)
    transport.write(b"\x40" + bytes(320))
    await until(lambda: len(leg.frames) == 1)
    leg.check()
    transport.write((b"\x10\x01\x40" + bytes(320)) * 2 + b"\x10\x00\x64" + bytes(100))
    await until(lambda: len(leg.frames) == 4)
    assert leg.dropped == ""
    assert leg.faults == ["a frame of 100 bytes"]
    assert leg.bursts > 0
    leg.hang_up()
