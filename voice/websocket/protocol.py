"""Asterisk's `chan_websocket` without a socket: bytes become the same packets as on AudioSocket, and frames become bytes.

Binary messages are audio, text messages are events and commands, in words or as JSON (Asterisk 20.16, 21.11, 22.6, 23.0 and
later). Asterisk calls us: the call's UUID is in the address it asks for.
"""

from __future__ import annotations

import json
import uuid
from typing import Final
from urllib.parse import parse_qs, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from voice.audiosocket.protocol import (
    RATES,
    AudioHeard,
    CallNamed,
    DigitReleased,
    EndReceived,
    Packet,
    WireBroken,
)
from voice.frames import AudioFormat

FORMATS: Final = {f"slin{name}": rate for name, rate in (
    ("", 8_000), ("12", 12_000), ("16", 16_000), ("24", 24_000), ("32", 32_000), ("44", 44_100), ("48", 48_000),
    ("96", 96_000), ("192", 192_000),
)}  # fmt: skip
"""Samples per second of each name that Asterisk has for signed linear audio."""
KINDS: Final = {rate: kind for kind, rate in RATES.items()}
NORMAL, BAD_DATA = 1000, 1003
MOST_TEXT: Final = 16_384
MOST_AUDIO: Final = 262_144
"""Bytes of one message, however many fragments it comes in; Asterisk's longest has 65 500."""


class Encoder:
    """Makes the messages of one connection; `kind` is that of the same rate on AudioSocket."""

    __slots__ = ("_connection", "format", "kind")

    def __init__(self, connection: WSConnection, rate: int) -> None:
        self._connection = connection
        self.kind = KINDS[rate]
        self.format = AudioFormat(rate)

    @property
    def silence(self) -> bytes:
        """The message of one silent frame."""
        return self.message(self.format.silence())

    def message(self, frame: bytes) -> bytes:
        """The message of exactly one frame. Raises: ValueError for another size."""
        if len(frame) != self.format.frame_bytes:
            raise ValueError(f"a frame at {self.format.rate} Hz has {self.format.frame_bytes} bytes, not {len(frame)}")
        try:
            return bytes(self._connection.send(BytesMessage(data=frame)))
        except LocalProtocolError:
            return b""  # the peer has said goodbye


class Decoder:
    """One connection, our side. `replies` are owed after each `feed`; `unknown` counts events that mean nothing to a call."""

    __slots__ = ("_audio", "_connection", "_is_open", "_replies", "_text", "rate", "unknown")

    def __init__(self) -> None:
        self._connection = WSConnection(ConnectionType.SERVER)
        self._replies = bytearray()
        self._audio = bytearray()
        self._text = ""
        self._is_open = False
        self.rate = 0
        self.unknown = 0

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete with `data`. Raises: WireBroken."""
        packets: list[Packet] = []
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                packets += self._packets(event)
        except RemoteProtocolError as error:
            raise WireBroken(f"this is no WebSocket: {error}") from None
        return packets

    def replies(self) -> bytes:
        """What has to be written now."""
        owed, self._replies = bytes(self._replies), bytearray()
        return owed

    def encoder(self, kind: int) -> Encoder:
        """For what we say, at the rate that Asterisk announced."""
        return Encoder(self._connection, self.rate or RATES[kind])

    def farewell(self) -> bytes:
        """Give the call back: the dialplan goes on after its Dial."""
        if not self._is_open:
            return b""
        self._is_open = False
        try:
            return bytes(self._connection.send(CloseConnection(code=NORMAL)))
        except LocalProtocolError:
            return b""

    @property
    def is_between_messages(self) -> bool:
        """Whether an end of the stream here cuts no message in two."""
        return not self._audio and not self._text

    def _packets(self, event: object) -> list[Packet]:
        if isinstance(event, Request):
            return self._asked(event)
        if isinstance(event, BytesMessage):
            self._audio += event.data
            if len(self._audio) > MOST_AUDIO:
                raise WireBroken("a message of audio is longer than Asterisk makes them")
            return self._heard() if event.message_finished else []
        if isinstance(event, TextMessage):
            self._text += event.data
            if len(self._text) > MOST_TEXT:
                raise WireBroken("an event is longer than Asterisk makes them")
            return self._told() if event.message_finished else []
        if isinstance(event, Ping):
            self._replies += self._connection.send(event.response())
        elif isinstance(event, CloseConnection):
            if self._is_open:
                self._is_open = False
                self._replies += self._connection.send(event.response())
            return [EndReceived()]
        return []

    def _asked(self, request: Request) -> list[Packet]:
        try:
            call_id = uuid.UUID(parse_qs(urlsplit(request.target).query).get("uuid", [""])[0])
        except ValueError:
            self._replies += self._connection.send(RejectConnection(status_code=400))
            raise WireBroken("the address has no uuid: write v(uuid=${CALL}) in Dial(WebSocket/...)") from None
        first = request.subprotocols[0] if request.subprotocols else None
        self._replies += self._connection.send(AcceptConnection(subprotocol=first))
        self._is_open = True
        return [CallNamed(call_id)]

    def _heard(self) -> list[Packet]:
        audio, self._audio = bytes(self._audio), bytearray()
        if len(audio) % 2:
            raise WireBroken(f"audio of {len(audio)} bytes is not made of 16-bit samples")
        return [AudioHeard(KINDS[self.rate or 8_000], audio)] if audio else []

    def _told(self) -> list[Packet]:
        text, self._text = self._text, ""
        name, values = _event(text)
        if name == "MEDIA_START":
            found = FORMATS.get(values.get("format", ""))
            if found is None:
                raise WireBroken(f"audio as {values.get('format')!r}: write c(slin) in Dial(WebSocket/...)")
            self.rate = found
        elif name == "DTMF_END" and len(values.get("digit", "")) == 1:
            return [DigitReleased(values["digit"].upper())]
        else:
            self.unknown += 1
        return []


def _event(text: str) -> tuple[str, dict[str, str]]:
    """Name and values of an event, in either of Asterisk's ways to write it."""
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return "", {}
        return str(found.get("event", "")), {k: v for k, v in found.items() if isinstance(v, str)}
    name, *rest = text.split()
    return name, dict(part.split(":", 1) for part in rest if ":" in part)
