"""One visitor's socket: who they are, their conversation as a stream, and what they say."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from graph_runtime.api.access import services_of
from graph_runtime.api.chat.words import words
from graph_runtime.api.limits import Window
from graph_runtime.api.live import Feed, feed, for_contact
from graph_runtime.api.metrics import CHAT_MESSAGES, SOCKETS
from graph_runtime.api.plain_json import dumps
from graph_runtime.api.visitors import VisitorTokens
from graph_runtime.contract.errors import BuilderError, Conflict, TooMany
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.messages import Reply
from graph_runtime.services.channels import WebChat

if TYPE_CHECKING:
    from graph_runtime.services.channel_access import ChannelAccess

MAX_FRAME_BYTES: Final = 64_000
MESSAGES: Final = (10, 10.0)
"""How many messages in how many seconds."""
FRAMES: Final = (100, 10.0)
HELLO_WITHIN_SECONDS: Final = 15.0

Frame = dict[str, Any]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A ping every `every` seconds; a visitor from whom nothing came for `quiet` seconds is let go."""

    every: float = 25.0
    quiet: float = 60.0


class Hello(BaseModel):
    """{"t": "hello"}: the first frame. `again` begins a new conversation after one that is over."""

    model_config = ConfigDict(extra="ignore")
    token: str = Field(default="", max_length=2000)
    after: int = Field(default=0, ge=0, le=2**31 - 1)
    language: str = Field(default="", max_length=20)
    again: bool = False


class Say(BaseModel):
    """{"t": "say"}: one message. The same `client_id` twice is one message."""

    model_config = ConfigDict(extra="ignore")
    client_id: str = Field(min_length=1, max_length=80)
    text: str = Field(default="", max_length=16_000)
    option_id: str = Field(default="", max_length=100)
    file_ids: list[str] = Field(default_factory=list, max_length=10)


class Rate(BaseModel):
    """{"t": "rate"}: whether the answer of number `seq`, which shows its sources, helped; null takes it back."""

    model_config = ConfigDict(extra="ignore")
    seq: int = Field(ge=1, le=2**31 - 1)
    helpful: bool | None = None


class Closed(Exception):
    """The socket has to be closed."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class ChatSocket:
    """The conversation with one visitor's page, from the accepted handshake to the close."""

    def __init__(self, socket: WebSocket, chat: WebChat, public_id: str, tokens: VisitorTokens) -> None:
        self._socket = socket
        self._services = services_of(socket)
        self._chat = chat
        self._public_id = public_id
        self._tokens = tokens
        self._beat: Heartbeat = getattr(socket.app.state, "chat_heartbeat", Heartbeat())
        self._heard_at = time.monotonic()
        self._messages = Window(*MESSAGES)
        self._frames = Window(*FRAMES)
        self._language = chat.language if chat.language in LANGUAGES else "en"
        self._access: ChannelAccess | None = None
        self._conversation_id = ""

    async def run(self) -> None:
        """Serve the visitor until they leave."""
        try:
            with SOCKETS.labels("web_chat").track_inprogress():
                await self._serve()
        except Closed as closed:
            if self._socket.application_state is not WebSocketState.DISCONNECTED:
                await self._socket.close(closed.code, words(closed.why, self._language)[:100])
        except WebSocketDisconnect:
            pass

    async def _serve(self) -> None:
        try:
            async with asyncio.timeout(HELLO_WITHIN_SECONDS):
                frame = await self._receive()
        except TimeoutError:
            raise Closed(4408, "idle") from None
        try:
            hello = Hello.model_validate(self._from_address() | frame)
        except ValidationError:
            raise Closed(4400, "input_invalid") from None
        if frame.get("t") != "hello":
            raise Closed(4400, "input_invalid")
        after = await self._greet(hello)
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._keep_alive())]
        if self._conversation_id and self._access is not None:
            tasks.append(asyncio.create_task(self._show(self._access, after)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _from_address(self) -> Frame:
        """What the address says, for pages that cannot send it in the first frame."""
        query = self._socket.query_params
        return {key: query[key] for key in ("token", "after") if query.get(key)}

    async def _greet(self, hello: Hello) -> int:
        """Find out who it is, find or begin their conversation, say welcome; the number after which to go on."""
        if hello.language[:2].lower() in LANGUAGES:
            self._language = hello.language[:2].lower()
        known = self._tokens.read(hello.token, self._public_id)
        visitor = known or self._tokens.new(self._public_id)
        after = hello.after if known is not None and not hello.again else 0
        if known is not None and hello.again:
            visitor = visitor.again()
        self._access = self._chat.access(visitor.id)
        status, waits, seq, is_running = "off", "", 0, False
        try:
            self._conversation_id = await self._services.conversations.start(
                self._access,
                dedupe_key=f"{visitor.id}:{visitor.dialogue}",
                language=self._language if hello.language else None,
            )
            found = await self._services.conversations.transcript(
                self._access, self._conversation_id, after_seq=2**31 - 1, limit=1
            )
            status, waits, seq, is_running = found.status, found.waits, found.message_seq, found.is_running
            after = min(after, seq)
        except Conflict:
            log.info("a visitor came to a chat that is closed")
        await self._send(
            {
                "t": "welcome",
                "token": self._tokens.issue(visitor),
                "conversation_id": self._conversation_id or None,
                "agent": {
                    "name": self._chat.name,
                    "theme": self._chat.look.get("theme") or {},
                    "look": self._chat.look,
                },
                "language": self._language,
                "status": status,
                "waits": waits,
                "seq": seq,
                "is_running": is_running,
            }
        )
        if not self._conversation_id:
            await self._error("agent_off")
        return after

    async def _read(self) -> None:
        while True:
            frame = await self._receive()
            kind = frame.get("t")
            if kind == "say":
                await self._say(frame)
            elif kind == "rate":
                await self._rate(frame)
            elif kind == "ping":
                await self._send({"t": "pong"})
            elif kind not in ("pong", "ack", "typing", "hello"):
                await self._error("input_invalid")

    async def _receive(self) -> Frame:
        """The next frame. Raises: Closed for frames that are too large or far too many, WebSocketDisconnect."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text") or ""
        self._heard_at = time.monotonic()
        if len(text.encode("utf-8", "surrogatepass")) > MAX_FRAME_BYTES or message.get("bytes"):
            raise Closed(1009, "too_large")
        try:
            self._frames.take()
        except TooMany:
            raise Closed(4429, "too_many") from None
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return frame if isinstance(frame, dict) else {}

    async def _say(self, frame: Frame) -> None:
        client_id = frame.get("client_id")
        try:
            said = Say.model_validate(frame)
        except ValidationError:
            await self._error("input_invalid", client_id=client_id)
            return
        if not said.text.strip() and not said.option_id and not said.file_ids:
            await self._error("input_invalid", client_id=client_id)
            return
        if self._access is None or not self._conversation_id:
            await self._error("agent_off", client_id=client_id)
            return
        try:
            self._messages.take()
            files = await self._services.files.of_conversation(self._access, self._conversation_id, said.file_ids)
            reply = Reply(text=said.text, option_id=said.option_id, attachments=files)
            accepted = await self._services.conversations.receive(
                self._access, self._conversation_id, reply, dedupe_key=said.client_id, client_id=said.client_id
            )
        except BuilderError as error:
            CHAT_MESSAGES.labels(error.code).inc()
            code = error.params.get("reason") if isinstance(error, Conflict) else error.code
            await self._error(
                str(code or error.code), client_id=client_id, retry_after=getattr(error, "retry_after", None)
            )
            return
        except Exception as error:
            # The visitor's page keeps the message and sends it again.
            CHAT_MESSAGES.labels("error").inc()
            log.error("a visitor's message failed", exc_info=error)
            await self._error("error", client_id=client_id)
            return
        CHAT_MESSAGES.labels("accepted" if accepted.is_new else "repeated").inc()
        await self._send({"t": "accepted", "client_id": said.client_id, "seq": accepted.seq})

    async def _rate(self, frame: Frame) -> None:
        try:
            rated = Rate.model_validate(frame)
        except ValidationError:
            await self._error("input_invalid")
            return
        if self._access is None or not self._conversation_id:
            return
        try:
            self._messages.take()
            await self._services.knowledge_questions.rate(self._access, self._conversation_id, rated.seq, rated.helpful)
        except BuilderError as error:
            await self._error(error.code, retry_after=getattr(error, "retry_after", None))
            return
        await self._send({"t": "rated", "seq": rated.seq, "helpful": rated.helpful})

    async def _show(self, access: ChannelAccess, after: int) -> None:
        watching = self._services.conversations.watch(access, self._conversation_id, after_seq=after)
        async with feed(watching) as events:
            while True:
                try:
                    await self._show_next(events)
                except StopAsyncIteration:
                    raise Closed(1012, "restarting") from None

    async def _show_next(self, events: Feed) -> None:
        event = await events.next(3600)
        shown = for_contact(event) if event is not None else None
        if shown is not None:
            await self._send({"t": "event", "event": shown})

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._beat.every)
            if time.monotonic() - self._heard_at > self._beat.quiet:
                raise Closed(4408, "idle")
            await self._send({"t": "ping"})

    async def _error(self, code: str, *, client_id: Any = None, retry_after: float | None = None) -> None:
        frame: Frame = {"t": "error", "code": code, "message": words(code, self._language)}
        if client_id is not None:
            frame["client_id"] = client_id
        if retry_after is not None:
            frame["retry_after"] = round(retry_after, 1)
        await self._send(frame)

    async def _send(self, frame: Frame) -> None:
        await self._socket.send_text(dumps(frame).decode())
