"""One talk's WebSocket: sound both ways, and beside it what is typed, pressed, rung and over."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from graph_runtime.api.access import services_of, session_cookie
from graph_runtime.api.editor.socket import NOT_ALLOWED, SESSION_TRUSTED_SECONDS, SIGN_IN_AGAIN
from graph_runtime.api.errors import members_of
from graph_runtime.api.metrics import SOCKETS
from graph_runtime.api.talk.bridge import Bridge, Place
from graph_runtime.contract.errors import AccessDenied, BuilderError, NotFound, NotSignedIn
from graph_runtime.services.talks import LONGEST_SECONDS, Next, Talk, Talks, outcome

if TYPE_CHECKING:
    from graph_runtime.contract.calls import TransferOutcome
    from graph_runtime.services.principal import Principal

log = structlog.get_logger(__name__)
TICKET_USED: Final = 4404, "This talk is over, or its door was used already. Start another one."
MOST_SAMPLE_BYTES: Final = 16_000
"""One message of a microphone: a second; a page that was busy sends what it missed in pieces."""
LOOK_SECONDS: Final = 5.0


class _Wish(BaseModel):
    model_config = ConfigDict(extra="ignore")


class SayWish(_Wish):
    """{"t": "say"}: typed words are spoken into the call."""

    t: Literal["say"]
    text: str = Field(min_length=1, max_length=500)


class KeyWish(_Wish):
    """{"t": "key"}: a key of the telephone."""

    t: Literal["key"]
    key: str = Field(min_length=1, max_length=1)


class MovedWish(_Wish):
    """{"t": "moved"}: how the transfer that rings has ended."""

    t: Literal["moved"]
    result: str = Field(max_length=20)


class HangUpWish(_Wish):
    """{"t": "hang_up"}."""

    t: Literal["hang_up"]


_WISH: Final[TypeAdapter[SayWish | KeyWish | MovedWish | HangUpWish]] = TypeAdapter(
    SayWish | KeyWish | MovedWish | HangUpWish
)


class _Over(Exception):
    """The talk ends with these words to the page."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TalkSocket:
    """From the accepted handshake to the close. Every frame of sound begins with its number (4 bytes, big-endian)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._services = services_of(socket)
        self._who: Principal | None = None
        self._checked_at = 0.0
        self._sent = 0
        self._sending = asyncio.Lock()

    async def run(self, secret: str) -> None:
        """Serve it. The reason of a refusal travels in the close frame."""
        try:
            who = await self._principal()
            talk = await self._talks.admit(who, secret)
        except NotSignedIn:
            await self._socket.close(*SIGN_IN_AGAIN)
        except AccessDenied:
            await self._socket.close(*NOT_ALLOWED)
        except NotFound:
            await self._socket.close(*TICKET_USED)
        else:
            with SOCKETS.labels("talk").track_inprogress():
                await self._serve(talk)

    @property
    def _talks(self) -> Talks:
        return self._services.talks

    async def _serve(self, talk: Talk) -> None:
        bridge = Bridge(_place(self._services.settings), talk.id, self, lambda: self._next(talk))
        reason = "failed"
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await _first_to_end(self._bridged(bridge, talk), self._read(bridge, talk), self._watch(talk))
        except _Over as over:
            reason = over.reason
        except TimeoutError:
            reason = "too_long"
        except WebSocketDisconnect:
            return
        except NotSignedIn:
            await self._close(*SIGN_IN_AGAIN)
            return
        except BuilderError as error:
            await self.tell("error", **members_of(error), code=error.code, message=error.message)
        await self.tell("over", reason=reason)
        await self._close(1000, "")

    async def _bridged(self, bridge: Bridge, talk: Talk) -> None:
        async def move(result: TransferOutcome) -> Next:
            return await self._talks.moved(await self._principal(), talk.id, result)

        await bridge.run(move)
        raise _Over("ended")

    async def _next(self, talk: Talk) -> Next:
        return await self._talks.next(await self._principal(), talk.id)

    async def _read(self, bridge: Bridge, talk: Talk) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            sound, text = message.get("bytes"), message.get("text")
            if sound is not None:
                if len(sound) <= MOST_SAMPLE_BYTES and len(sound) % 2 == 0:
                    bridge.speak(sound)
            elif text is not None:
                await self._take(bridge, talk, text)

    async def _take(self, bridge: Bridge, talk: Talk, text: str) -> None:
        try:
            wish = _WISH.validate_python(json.loads(text))
            if isinstance(wish, HangUpWish):
                raise _Over("hung_up")
            if isinstance(wish, SayWish):
                samples = await self._talks.typed(await self._principal(), wish.text, talk.language)
                if not bridge.caller.type(samples):
                    await self.tell("refused", code="too_long", message="Wait until this is said, then type more.")
            elif isinstance(wish, KeyWish):
                bridge.press(wish.key)
            else:
                bridge.moved(outcome(wish.result))
        except (ValueError, ValidationError, RecursionError):
            await self.tell("refused", code="input_invalid", message="This message cannot be read; reload the page.")
        except NotSignedIn:
            raise
        except BuilderError as error:
            await self.tell("refused", **members_of(error), code=error.code, message=error.message)

    async def _watch(self, talk: Talk) -> None:
        """Somebody else may end it: the member in another tab, the test that is begun anew, whoever signs them out."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not await self._talks.is_open(await self._principal(), talk.id):
                raise _Over("ended")

    async def hear(self, frame: bytes) -> None:
        """As `Page`."""
        async with self._sending:
            await self._socket.send_bytes(self._sent.to_bytes(4, "big") + frame)
        self._sent += 1

    async def tell(self, kind: str, **more: Any) -> None:
        """As `Page`."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            async with self._sending:
                await self._socket.send_text(json.dumps({"t": kind, "frame": self._sent, **more}, ensure_ascii=False))

    async def _close(self, code: int, reason: str) -> None:
        if self._socket.application_state is not WebSocketState.DISCONNECTED:
            await self._socket.close(code, reason)

    async def _principal(self) -> Principal:
        """The member, looked up again when the last look is older than 30 seconds. Raises: NotSignedIn."""
        now = time.monotonic()
        if self._who is None or now - self._checked_at >= SESSION_TRUSTED_SECONDS:
            self._who = await self._services.accounts.principal(session_cookie(self._socket))
            self._checked_at = now
        return self._who


def _place(settings: Any) -> Place:
    """Where telephone systems bring audio, too; on this machine an address that means “everywhere” is its own."""
    if settings.phone_audio:
        host, _, port = settings.phone_audio.rpartition(":")
        return Place(host.strip("[]"), int(port))
    host = settings.voice_host
    return Place("127.0.0.1" if host in ("", "0.0.0.0", "::") else host, settings.voice_port)  # noqa: S104 (compared)


async def _first_to_end(*parts: Any) -> None:
    """Run all until one raises, cancel the rest, and raise what it raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
