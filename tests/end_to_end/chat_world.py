"""Agents to chat with, a wire that can be cut, and what a visitor does on the page."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, expect

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal

BOOKING: dict[str, Any] = {
    "format": "flow/1",
    "name": "Booking",
    "locale": "en",
    "entry": {"message": "n_start"},
    "variables": {"name": {"type": "text", "label": "Name"}, "note": {"type": "text", "label": "Note"}},
    "nodes": {
        "n_start": {"type": "start", "v": 1, "settings": {}},
        "n_hello": {
            "type": "send_message",
            "v": 1,
            "settings": {
                "text": "Hello. This is **Northwind Dental**.\n\n- check-ups\n- cleaning\n- [prices](https://example.org/prices)"
            },
        },
        "n_name": {
            "type": "ask",
            "v": 1,
            "settings": {"text": "What is your name?", "kind": "text", "save_to": "name"},
        },
        "n_day": {
            "type": "ask_choice",
            "v": 1,
            "settings": {
                "text": "Nice to meet you, {{ var.name }}. Which day suits you?",
                "options": [
                    {"id": "mon", "label": "Monday"},
                    {"id": "tue", "label": "Tuesday"},
                    {"id": "wed", "label": "Wednesday"},
                ],
            },
        },
        "n_note": {
            "type": "ask",
            "v": 1,
            "settings": {"text": "Anything we should know?", "kind": "text", "save_to": "note"},
        },
        "n_end": {"type": "end", "v": 1, "settings": {"text": "You are booked. See you then.", "result": "booked"}},
    },
    "edges": {
        "n_start.next": "n_hello",
        "n_hello.next": "n_name",
        "n_name.answered": "n_day",
        "n_name.invalid": "n_end",
        "n_day.mon": "n_note",
        "n_day.tue": "n_note",
        "n_day.wed": "n_note",
        "n_day.other": "n_end",
        "n_note.answered": "n_end",
        "n_note.invalid": "n_end",
    },
    "i18n": {
        "ru": {
            "n_hello.text": "Здравствуйте! Это стоматология **«Норд»**.\n\n- осмотр\n- чистка\n- [цены](https://example.org/prices)",
            "n_name.text": "Как вас зовут?",
            "n_day.text": "Приятно познакомиться, {{ var.name }}. Какой день вам подходит?",
            "n_day.options.mon.label": "Понедельник",
            "n_day.options.tue.label": "Вторник",
            "n_day.options.wed.label": "Среда",
            "n_note.text": "Что нам важно знать заранее?",
            "n_end.text": "Вы записаны. До встречи!",
        }
    },
}

ECHO: dict[str, Any] = {
    "format": "flow/1",
    "name": "Echo",
    "locale": "en",
    "pace": {"gather_ms": 0},
    "entry": {"message": "n_start"},
    "variables": {"said": {"type": "text", "label": "Said"}},
    "nodes": {
        "n_start": {"type": "start", "v": 1, "settings": {}},
        "n_first": {"type": "ask", "v": 1, "settings": {"text": "Say something.", "kind": "text", "save_to": "said"}},
        "n_echo": {
            "type": "ask",
            "v": 1,
            "settings": {"text": "You said: {{ var.said }}", "kind": "text", "save_to": "said"},
        },
    },
    "edges": {
        "n_start.next": "n_first",
        "n_first.answered": "n_echo",
        "n_first.invalid": "n_echo",
        "n_echo.answered": "n_echo",
        "n_echo.invalid": "n_echo",
    },
}


async def published(services: Services, who: Principal, flow: dict[str, Any], **settings: Any) -> Any:
    """An agent that is on, with this flow live."""
    row = await services.agents.create(who, name="Northwind Dental", language="en")
    await services.drafts.replace(who, row.main_flow_id, flow)
    draft = await services.drafts.open(who, row.main_flow_id)
    await services.publishing.publish(who, row.main_flow_id, revision=draft.revision)
    if settings:
        await services.agents.update(who, row.id, settings=settings)
    await services.agents.set_on(who, row.id, True)
    return await services.agents.get(who, row.id)


class Wire:
    """A TCP forwarder between a page and the server. While it is cut, nothing passes and nobody is told."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = host, int(port)
        self._is_deaf = False
        self._through = asyncio.Event()
        self._through.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.http = ""

    @contextlib.asynccontextmanager
    async def laid(self) -> AsyncIterator["Wire"]:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.http = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._through.set()
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, *, reset: bool = False) -> None:
        """Stop all traffic; with `reset` the open connections break at once, else they only fall silent."""
        self._through.clear()
        if reset:
            for writer in self._writers:
                writer.transport.abort()

    def deafen(self) -> None:
        """From now on the server hears the page, and the page does not hear the server."""
        self._is_deaf = True

    def mend(self) -> None:
        """Let traffic through again. What was sent into the cut is lost, with its connections."""
        for writer in self._writers:
            writer.transport.abort()
        self._is_deaf = False
        self._through.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._through.wait()
            there, back = await asyncio.open_connection(*self._target)
            ends = {writer, back}
            self._writers |= ends
            try:
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer, is_back=True))
            finally:
                self._writers -= ends
                for end in ends:
                    end.transport.abort()
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pump(self, source: asyncio.StreamReader, drain: asyncio.StreamWriter, *, is_back: bool = False) -> None:
        while data := await source.read(65536):
            if not self._through.is_set() or (is_back and self._is_deaf):
                continue
            drain.write(data)
            await drain.drain()
        drain.transport.abort()


class Visitor:
    """Somebody before a chat page (or in the frame of one)."""

    def __init__(self, page: Any) -> None:
        self.page = page

    async def hears(self, text: str) -> None:
        await expect(self.page.locator("#log .agent .bubble", has_text=text).last).to_be_visible(timeout=15_000)

    async def says(self, text: str) -> None:
        await self.page.locator("#composer textarea").fill(text)
        await self.page.locator("#composer textarea").press("Enter")

    async def presses(self, label: str) -> None:
        await self.page.get_by_role("button", name=label, exact=True).click()

    async def lines(self) -> list[str]:
        """What stands in the log, in order: "agent: …" and "own: …"."""
        lines: list[str] = await self.page.locator("#log").evaluate(
            """log => [...log.querySelectorAll('.row')].map(row =>
                (row.classList.contains('own') ? 'own: ' : 'agent: ') +
                [...row.querySelectorAll('.bubble')].map(b => b.innerText.trim()).join(' | '))"""
        )
        return lines

    async def settled(self, count: int) -> list[str]:
        """The log once it has so many messages, none of them still on its way."""
        await expect(self.page.locator("#log .row:not(.waiting)")).to_have_count(count, timeout=20_000)
        await expect(self.page.locator("#log .row.waiting")).to_have_count(0)
        return await self.lines()


class Site:
    """Another website, with its own address and a strict content policy that allows our host and nothing else."""

    def __init__(self, ours: str, tag: str, *, style: str = "", host: str = "localhost") -> None:
        self._host = host
        self._page = (
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            "<title>A shop</title><link rel=stylesheet href=/style.css><h1>A shop</h1><button id=mine>Ours</button>"
            + tag
        )
        self._style = style
        self._policy = f"default-src 'none'; style-src 'self'; script-src {ours}; frame-src {ours}"
        self.http = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Site"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.http = f"http://{self._host}:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        is_style = asked == b"/style.css"
        body = (self._style if is_style else self._page).encode()
        kind = "text/css" if is_style else "text/html"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Security-Policy: {self._policy}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


def errors_of(page: Page) -> list[str]:
    """Collects what goes wrong in a page: exceptions, errors in the console, refusals of the content policy."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


async def context_of(browser: Browser, **options: Any) -> BrowserContext:
    return await browser.new_context(locale=options.pop("locale", "en-US"), timezone_id="Europe/Kyiv", **options)
