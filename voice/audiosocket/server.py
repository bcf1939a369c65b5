"""The door that Asterisk connects to: lets announced calls in, once each, and hands their audio on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from voice.audiosocket.protocol import (
    RATES,
    AudioHeard,
    CallNamed,
    Decoder,
    DigitReleased,
    EndReceived,
    ErrorReceived,
    Packet,
    WireBroken,
)
from voice.frames import AudioFormat

SILENT_ABOVE_BYTES = 8_000
CLOSED_ABOVE_BYTES = 32_000
FIRST_MESSAGE_SECONDS = 2.0
USUAL_KIND = 0x10
ASSUME_AFTER_SECONDS = 0.3
"""A line on which nothing was heard until then is spoken on at 8 kHz."""

MOST_STRANGERS = 64
"""Connections that have not said yet which call they carry."""

SEND_BUFFER_BYTES = 16_384
"""Small, so that a peer that stops reading is noticed after about a second instead of a minute."""

FETCH_BYTES = 4096
ENDS_SECONDS = 1.0
"""A peer that does not close after our farewell is waited for so long; Asterisk takes a millisecond."""

ULAW_FRAME_BYTES = 160
ULAW_PROOF_FRAMES = 50


class Ears(Protocol):
    """Whoever holds the call; every method returns at once."""

    def opened(self, line: Line) -> None:
        """The rate is known; from now on the line can be spoken on."""
        ...

    def heard(self, audio: bytes) -> None:
        """Samples from the caller at `line.format`."""
        ...

    def pressed(self, digit: str) -> None:
        """A key of the phone was released."""
        ...

    def closed(self, reason: str) -> None:
        """Nothing follows. `hangup` is the caller's, `ended` our own; anything else is a fault by name."""
        ...


Admit = Callable[[uuid.UUID], Ears | None]
"""Who holds the call of this id; None when no such call was announced."""


@dataclass(slots=True)
class Counts:
    """What happened at the door since the process started."""

    connections: int = 0
    unknown_calls: int = 0
    second_connections: int = 0
    silent_strangers: int = 0
    too_many_strangers: int = 0
    broken: int = 0
    silenced_frames: int = 0
    not_reading: int = 0


class Messages(Protocol):
    """What is said on a line: AudioSocket's `Encoder`, or another wire's."""

    @property
    def kind(self) -> int: ...
    @property
    def format(self) -> AudioFormat: ...
    @property
    def silence(self) -> bytes: ...
    def message(self, frame: bytes) -> bytes: ...


class Wire(Protocol):
    """How one connection is read: AudioSocket's `Decoder`, or that of another way in; its docstrings hold."""

    def feed(self, data: bytes) -> list[Packet]: ...
    def replies(self) -> bytes: ...
    def encoder(self, kind: int) -> Messages: ...
    def farewell(self) -> bytes: ...
    @property
    def is_between_messages(self) -> bool: ...


class Line(asyncio.Protocol):
    """One connection. Frames go out with `speak`, one write each.

    What arrives is handed on at once, or after `fetch_only` when `fetch` is called. Reading and writing then go past the
    event loop straight to the socket: for hundreds of calls its share would be as large as the system's.
    """

    __slots__ = (
        "_deadline", "_decoder", "_ears", "_encoder", "_fd", "_first_audio_at", "_is_clogged", "_is_fetched", "_reason",
        "_server", "_transport", "_ulaw_frames", "call_id",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._decoder: Wire = server.wire()
        self._encoder: Messages | None = None
        self._ears: Ears | None = None
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reason = ""
        self._ulaw_frames = 0
        self._first_audio_at = 0.0
        self._fd = -1
        self._is_fetched = False
        self._is_clogged = False
        """Whether the transport may still hold something that has to go out first."""

        self.call_id: uuid.UUID | None = None

    @property
    def format(self) -> AudioFormat:
        """What both sides speak; known with the first audio. Raises: RuntimeError before it."""
        if self._encoder is None:
            raise RuntimeError("Nothing was heard on this line yet.")
        return self._encoder.format

    @property
    def is_open(self) -> bool:
        """Whether frames still go anywhere."""
        return self._transport is not None and not self._reason and not self._transport.is_closing()

    def speak(self, frame: bytes | None) -> bool:
        """Send one frame, silence for None. False when the caller will not hear it: the peer does not keep up or is gone.

        Raises: ValueError for a frame of another size.
        """
        transport, encoder = self._transport, self._encoder
        if transport is None or encoder is None or self._reason or transport.is_closing():
            return False
        message = encoder.silence if frame is None else encoder.message(frame)
        if not self._is_clogged:
            return self._write(message, transport)
        waiting = transport.get_write_buffer_size()
        if not waiting:
            self._is_clogged = False
            return self._write(message, transport)
        if waiting <= SILENT_ABOVE_BYTES:
            transport.write(message)
            return True
        self._server.counts.silenced_frames += 1
        if waiting > CLOSED_ABOVE_BYTES:
            self._server.counts.not_reading += 1
            self._fail("not reading")
        else:
            transport.write(encoder.silence)
        return False

    def _write(self, message: bytes, transport: asyncio.Transport) -> bool:
        """Past the event loop; what does not go out at once waits in the transport."""
        try:
            sent = os.write(self._fd, message)
        except BlockingIOError:
            sent = 0
        except OSError:
            transport.abort()
            return False
        if sent < len(message):
            self._is_clogged = True
            transport.write(message[sent:])
        return True

    def fetch_only(self) -> None:
        """From now on hand on what arrives only when `fetch` is called, which must be every few tens of milliseconds."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._is_fetched = True

    def fetch(self) -> None:
        """Hand on what has arrived."""
        transport = self._transport
        if not self._is_fetched or transport is None or transport.is_closing():
            return
        size = FETCH_BYTES
        while size == FETCH_BYTES and not transport.is_closing():
            try:
                data = os.read(self._fd, FETCH_BYTES)
            except BlockingIOError:
                return
            except OSError:
                transport.abort()
                return
            size = len(data)
            if size:
                self.data_received(data)
            else:
                self.eof_received()
                transport.close()

    def end(self) -> None:
        """Give the call back to Asterisk's dialplan.

        What it still sends is read until it closes: closing at once, with its last frames unread or on their way, would make
        its next write fail, and a write that fails ends the call instead of going on with the dialplan.
        """
        transport = self._transport
        if transport is None or self._reason or transport.is_closing():
            return
        self._reason = "ended"
        self._forget_deadline()
        transport.write(self._decoder.farewell())
        try:
            transport.write_eof()
        except OSError:  # the peer is gone, and nobody has noticed yet
            transport.close()
            return
        if self._is_fetched:
            self._is_fetched = False
            transport.resume_reading()
        self._deadline = asyncio.get_running_loop().call_later(ENDS_SECONDS, transport.close)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the call's name, not for long."""
        self._transport = cast(asyncio.Transport, transport)
        sock: socket.socket = self._transport.get_extra_info("socket")
        self._fd = sock.fileno()
        _set_up(sock)
        self._server.counts.connections += 1
        if len(self._server.strangers) >= MOST_STRANGERS:
            self._server.counts.too_many_strangers += 1
            self._fail("too many strangers")
            return
        self._server.strangers.add(self)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._server.first_message_seconds, self._stayed_silent)

    def data_received(self, data: bytes) -> None:
        """Hand on what is complete."""
        if self._reason:
            return
        try:
            packets = self._decoder.feed(data)
            self._reply()
            for packet in packets:
                if not self._reason:
                    self._take(packet)
        except WireBroken as error:
            self._reply()
            self._server.counts.broken += 1
            self._fail(f"broken: {error}")

    def _reply(self) -> None:
        if (owed := self._decoder.replies()) and self._transport is not None and not self._transport.is_closing():
            self._is_clogged = True
            self._transport.write(owed)

    def eof_received(self) -> None:
        """A bare end of file is how Asterisk says that the caller hung up."""
        if not self._reason:
            self._reason = "hangup" if self._decoder.is_between_messages else "cut off"

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the call, once."""
        self._forget_deadline()
        self._server.strangers.discard(self)
        ears, self._ears = self._ears, None
        if self.call_id is not None and self._server.lines.get(self.call_id) is self:
            del self._server.lines[self.call_id]
        if ears is not None:
            # Closing with our last frames unread makes the kernel send a reset: that is a hang-up, too.
            ears.closed(self._reason or ("hangup" if self._decoder.is_between_messages else "cut off"))
        self._server.note_closed()

    def _take(self, packet: Packet) -> None:
        if isinstance(packet, AudioHeard):
            self._take_audio(packet)
        elif isinstance(packet, CallNamed):
            self._take_name(packet.call_id)
        elif self._ears is None:
            self._fail("unnamed")
        elif isinstance(packet, DigitReleased):
            self._ears.pressed(packet.digit)
        elif isinstance(packet, EndReceived):
            self._fail("hangup")
        elif isinstance(packet, ErrorReceived):
            self._fail(f"error {packet.code} from the peer")

    def _take_audio(self, packet: AudioHeard) -> None:
        if self._ears is None:
            self._fail("unnamed")
            return
        if self._encoder is None:
            self._open(packet.kind)
        if self._encoder is not None and packet.kind != self._encoder.kind:
            self._fail(f"the rate changed from {self.format.rate} to {RATES[packet.kind]} Hz")
        elif len(packet.audio) == ULAW_FRAME_BYTES and packet.kind == 0x10 and self._is_ulaw():
            self._server.counts.broken += 1
            self._fail("mislabelled audio: write c(slin) in Dial(AudioSocket/.../c(slin))")
        else:
            self._ears.heard(packet.audio)

    def _is_ulaw(self) -> bool:
        """160 bytes are 10 ms of samples, or 20 ms of mu-law that Asterisk calls samples: their pace tells which."""
        self._ulaw_frames += 1
        if self._ulaw_frames != ULAW_PROOF_FRAMES:
            return False
        seconds = time.monotonic() - self._first_audio_at
        return seconds > ULAW_PROOF_FRAMES * 0.015

    def _take_name(self, call_id: uuid.UUID) -> None:
        if self.call_id is not None:
            self._server.counts.broken += 1
            self._fail("named twice")
            return
        self._forget_deadline()
        self._server.strangers.discard(self)
        if call_id in self._server.lines:
            self._server.counts.second_connections += 1
            self._fail("second connection")
            return
        self._ears = None if self._server.is_closing else self._server.admit(call_id)
        if self._ears is None:
            self._server.counts.unknown_calls += 1
            self._fail("unknown call")
            return
        self.call_id = call_id
        self._server.lines[call_id] = self
        self._deadline = asyncio.get_running_loop().call_later(ASSUME_AFTER_SECONDS, self._open, USUAL_KIND)

    def _open(self, kind: int) -> None:
        """Fix the rate and let the call speak; a caller whose phone sends nothing must not hear nothing."""
        self._forget_deadline()
        if self._encoder is None and self._ears is not None:
            self._encoder = self._decoder.encoder(kind)
            self._first_audio_at = time.monotonic()
            self._ears.opened(self)

    def _stayed_silent(self) -> None:
        self._server.counts.silent_strangers += 1
        self._fail("unnamed")

    def _fail(self, reason: str) -> None:
        self._reason = self._reason or reason
        if self._transport is not None:
            if reason == "not reading":
                self._transport.abort()  # closing would wait for a peer that takes nothing
            else:
                self._transport.close()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server:
    """Listens for Asterisk; `lines` holds the connection of every call that has one."""

    def __init__(
        self,
        admit: Admit,
        *,
        first_message_seconds: float = FIRST_MESSAGE_SECONDS,
        wire: Callable[[], Wire] = Decoder,
    ) -> None:
        self.admit = admit
        self.wire = wire
        self.first_message_seconds = first_message_seconds
        self.lines: dict[uuid.UUID, Line] = {}
        self.strangers: set[Line] = set()
        self.counts = Counts()
        self.is_closing = False
        self._listening: asyncio.Server | None = None
        self._emptied = asyncio.Event()

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port (0 asks for any). Raises: OSError."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Line(self), host, port, backlog=1024)
        return int(self._listening.sockets[0].getsockname()[1])

    def stop_listening(self) -> None:
        """Let nobody new in; calls that are connected go on."""
        self.is_closing = True
        if self._listening is not None:
            self._listening.close()
        for line in list(self.strangers):
            line.end()

    async def close(self) -> None:
        """Give every call back to the dialplan and wait until they are gone."""
        self.stop_listening()
        for line in list(self.lines.values()):
            line.end()
        while self.lines or self.strangers:
            self._emptied.clear()
            await self._emptied.wait()

    def note_closed(self) -> None:
        """A connection is gone."""
        self._emptied.set()


def _set_up(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a host that vanished is noticed after this, not after hours
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
