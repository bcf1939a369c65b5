"""Any segmentation of the bytes gives the same packets."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.audiosocket.protocol import (
    RATES,
    AudioHeard,
    CallNamed,
    Decoder,
    DigitReleased,
    Encoder,
    EndReceived,
    ErrorReceived,
    Packet,
    WireBroken,
)

CALL = uuid.UUID("7b0e4b6e-1df1-4a4c-9d2b-6f4f5a1f0d11")


def wire(kind: int, payload: bytes) -> bytes:
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload


samples = st.integers(1, 400).flatmap(lambda n: st.binary(min_size=2 * n, max_size=2 * n))
messages = st.one_of(
    st.uuids().map(lambda u: (wire(1, u.bytes), CallNamed(u))),
    st.tuples(st.sampled_from(sorted(RATES)), samples).map(lambda a: (wire(*a), AudioHeard(*a))),
    st.binary(min_size=320, max_size=320).map(lambda a: (wire(0x10, a), AudioHeard(0x10, a))),
    st.sampled_from("0123456789*#ABCD").map(lambda d: (wire(3, d.encode()), DigitReleased(d))),
    st.just((wire(0, b""), EndReceived())),
    st.binary(max_size=1).map(lambda b: (wire(0xFF, b), ErrorReceived(b[0] if b else 0))),
    st.tuples(st.integers(0x20, 0xFE), st.binary(max_size=40)).map(lambda a: (wire(*a), None)),
    st.sampled_from(sorted(RATES)).map(lambda kind: (wire(kind, b""), None)),
)


def joined(packets: list[Packet]) -> list[Packet]:
    """Audio is a stream: what follows one another in one kind is one, however it was cut."""
    found: list[Packet] = []
    for packet in packets:
        last = found[-1] if found else None
        if isinstance(packet, AudioHeard) and isinstance(last, AudioHeard) and last.kind == packet.kind:
            found[-1] = AudioHeard(last.kind, last.audio + packet.audio)
        else:
            found.append(packet)
    return found


def test_two_usual_messages_at_once_are_heard_as_one() -> None:
    one, other = bytes(320), bytes(range(160)) * 2
    assert Decoder().feed(wire(0x10, one) + wire(0x10, other)) == [AudioHeard(0x10, one + other)]


@given(st.lists(messages, max_size=12), st.data())
def test_any_segmentation_gives_the_same_packets(parts: list[tuple[bytes, Packet | None]], data: st.DataObject) -> None:
    stream = b"".join(raw for raw, _ in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    decoder = Decoder()
    found = [p for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for p in decoder.feed(stream[a:b])]
    assert joined(found) == joined([packet for _, packet in parts if packet is not None])
    assert decoder.is_between_messages
    unknown = [raw for raw, packet in parts if packet is None and raw[0] not in RATES]
    assert decoder.unknown == len(unknown)


def test_byte_by_byte() -> None:
    decoder = Decoder()
    stream = wire(1, CALL.bytes) + wire(0x10, b"ab" * 160) + wire(3, b"5")
    found = [p for i in range(len(stream)) for p in decoder.feed(stream[i : i + 1])]
    assert found == [CallNamed(CALL), AudioHeard(0x10, b"ab" * 160), DigitReleased("5")]


def test_a_usual_message_after_half_a_message_is_not_taken_for_a_whole_one() -> None:
    decoder = Decoder()
    inner = wire(0x10, bytes(320))
    stream = wire(0x10, bytes(1) + inner + bytes(2))
    assert decoder.feed(stream[:4]) == []
    assert decoder.feed(inner) == []
    assert decoder.feed(stream[-2:]) == [AudioHeard(0x10, bytes(1) + inner + bytes(2))]


@pytest.mark.parametrize("kind", sorted(RATES))
def test_a_frame_of_every_rate_comes_back(kind: int) -> None:
    encoder = Encoder(kind)
    frame = bytes(range(256)) * (encoder.format.frame_bytes // 256 + 1)
    frame = frame[: encoder.format.frame_bytes]
    assert len(frame) == RATES[kind] * 2 // 50
    assert Decoder().feed(encoder.message(frame)) == [AudioHeard(kind, frame)]
    assert Decoder().feed(encoder.silence) == [AudioHeard(kind, bytes(len(frame)))]


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (wire(1, b"short"), "5 bytes instead of 16"),
        (wire(0x10, b"odd"), "3 bytes is not made of 16-bit samples"),
        (wire(1, b""), "0 bytes instead of 16"),
    ],
)
def test_what_is_not_audiosocket_is_named(stream: bytes, why: str) -> None:
    with pytest.raises(WireBroken, match=why):
        Decoder().feed(stream)


@pytest.mark.parametrize("payload", [b"", b"12", b"\xff"])
def test_a_damaged_digit_is_skipped(payload: bytes) -> None:
    decoder = Decoder()
    assert decoder.feed(wire(3, payload) + wire(3, b"a")) == [DigitReleased("A")]
    assert decoder.unknown == 1


@pytest.mark.parametrize("size", [0, 100, 319, 321, 640])
def test_a_message_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="320 bytes"):
        Encoder().message(bytes(size))
