"""A Bot API over a real socket, with its own journal and switchable faults; strict where Telegram is strict.

In tests: `with telegram() as fake: bot = fake.bot(); bot.fail("blocked"); bot.write("Hello")`; `fake.url` is the base URL.
Updates wait for getUpdates, or are posted to the webhook; `fake.reach` is then the address behind the public one.
"""

from __future__ import annotations

import asyncio
import contextlib
import html.parser
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from tests.fakes.webhook_receiver import _reset as reset
from tests.fakes.webhook_receiver import answer

FaultKind = Literal[
    "rate_limited",  # 429 with parameters.retry_after
    "server_error",  # 500 in the vendor's own words; not carried out
    "bad_gateway",  # 502 from something on the way; carried out
    "unauthorized",  # 401: the token was revoked
    "blocked",  # 403: the contact blocked the bot
    "bad_markup",  # 400: cannot parse entities
    "bad_request",  # 400: anything else
    "migrated",  # 400 with migrate_to_chat_id
    "conflict",  # 409: another poller
    "reset_before_accept",  # the connection breaks; not carried out
    "reset_after_accept",  # carried out, then the connection breaks
    "slow",  # carried out, answered after `seconds`
]
FAULTS: tuple[str, ...] = get_args(FaultKind)
_ANSWERS: dict[str, tuple[int, str]] = {
    "rate_limited": (429, "Too Many Requests: retry after {seconds}"),
    "server_error": (500, "Internal Server Error"),
    "unauthorized": (401, "Unauthorized"),
    "blocked": (403, "Forbidden: bot was blocked by the user"),
    "bad_markup": (400, "Bad Request: can't parse entities: Unexpected end tag at byte offset 3"),
    "bad_request": (400, "Bad Request: wrong file identifier/HTTP URL specified"),
    "migrated": (400, "Bad Request: group chat was upgraded to a supergroup chat"),
    "conflict": (
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    ),
}
SENDS = {"sendMessage": "text", "sendPhoto": "photo", "sendAudio": "audio", "sendVoice": "voice", "sendVideo": "video",
         "sendDocument": "document"}  # fmt: skip
TAGS = frozenset({"b", "i", "s", "u", "code", "pre", "a"})
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


@dataclass
class Fault:
    """Something that goes wrong for the next `times` calls of a method ("" any that sends)."""

    kind: FaultKind
    times: int = 1
    seconds: float = 1.0
    method: str = ""
    value: int = 0


@dataclass(frozen=True)
class Call:
    """One call. `accepted`: carried out, whatever the caller got to see of it; `files`: what was uploaded, by field."""

    method: str
    fields: dict[str, Any]
    fault: str = ""
    accepted: bool = True
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Bot:
    """One bot with its updates, chats, books and faults."""

    fake: TelegramFake
    token: str
    id: int
    username: str
    name: str
    journal: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    updates: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    webhook: dict[str, Any] = field(default_factory=dict)
    is_revoked: bool = False
    shuffled: bool = False
    next_update: int = 5000
    next_message: int = 1
    poller: asyncio.Future[None] | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    refused_posts: int = 0

    def fail(self, kind: FaultKind, *, times: int = 1, seconds: float = 1.0, method: str = "", value: int = 0) -> None:
        """Let the next calls go wrong."""
        if kind not in FAULTS:
            raise ValueError(f"no such fault: {kind}")
        self.faults.append(Fault(kind, times, seconds, method, value))

    def write(self, text: str = "", user: int = 1001, **more: Any) -> int:
        """A person writes; the number of the update."""
        person = {"id": user, "is_bot": False, "first_name": f"U{user}", "language_code": "en"}
        message = {"message_id": self.next_message, "from": person, "date": 1767225600,
                   "chat": {"id": user, "type": "private", "first_name": f"U{user}"}, **more}  # fmt: skip
        if text:
            message["text"] = text
        self.next_message += 1
        return self.tell({"message": message})

    def send_file(self, content: bytes, user: int = 1001, **more: Any) -> int:
        """A person sends a document."""
        ref = f"file{len(self.files) + 1}"
        self.files[ref] = content
        return self.write(
            user=user, document={"file_id": ref, "mime_type": "image/png", "file_size": len(content)}, **more
        )

    def press(self, label: str, user: int = 1001) -> int:
        """A person presses the newest button with this label."""
        for call in reversed(self.sent(user)):
            for row in (call.fields.get("reply_markup") or {}).get("inline_keyboard", []):
                for button in row:
                    if button["text"] == label:
                        person = {"id": user, "is_bot": False, "first_name": f"U{user}", "language_code": "en"}
                        message = {"message_id": 1, "date": 1, "chat": {"id": user, "type": "private"}}
                        query = {"id": f"q{self.next_update}", "from": person, "message": message,
                                 "data": button["callback_data"]}  # fmt: skip
                        return self.tell({"callback_query": query})
        raise AssertionError(f"no button {label!r}")

    def tell(self, update: dict[str, Any], *, number: int = 0) -> int:
        """An update happens; the same `number` again is a duplicate."""
        number = number or self.next_update
        self.next_update = max(self.next_update, number + 1)
        self.updates[number] = {"update_id": number, **update}
        self.fake.loop.call_soon_threadsafe(self.arrived.set)
        return number

    def again(self, number: int, update: dict[str, Any]) -> None:
        """Telegram tells something a second time."""
        self.tell({k: v for k, v in update.items() if k != "update_id"}, number=number)

    def sent(self, user: int | None = None) -> list[Call]:
        """Messages that were carried out, repeats too, in order."""
        return [c for c in self.journal if c.accepted and c.method in SENDS
                and (user is None or c.fields["chat_id"] == user)]  # fmt: skip

    def texts(self, user: int | None = None) -> list[str]:
        """The words of what was sent."""
        return [str(c.fields.get("text") or c.fields.get("caption") or "") for c in self.sent(user)]

    def calls(self, method: str) -> list[Call]:
        """All calls of a method."""
        return [c for c in self.journal if c.method == method]

    def next_fault(self, method: str) -> Fault | None:
        """What goes wrong with the call that is here now."""
        for fault in self.faults:
            if fault.method == method or (not fault.method and method in SENDS):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None


class TelegramFake:
    """The bots and the address; runs in a thread of its own."""

    def __init__(self) -> None:
        self.port = 0
        self.bots: dict[str, Bot] = {}
        self.reach = ""
        self.loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="telegram fake")

    @property
    def url(self) -> str:
        """What a channel's `base_url` is set to."""
        return f"http://127.0.0.1:{self.port}"

    def bot(self, name: str = "Clinic") -> Bot:
        """A new bot."""
        number = 700_000_000 + len(self.bots)
        token = f"{number}:AAFakeTokenForTestsOnly-{len(self.bots):08d}"
        made = Bot(self, token, number, f"{name.lower()}_{len(self.bots)}_bot", name)
        self.bots[token] = made
        return made

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self.run(self._listen())

    def stop(self) -> None:
        """Hang up and end the thread."""
        self.run(self._hang_up())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Any) -> Any:
        """Run something in the fake's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in [*self._open]:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close in a later turn of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            pass  # cancelled by `_hang_up`; the server of asyncio logs tasks that end so
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        _, target, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for line in head[1:] if line for k, _, v in [line.partition(":")]}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = urlsplit(target).path
        if (match := re.fullmatch(r"/file/bot([^/]+)/(.+)", path)) is not None:
            return await self._give_file(match[1], match[2], writer)
        match = re.fullmatch(r"/bot([^/]+)/(\w+)", path)
        bot = self.bots.get(match[1]) if match else None
        if match is None or bot is None or bot.is_revoked:
            return await _wrong(writer, 401, "Unauthorized")
        method = match[2]
        fields, files = _read(headers.get("content-type", ""), body)
        fault = bot.next_fault(method)
        kind = fault.kind if fault else ""
        is_accepted = kind in ("", "slow", "reset_after_accept", "bad_gateway")
        problem = _problem(method, fields) if is_accepted else ""
        bot.journal.append(Call(method, fields, kind, is_accepted and not problem, files))
        if problem:
            return await _wrong(writer, 400, f"Bad Request: {problem}")
        if fault is not None and (gone := await self._go_wrong(fault, writer)) is not None:
            return gone
        return await self._carry_out(bot, method, fields, reader, writer)

    async def _go_wrong(self, fault: Fault, writer: asyncio.StreamWriter) -> bool | None:
        if fault.kind.startswith("reset"):
            reset(writer)
            return False
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return None
        if fault.kind == "bad_gateway":
            writer.write(b"HTTP/1.1 502 X\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<h1>502</h1>")
            await writer.drain()
            return True
        status, words = _ANSWERS[fault.kind]
        more: dict[str, Any] = {}
        if fault.kind == "rate_limited":
            more = {"parameters": {"retry_after": fault.seconds}}
        if fault.kind == "migrated":
            more = {"parameters": {"migrate_to_chat_id": fault.value}}
        return await _wrong(writer, status, words.format(seconds=fault.seconds), **more)

    async def _carry_out(
        self, bot: Bot, method: str, fields: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        result: Any = True
        if method == "getMe":
            result = {"id": bot.id, "is_bot": True, "first_name": bot.name, "username": bot.username}
        elif method == "getUpdates":
            return await self._get_updates(bot, fields, reader, writer)
        elif method == "setWebhook":
            bot.webhook = dict(fields)
            if bot.poller is not None and not bot.poller.done():
                bot.poller.cancel()
            pusher = self.loop.create_task(self._push(bot, fields["url"]))
            bot.webhook["task"] = pusher
        elif method == "deleteWebhook":
            bot.webhook = {}
        elif method == "getFile":
            if fields["file_id"] not in bot.files:
                return await _wrong(writer, 400, "Bad Request: invalid file_id")
            result = {"file_id": fields["file_id"], "file_path": f"documents/{fields['file_id']}.png"}
        elif method in SENDS:
            result = {"message_id": len(bot.journal), "chat": {"id": fields["chat_id"]}, "date": 1}
        return await answer(writer, 200, {"ok": True, "result": result})

    async def _get_updates(
        self, bot: Bot, fields: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if bot.webhook:
            return await _wrong(writer, 409, "Conflict: can't use getUpdates method while webhook is active")
        if bot.poller is not None and not bot.poller.done():
            bot.poller.set_exception(ConnectionError("terminated"))
        mine = bot.poller = self.loop.create_future()
        mine.add_done_callback(lambda f: f.cancelled() or f.exception())
        for number in [n for n in bot.updates if n < int(fields.get("offset") or 0)]:
            del bot.updates[number]
        gone = asyncio.create_task(reader.read(1))
        until = self.loop.time() + float(fields.get("timeout") or 0)
        try:
            while not bot.updates and not mine.done() and not gone.done() and self.loop.time() < until:
                bot.arrived.clear()
                waiting = asyncio.create_task(bot.arrived.wait())
                await asyncio.wait({waiting, mine, gone}, timeout=until - self.loop.time(),
                                   return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
                waiting.cancel()
        finally:
            if not gone.done():
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone
        if gone.done() and not gone.cancelled():
            return False
        if mine.done():
            return await _wrong(writer, *_ANSWERS["conflict"])
        mine.set_result(None)
        if bot.is_revoked:  # while it was being asked
            return await _wrong(writer, 401, "Unauthorized")
        found = [bot.updates[n] for n in sorted(bot.updates, reverse=bot.shuffled)][: int(fields.get("limit") or 100)]
        return await answer(writer, 200, {"ok": True, "result": found})

    async def _push(self, bot: Bot, url: str) -> None:
        """Post updates to the webhook, one after the other, until each was taken in."""
        place = urlsplit(self.reach or url)
        while bot.webhook.get("url") == url:
            bot.arrived.clear()
            for number in sorted(bot.updates, reverse=bot.shuffled):
                body = json.dumps(bot.updates[number]).encode()
                head = (
                    f"POST {urlsplit(url).path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
                    f"X-Telegram-Bot-Api-Secret-Token: {bot.webhook['secret_token']}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                if await _post(place.hostname or "", place.port or 443, head.encode() + body):
                    bot.updates.pop(number, None)
                else:
                    bot.refused_posts += 1
                    await asyncio.sleep(0.1)
            if not bot.updates:
                await bot.arrived.wait()

    async def _give_file(self, token: str, path: str, writer: asyncio.StreamWriter) -> bool:
        bot = self.bots.get(token)
        content = bot.files.get(path.rpartition("/")[2].partition(".")[0]) if bot else None
        if content is None:
            return await _wrong(writer, 404, "Not Found")
        writer.write(f"HTTP/1.1 200 X\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()
        return True


async def _post(host: str, port: int, request: bytes) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(request)
        status = await reader.readline()
        return status[9:10] == b"2"
    except OSError:
        return False
    finally:
        writer.close()


async def _wrong(writer: asyncio.StreamWriter, status: int, words: str, **more: Any) -> bool:
    return await answer(writer, status, {"ok": False, "error_code": status, "description": words, **more})


def _read(kind: str, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    if not kind.startswith("multipart/"):
        return json.loads(body or b"{}"), {}
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        raw = part.get_payload(decode=True)
        assert isinstance(raw, bytes)
        if part.get_filename():
            files[name] = raw
        else:
            text = raw.decode()
            fields[name] = int(text) if re.fullmatch(r"-?\d+", text) else json.loads(text) if text[:1] == "{" else text
    return fields, files


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.is_wrong = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.is_wrong |= tag not in TAGS

    def handle_endtag(self, tag: str) -> None:
        self.is_wrong |= not self.open or self.open.pop() != tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _problem(method: str, fields: dict[str, Any]) -> str:
    """What Telegram would say against a message."""
    if method not in SENDS:
        return ""
    words = str(fields.get("text") or fields.get("caption") or "")
    if fields.get("parse_mode") == "HTML":
        tags = _Tags()
        tags.feed(words)
        tags.close()
        if tags.is_wrong or tags.open:
            return "can't parse entities"
        words = tags.text
    if method == "sendMessage" and not words.strip():
        return "message text is empty"
    if len(words.encode("utf-16-le")) // 2 > (4096 if method == "sendMessage" else 1024):
        return "message is too long"
    for row in (fields.get("reply_markup") or {}).get("inline_keyboard", []):
        if any(not 1 <= len(button["callback_data"].encode()) <= 64 for button in row):
            return "BUTTON_DATA_INVALID"
    return ""


@contextlib.contextmanager
def telegram() -> Iterator[TelegramFake]:
    """A Bot API that answers while the block runs."""
    fake = TelegramFake()
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()
