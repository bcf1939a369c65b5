"""Plays the telephone system of one talk: brings the audio to the media process, and again when that was replaced."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from graph_runtime.api.talk.caller import CallerVoice
from graph_runtime.api.talk.wire import FRAME_MS, Decoder, audio, digit, naming
from graph_runtime.contract.calls import TransferOutcome
from graph_runtime.contract.errors import TooMany, Unreachable
from graph_runtime.services.talks import Next

log = structlog.get_logger(__name__)

PERIOD: Final = FRAME_MS / 1000
LATE_SECONDS: Final = 0.1
CONNECT_SECONDS: Final = 2.0
AGAIN_SECONDS: Final = 0.25
MOST_TRIES: Final = 20
"""As in `asterisk/extensions.conf`: five seconds for another process to take the call."""


class Page(Protocol):
    """The other end."""

    async def hear(self, frame: bytes) -> None:
        """20 ms of what the agent says, or silence."""
        ...

    async def tell(self, kind: str, **more: object) -> None:
        """Something besides sound."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the media process listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Bridge:
    """One talk's. `run` ends when the talk is over. `ask`: what follows when the audio was given back."""

    def __init__(self, place: Place, talk_id: str, page: Page, ask: Callable[[], Awaitable[Next]]) -> None:
        self.caller = CallerVoice()
        self.connections = 0
        self._place = place
        self._talk_id = talk_id
        self._page = page
        self._ask = ask
        self._writer: asyncio.StreamWriter | None = None
        self._moved: asyncio.Future[TransferOutcome] | None = None

    def speak(self, samples: bytes) -> None:
        """Of the microphone."""
        for frame in self.caller.speak(samples, time.monotonic()):
            self._write(audio(frame))

    def press(self, key: str) -> None:
        """A key was let go. Raises: ValueError."""
        self._write(digit(key))

    def moved(self, result: TransferOutcome) -> None:
        """How the transfer that rings has ended; nothing when none does."""
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(result)

    async def run(self, move: Callable[[TransferOutcome], Awaitable[Next]]) -> None:
        """Until it is over. Raises: Unreachable when no media process answers, TooMany when none has room."""
        tries = 0
        while True:
            has_spoken = await self._connected()
            tries = 0 if has_spoken else tries + 1
            next_ = await self._ask()
            if next_.kind == "rings":
                self._moved = asyncio.get_running_loop().create_future()
                await self._page.tell("rings", target=next_.target, is_warm=next_.is_warm)
                next_ = await move(await self._moved)
                self._moved = None
                await self._page.tell("moved", then=next_.kind)
            if next_.kind == "over":
                return
            if next_.kind == "full":
                raise TooMany("As many calls as can be held are held already. Try again in a minute.", retry_after=60.0)
            if tries > MOST_TRIES:
                raise Unreachable(
                    f"The voice process does not take this talk at {self._place}. See whether it runs "
                    "(./patchcord up starts it), and whether PATCHCORD_VOICE_HOST and PATCHCORD_VOICE_PORT name its place.",
                    reason="voice_down",
                )
            if next_.kind == "wait":
                await asyncio.sleep(AGAIN_SECONDS)

    async def _connected(self) -> bool:
        """One connection from its beginning to its end; whether anything was heard on it."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(self._place.host, self._place.port)
        except (OSError, TimeoutError):
            return False
        self._writer, self.connections = writer, self.connections + 1
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.write(naming(self._talk_id))
        pacing = asyncio.create_task(self._pace(), name="caller")
        try:
            return await self._listen(reader)
        finally:
            self._writer = None
            pacing.cancel()
            await asyncio.gather(pacing, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _listen(self, reader: asyncio.StreamReader) -> bool:
        decoder, has_spoken = Decoder(), False
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    if not has_spoken:
                        has_spoken = True
                        await self._page.tell("connected", again=self.connections > 1)
                    await self._page.hear(frame)
                if decoder.has_ended:
                    break
        return has_spoken

    async def _pace(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + PERIOD, time.monotonic() - LATE_SECONDS)
            await asyncio.sleep(due - time.monotonic())
            frame = self.caller.tick(time.monotonic())
            if frame is not None:
                self._write(audio(frame))

    def _write(self, message: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(message)
