"""AudioSocket without a socket: bytes become packets and frames become bytes.

A message is one byte of kind, two bytes of length (big-endian) and the payload, as Asterisk's `res_audiosocket` has it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cache

from voice.frames import AudioFormat

HEADER_BYTES = 3
KIND_END = 0x00
KIND_ID = 0x01
KIND_DIGIT = 0x03
KIND_ERROR = 0xFF
RATES = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Samples per second of each audio kind."""

END_MESSAGE = bytes(HEADER_BYTES)
"""Tells Asterisk that the call continues in its dialplan."""

USUAL_HEADER = b"\x10\x01\x40"
USUAL_MESSAGE_BYTES = HEADER_BYTES + 320


class WireBroken(Exception):
    """The peer does not speak AudioSocket; nothing that follows can be trusted. The message names the byte at fault."""


@dataclass(frozen=True, slots=True)
class CallNamed:
    """The first message: which call this connection carries."""

    call_id: uuid.UUID


@dataclass(slots=True)  # not frozen: that would take three times as long, 50 times a second for each call
class AudioHeard:
    """Audio from the caller; usually one frame or two. `kind` says the rate, see `RATES`."""

    kind: int
    audio: bytes


@dataclass(frozen=True, slots=True)
class DigitReleased:
    """A key of the caller's phone was let go: 0-9, *, #, A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class EndReceived:
    """The peer ends the call in words. Asterisk itself only closes the connection."""


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    """The peer reports an error; `code` is its first byte, or 0."""

    code: int


Packet = CallNamed | AudioHeard | DigitReleased | EndReceived | ErrorReceived


class Decoder:
    """Turns what arrives, in pieces of any size, into packets.

    `unknown` counts messages that are skipped: kinds we do not know and digits of a wrong length.
    """

    __slots__ = ("_rest", "unknown")

    def __init__(self) -> None:
        self._rest = b""
        self.unknown = 0

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete with `data`. Raises: WireBroken."""
        if not self._rest and data.startswith(USUAL_HEADER):
            if len(data) == USUAL_MESSAGE_BYTES:
                return [AudioHeard(0x10, data[HEADER_BYTES:])]
            if len(data) == 2 * USUAL_MESSAGE_BYTES and data.startswith(USUAL_HEADER, USUAL_MESSAGE_BYTES):
                second = USUAL_MESSAGE_BYTES + HEADER_BYTES
                return [AudioHeard(0x10, data[HEADER_BYTES:USUAL_MESSAGE_BYTES] + data[second:])]
        data = self._rest + data if self._rest else data
        packets: list[Packet] = []
        at, size = 0, len(data)
        while size - at >= HEADER_BYTES:
            kind = data[at]
            end = at + HEADER_BYTES + (data[at + 1] << 8 | data[at + 2])
            if end > size:
                break
            packet = self._packet(kind, data[at + HEADER_BYTES : end])
            if packet is not None:
                packets.append(packet)
            at = end
        self._rest = data[at:]
        return packets

    def replies(self) -> bytes:
        """AudioSocket asks nothing that would have to be answered."""
        return b""

    def encoder(self, kind: int) -> Encoder:
        """For what we say on this connection."""
        return _encoder(kind)

    def farewell(self) -> bytes:
        """Give the call back to the dialplan."""
        return END_MESSAGE

    @property
    def is_between_messages(self) -> bool:
        """Whether an end of the stream here cuts no message in two."""
        return not self._rest

    def _packet(self, kind: int, payload: bytes) -> Packet | None:
        if kind in RATES:
            if len(payload) % 2:
                raise WireBroken(f"audio of {len(payload)} bytes is not made of 16-bit samples")
            return AudioHeard(kind, payload) if payload else None
        if kind == KIND_DIGIT and len(payload) == 1 and payload.isascii():
            return DigitReleased(payload.decode("ascii").upper())
        if kind == KIND_ID:
            if len(payload) != 16:
                raise WireBroken(f"the call's id has {len(payload)} bytes instead of 16")
            return CallNamed(uuid.UUID(bytes=payload))
        if kind == KIND_END:
            return EndReceived()
        if kind == KIND_ERROR:
            return ErrorReceived(payload[0] if payload else 0)
        self.unknown += 1
        return None


class Encoder:
    """Makes the messages of connections of one kind of audio: the kind that was heard on each of them first."""

    __slots__ = ("_frame_bytes", "_header", "format", "kind", "silence")

    def __init__(self, kind: int = 0x10) -> None:
        self.kind = kind
        self.format = AudioFormat(RATES[kind])
        self._header = bytes((kind,)) + self.format.frame_bytes.to_bytes(2, "big")
        self.silence = self._header + self.format.silence()
        self._frame_bytes = self.format.frame_bytes

    def message(self, frame: bytes) -> bytes:
        """The message of exactly one frame. Raises: ValueError for another size, which Asterisk would play badly."""
        if len(frame) != self._frame_bytes:
            raise ValueError(f"a frame at {self.format.rate} Hz has {self._frame_bytes} bytes, not {len(frame)}")
        return self._header + frame


_encoder = cache(Encoder)
