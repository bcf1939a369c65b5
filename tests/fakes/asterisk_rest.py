"""A strict stand-in for Asterisk's REST interface on a real socket, as far as it moves calls."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

PASSWORD: Final = "rest assured"
USER: Final = "patchcord"
_WORDS: Final = {204: "No Content", 401: "Unauthorized", 404: "Not Found", 409: "Conflict", 500: "Error"}


@dataclass
class Rest:
    """`held`: channels that an application holds; others are in the dialplan. `fails`: a status instead of an answer."""

    held: set[str] = field(default_factory=set)
    in_dialplan: set[str] = field(default_factory=set)
    fails: int = 0
    on_continue: Callable[[str], object] | None = None
    address: str = ""
    moves: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError, EOFError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                method, target, _ = first.split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                await reader.readexactly(int(headers.get("content-length", "0")))
                status = self._answer(method, target, headers)
                writer.write(f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _answer(self, method: str, target: str, headers: dict[str, str]) -> int:
        who = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("authorization") != f"Basic {who}":
            return 401
        if self.fails:
            return self.fails
        parts = urlsplit(target)
        place = parts.path.split("/")
        if method != "POST" or place[:3] != ["", "ari", "channels"] or place[4:] != ["continue"]:
            return 404
        channel = unquote(place[3])
        if channel not in self.held:
            return 409 if channel in self.in_dialplan else 404
        self.held.discard(channel)
        self.moves.append((channel, dict(parse_qsl(parts.query))))
        if self.on_continue is not None:
            self.on_continue(channel)
        return 204


@contextlib.asynccontextmanager
async def resting() -> AsyncIterator[Rest]:
    """A running one."""
    rest = Rest()
    server = await asyncio.start_server(rest.serve, "127.0.0.1", 0)
    rest.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ari"
    try:
        yield rest
    finally:
        server.close()
