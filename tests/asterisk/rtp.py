"""The sound of a phone call (RFC 3550, 3551, 4733): sent on a schedule of its own, received strictly and measured."""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import struct
import time
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from voice.wav import ALAW_TABLE, MULAW_TABLE, codes

RATE: Final = 8000
FRAME_SECONDS: Final = 0.02
FRAME_SAMPLES: Final = 160
PCMU, PCMA = 0, 8
KEYS: Final = "0123456789*#ABCD"
KEY_FRAMES: Final = 8
"""160 ms, as a thumb does it."""
LAST_PACKETS: Final = 3
LOUD: Final = 300.0
"""Root mean square, of 32768: above the noise of G.711, below every voice here."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One that came, with the monotonic second it came in."""

    at: float
    sequence: int
    timestamp: int
    payload: int
    level: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds between packets, and RFC 3550's jitter; `lost` of the sequence, `packets` that came."""

    packets: int
    p50: float
    p99: float
    longest: float
    jitter: float
    lost: int


@dataclass(slots=True)
class Heard:
    """What came so far."""

    packets: list[Packet] = field(default_factory=list)
    keys: str = ""
    faults: list[str] = field(default_factory=list)
    pcm: bytearray = field(default_factory=bytearray)

    def figures(self, since: float = 0.0) -> Figures:
        """Of the sound that came after a moment."""
        came = [p for p in self.packets if p.at >= since]
        if len(came) < 2:
            return Figures(len(came), math.nan, math.nan, math.nan, math.nan, 0)
        gaps = sorted((b.at - a.at) * 1000 for a, b in itertools.pairwise(came))
        jitter = 0.0
        for a, b in itertools.pairwise(came):
            transit = (b.at - a.at) * 1000 - (b.timestamp - a.timestamp) % (1 << 32) * 1000 / RATE
            jitter += (abs(transit) - jitter) / 16
        lost = (came[-1].sequence - came[0].sequence) % 65536 + 1 - len(came)
        return Figures(len(came), gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.99)], gaps[-1], jitter, lost)

    def loud_since(self, moment: float) -> float | None:
        """When the first loud packet came after a moment."""
        return next((p.at for p in self.packets if p.at >= moment and p.level > LOUD), None)

    def last_loud(self) -> float:
        """When the last loud packet came; 0 without one."""
        return next((p.at for p in reversed(self.packets) if p.level > LOUD), 0.0)


class Stream(asyncio.DatagramProtocol):
    """One socket of sound. `start` sends from then on, every 20 ms: what `say` gave it, else silence."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.payload = PCMU
        self.events = 101
        self.is_muted = False
        self.said = asyncio.Event()
        self.sent = 0
        self._to: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._waiting = bytearray()
        self._keys: list[str] = []
        self._is_down = False
        self._ssrc, self._sequence = secrets.randbits(32), secrets.randbits(16)
        self._timestamp = secrets.randbits(31)
        self._other: tuple[int, int, int] | None = None
        self._last_event = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # 3.11 has no common base

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def start(self, host: str, port: int) -> None:
        """Send there from now on; told another place, there."""
        self._to = (host, port)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="rtp")

    def say(self, pcm: bytes) -> None:
        """16 bits, 8 kHz, after what is being said."""
        self._waiting += pcm
        self.said.clear()

    @property
    def is_pressed(self) -> bool:
        """Every key was sent."""
        return not self._keys and not self._is_down

    def press(self, keys: str) -> None:
        """Keys, one after another."""
        assert all(key in KEYS for key in keys)
        self._keys += keys

    async def close(self) -> None:
        """Silence."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    async def _send(self) -> None:
        began, number = time.monotonic(), 0
        while True:
            await self._frame()
            number += 1
            if (late := time.monotonic() - began - number * FRAME_SECONDS) > 0.1:
                began += late  # a machine that stood still does not send all it missed
            await asyncio.sleep(max(0.0, began + number * FRAME_SECONDS - time.monotonic()))

    async def _frame(self) -> None:
        if self._keys:
            self._is_down = True
            await self._key(self._keys.pop(0))
            self._is_down = False
        elif not self.is_muted:
            size = FRAME_SAMPLES * 2
            piece = bytes(self._waiting[:size]).ljust(size, b"\0")
            del self._waiting[:size]
            if not self._waiting:
                self.said.set()
            self._packet(self.payload, encoded(piece, self.payload))
        self._timestamp = (self._timestamp + FRAME_SAMPLES) % (1 << 32)

    async def _key(self, key: str) -> None:
        """All packets of a key carry the moment it went down (RFC 4733, 2.5.1.2)."""
        event = KEYS.index(key)
        for frame in range(1, KEY_FRAMES + 1):
            self._packet(self.events, struct.pack("!BBH", event, 10, frame * FRAME_SAMPLES), is_marked=frame == 1)
            await asyncio.sleep(FRAME_SECONDS)
        for _ in range(LAST_PACKETS):
            self._packet(self.events, struct.pack("!BBH", event, 0x80 | 10, KEY_FRAMES * FRAME_SAMPLES))
        self._timestamp = (self._timestamp + KEY_FRAMES * FRAME_SAMPLES) % (1 << 32)

    def _packet(self, payload: int, body: bytes, *, is_marked: bool = False) -> None:
        head = struct.pack("!BBHII", 0x80, payload | is_marked << 7, self._sequence, self._timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) % 65536
        self.sent += 1
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(head + body, self._to)

    def datagram_received(self, data: bytes, addr: object) -> None:
        now = time.monotonic()
        if len(data) < 12 or data[0] >> 6 != 2:
            self.heard.faults.append("not RTP")
            return
        if 192 <= data[1] <= 223:
            return  # RTCP beside it
        _, kind, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        body = data[12 + 4 * (data[0] & 15) :]
        if kind & 127 == self.events:
            self._event(body, timestamp)
        elif kind & 127 != self.payload:
            self.heard.faults.append(f"payload type {kind & 127}, agreed was {self.payload}")
        else:
            self._sound(now, (sequence, timestamp, ssrc), body, is_marked=bool(kind & 128))

    def _event(self, body: bytes, timestamp: int) -> None:
        event, flags, _ = struct.unpack_from("!BBH", body)
        if flags & 0x80 and timestamp != self._last_event:
            self._last_event = timestamp
            self.heard.keys += KEYS[event] if event < len(KEYS) else "?"

    def _sound(self, now: float, place: tuple[int, int, int], body: bytes, *, is_marked: bool) -> None:
        if len(body) != FRAME_SAMPLES:
            self.heard.faults.append(f"a packet of {len(body)} samples")
        if self._other is not None and place[2] == self._other[2] and not is_marked:
            steps = (place[0] - self._other[0]) % 65536
            if not 0 < steps < 100:
                self.heard.faults.append(f"sequence {self._other[0]} → {place[0]}")
            elif (place[1] - self._other[1]) % (1 << 32) != steps * FRAME_SAMPLES and steps == 1:
                self.heard.faults.append(f"timestamp {self._other[1]} → {place[1]}")
        self._other = place
        pcm = decoded(body, self.payload)
        level = float(np.sqrt(np.mean(np.square(pcm.astype(np.float64))))) if len(pcm) else 0.0
        self.heard.packets.append(Packet(now, place[0], place[1], self.payload, level))
        self.heard.pcm += pcm.tobytes()


def encoded(pcm: bytes, payload: int) -> bytes:
    """G.711 of 16-bit samples."""
    return bytes(_CODES[payload][np.frombuffer(pcm, "<i2").view("<u2")].tobytes())


def decoded(body: bytes, payload: int) -> NDArray[np.int16]:
    """16-bit samples of G.711."""
    sound: NDArray[np.int16] = _TABLES[payload][np.frombuffer(body, "u1")].astype("<i2")
    return sound


_TABLES: Final = {PCMU: MULAW_TABLE, PCMA: ALAW_TABLE}
_CODES: Final = {payload: codes(table) for payload, table in _TABLES.items()}
