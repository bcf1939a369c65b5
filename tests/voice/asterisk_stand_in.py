"""A peer as unforgiving as Asterisk's AudioSocket: it drops the call for what Asterisk drops it for, and says why.

What it does was measured against Asterisk 22.10.1. It has its own reader of the wire, so that a mistake in ours shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import socket
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, cast

FRAME_SECONDS = 0.020
PAYLOAD_STALL_SECONDS = 0.005
BOTH_SILENT_SECONDS = 2.0
DIGIT_SECONDS = 0.180
BURST_SECONDS = 0.015
"""More than two frames in 20 ms are a burst; 5 ms are left for the two ends' own schedules."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of Asterisk or of channel."""

    kind: int = 0x10
    frame_bytes: int = 320
    sends_digits: bool = True
    ends_well: bool = True
    """Whether the dialplan continues when our server ends the call; old versions call it an error."""


ASTERISK_22 = Profile()
ASTERISK_20_6 = Profile(sends_digits=False, ends_well=False)
WIDE_CHANNEL = Profile(kind=0x12, frame_bytes=640)
MISLABELLED_ULAW = Profile(frame_bytes=160)

Greeting = Literal["alone", "bytewise", "with audio"]


@dataclass(slots=True)
class Timing:
    """Gaps between our frames as they arrived, in milliseconds."""

    p50: float
    p99: float
    longest: float
    frames: int


class Leg(asyncio.Protocol):
    """One AudioSocket connection, from Asterisk's side.

    `dropped` is why Asterisk would have hung up, or "". `faults` are things it bears and a test must not. `outcome` is
    `continues` (we gave the call back), `redirected`, `error` or `hangup` once it is over.
    """

    def __init__(self, call_id: uuid.UUID, profile: Profile, mouths: Mouths | None = None) -> None:
        self.call_id = call_id
        self.profile = profile
        self.dropped = ""
        self.faults: list[str] = []
        self.outcome = ""
        self.frames: list[tuple[float, bytes]] = []
        self.microphone: deque[bytes] = deque()
        self.is_muted = False
        self.spoke_at = 0.0
        """When the last frame of what was to be said went out."""
        self.over = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._stall: asyncio.TimerHandle | None = None
        self._active_at = time.monotonic()
        self._mouth: asyncio.Task[None] | None = None
        self._mouths = mouths
        self._in_digit = False
        self._was_heard = False

    # what Asterisk sends

    async def greet(self, how: Greeting) -> None:
        """The first message, then 20 ms of audio every 20 ms."""
        name = b"\x01\x00\x10" + self.call_id.bytes
        if how == "bytewise":
            for byte in name:
                self.write(bytes((byte,)))
                await asyncio.sleep(0)
        else:
            self.write(name + (self._message(self._silence) if how == "with audio" else b""))
        if self._mouths is not None:
            self._mouths.join(self)
        else:
            self._mouth = asyncio.create_task(self._speak())

    async def say(self, audio: bytes) -> None:
        """The caller says it, in real time; returns with its last frame."""
        size = self.profile.frame_bytes
        padded = audio.ljust(math.ceil(len(audio) / size) * size, b"\0")
        self.microphone.extend(padded[i : i + size] for i in range(0, len(padded), size))
        while self.microphone and not self.over.is_set():  # noqa: ASYNC110 (real time is what passes here)
            await asyncio.sleep(FRAME_SECONDS)

    async def press(self, digit: str) -> None:
        """A key, told at its release, with no audio while it is down."""
        self._in_digit = True
        await asyncio.sleep(DIGIT_SECONDS)
        if self.profile.sends_digits:
            self.write(b"\x03\x00\x01" + digit.encode())
        self._in_digit = False

    def hang_up(self) -> None:
        """A bare end of file at the end of a frame; no message says so."""
        self._finish("hangup")

    def redirected(self) -> None:
        """Somebody sent the channel elsewhere in the dialplan: a bare end of file, as when the caller hangs up."""
        self._finish("redirected")

    def deliver_stale(self, frames: int) -> None:
        """What piled up during a standstill, all at once."""
        self.write(self._message(self._silence) * frames)

    def stop_reading(self) -> None:
        """As a host that is busy elsewhere."""
        assert self._transport is not None
        self._transport.pause_reading()

    def read_again(self) -> None:
        """Everything that piled up arrives now."""
        assert self._transport is not None
        self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Anything at all."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # what the test asks

    @property
    def audio(self) -> bytes:
        """Everything that we sent, as the caller hears it."""
        return b"".join(frame for _, frame in self.frames)

    @property
    def timing(self) -> Timing:
        """How evenly frames came."""
        gaps = sorted((b - a) * 1000 for (a, _), (b, _) in itertools.pairwise(self.frames))
        return Timing(gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.99)], gaps[-1], len(self.frames))

    @property
    def bursts(self) -> int:
        """How often more than two frames came in 20 ms; only tests of timing ask, whose event loop does nothing else."""
        times = [at for at, _ in self.frames]
        return sum(c - a < BURST_SECONDS for a, c in zip(times, times[2:], strict=False))

    def speech_began(self, after: float = 0.0) -> float | None:
        """When the first frame that is not silence arrived after that moment (monotonic)."""
        return next((at for at, frame in self.frames if at > after and any(frame)), None)

    def check(self) -> None:
        """Raises: AssertionError for anything Asterisk would not like."""
        assert self.dropped == "", f"Asterisk dropped the call: {self.dropped}"
        assert self.faults == []

    # what arrives

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._active_at = now = time.monotonic()
        self._buffer += data
        while len(self._buffer) >= 3 and not self.over.is_set():
            kind, length = self._buffer[0], int.from_bytes(self._buffer[1:3], "big")
            if len(self._buffer) < 3 + length:
                if self._stall is None:
                    self._stall = asyncio.get_running_loop().call_later(PAYLOAD_STALL_SECONDS, self._stalled)
                return
            self._forget_stall()
            payload, self._buffer = self._buffer[3 : 3 + length], self._buffer[3 + length :]
            self._take(kind, payload, now)

    def eof_received(self) -> None:
        """Closing is as good as the message that ends the call, even inside a header."""
        self._finish("continues" if self.profile.ends_well else "error")

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_stall()
        self._finish("error" if exc is not None or not self.profile.ends_well else "continues")

    def _take(self, kind: int, payload: bytes, now: float) -> None:
        if kind == 0x00:
            self._finish("continues" if self.profile.ends_well else "error")
        elif kind != self.profile.kind:
            self._drop(f"kind 0x{kind:02x}")
        elif not payload:
            self._drop("audio of no length")
        else:
            if len(payload) != self.profile.frame_bytes:
                self.faults.append(f"a frame of {len(payload)} bytes")
            self._was_heard = True
            self.hear(now, payload)

    def hear(self, now: float, payload: bytes) -> None:
        """A frame came; whoever keeps something else of it says so here."""
        self.frames.append((now, payload))

    def _stalled(self) -> None:
        self._drop("the payload came later than its header")

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _drop(self, reason: str) -> None:
        self.dropped = self.dropped or reason
        if self._transport is not None:
            self._transport.abort()
        self._finish("error")

    def _finish(self, outcome: str) -> None:
        if not self.outcome:
            self.outcome = outcome
        self.over.set()
        if self._mouth is not None:
            self._mouth.cancel()
        if self._mouths is not None:
            self._mouths.leave(self)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    @property
    def _silence(self) -> bytes:
        return bytes(self.profile.frame_bytes)

    def _message(self, frame: bytes) -> bytes:
        return bytes((self.profile.kind,)) + len(frame).to_bytes(2, "big") + frame

    def _spoken(self, frame: bytes | None) -> None:
        self.write(self._message(self._silence if frame is None else frame))
        if frame is not None:
            self.spoke_at = time.monotonic()

    async def _speak(self) -> None:
        due = time.monotonic()
        while True:
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.tick()

    def tick(self) -> None:
        """20 ms have passed."""
        if not (self.is_muted or self._in_digit):
            self._spoken(self.microphone.popleft() if self.microphone else None)
            self._active_at = time.monotonic() if not self._was_heard else self._active_at
        if self.is_muted and time.monotonic() - self._active_at > BOTH_SILENT_SECONDS:
            self._drop("both sides were silent for 2 s")


class Mouths:
    """One clock that speaks for many legs: a hundred tasks that wake 50 times a second are more than a loop bears."""

    SLOTS = 10

    def __init__(self) -> None:
        self._slots: list[list[Leg]] = [[] for _ in range(self.SLOTS)]

    def join(self, leg: Leg) -> None:
        """Speak for it from now on."""
        min(self._slots, key=len).append(leg)

    def leave(self, leg: Leg) -> None:
        """It is over."""
        for slot in self._slots:
            if leg in slot:
                slot.remove(leg)

    async def run(self) -> None:
        """Until it is cancelled."""
        due = time.monotonic()
        while True:
            for slot in self._slots:
                due += FRAME_SECONDS / self.SLOTS
                if (late := time.monotonic() - due) > 0.1:
                    due += late  # a machine that stood still does not send all it missed
                elif late < 0:
                    await asyncio.sleep(-late)
                for leg in list(slot):
                    leg.tick()


@dataclass(frozen=True, slots=True)
class Telephone:
    """What a call's legs are made of, where a test wants them to be something else."""

    leg: type[Leg] = Leg
    mouths: Mouths | None = None


async def connect(
    port: int,
    call_id: uuid.UUID,
    profile: Profile = ASTERISK_22,
    how: Greeting = "alone",
    *,
    receive_buffer: int = 0,
    telephone: Telephone = Telephone(),
) -> Leg:
    """The application AudioSocket() begins. Raises: OSError when nobody listens, as without `TryExec`."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(2):
            await loop.sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    _, leg = await loop.create_connection(lambda: telephone.leg(call_id, profile, telephone.mouths), sock=sock)
    await leg.greet(how)
    return leg


Ask = Callable[[str, dict[str, str]], Awaitable[str]]
"""What the dialplan's CURL does: a path and its query, answered with text; "" when nobody answers."""

Dial = Callable[[str], Awaitable[str]]
"""Calls somebody else; returns the DIALSTATUS."""


@dataclass
class Dialplan:
    """The default dialplan around one call: announce, talk, ask what is next, transfer, hang up."""

    ask: Ask
    port: Callable[[], int]
    dial: Dial
    profile: Profile = ASTERISK_22
    call_id: uuid.UUID = field(default_factory=uuid.uuid4)
    pause: float = 0.25
    legs: list[Leg] = field(default_factory=list)
    trail: list[str] = field(default_factory=list)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    channel: str = ""
    """Its unique id, told in the announcement if there is one."""
    knows_desk: bool = True
    """False: an older dialplan, for which "desk" after the call was answered is one more word to come again for, and which does
    not tell that it gave up."""

    telephone: Telephone = Telephone()

    def redirect(self) -> None:
        """As AMI Redirect and ARI continue do: the channel leaves its audio for the extension `transfer`."""
        self.legs[-1].redirected()

    async def run(self, caller: str = "+380501112233", called: str = "100") -> str:
        """The whole call; how it ended: `done`, `desk` or `hangup`."""
        who = {"from": caller, "did": called} | ({"channel": self.channel} if self.channel else {})
        announced, tries = "", 0
        while not announced and tries < 5:
            announced, tries = await self.ask("announce", {"uuid": str(self.call_id), **who}), tries + 1
            await asyncio.sleep(0 if announced else self.pause)
        self.trail.append(f"announced={announced}")
        if announced != "ok":
            return "desk"
        tries = 0
        while True:
            leg = await self._talk()
            if leg is not None and (leg.outcome == "hangup" or leg.dropped):
                await self.ask("hangup", {"uuid": str(self.call_id), "cause": "0"})
                return "hangup"
            answer = await self.ask("next", {"uuid": str(self.call_id)})
            self.trail.append(f"next={answer}")
            what, _, whom = answer.partition("|")
            if what == "transfer":
                status = await self.dial(whom)
                self.trail.append(f"dial {whom}: {status}")
                told = await self.ask("next", {"uuid": str(self.call_id), "dialed": status})
                if told == "hangup" or f"{told}{status}" == "ANSWER":
                    return "done"
                continue
            if what == "hangup":
                return "done"
            if what == "desk" and self.knows_desk:
                return "desk"
            tries = 0 if what == "again" else tries + 1
            if tries > 20:
                if self.knows_desk:
                    await self.ask("hangup", {"uuid": str(self.call_id), "cause": "0"})
                return "desk"
            await asyncio.sleep(self.pause)

    async def _talk(self) -> Leg | None:
        try:
            leg = await connect(self.port(), self.call_id, self.profile, telephone=self.telephone)
        except OSError:
            self.trail.append("refused")
            return None
        self.legs.append(leg)
        self.connected.set()
        await leg.over.wait()
        self.trail.append(leg.outcome)
        return leg


@contextlib.asynccontextmanager
async def calling(port: int, *call_ids: uuid.UUID, profile: Profile = ASTERISK_22) -> AsyncIterator[list[Leg]]:
    """Some calls that hang up at the end."""
    legs = [await connect(port, call_id, profile) for call_id in call_ids]
    try:
        yield legs
    finally:
        for leg in legs:
            leg.hang_up()
