"""A worker's health and figures over HTTP: three addresses, GET only, no framework."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

LONGEST_HEAD: Final = 8192
SECONDS: Final = 5.0

Ready = Callable[[], Awaitable[str]]
"""An empty text when the worker can work, else why not."""


class Health:
    """`token`: what /metrics asks for; without it, in production, only this machine gets an answer."""

    def __init__(
        self, ready: Ready, figures: Callable[[], Awaitable[bytes]], *, token: str, is_production: bool
    ) -> None:
        self._ready = ready
        self._figures = figures
        self._token = token
        self._is_production = is_production
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; the port. Raises: OSError when that is not possible."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LONGEST_HEAD)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
                method, _, rest = head[0].partition(" ")
                peer = writer.get_extra_info("peername")
                status, kind, body = await self._answer(
                    method, rest.split(" ")[0], fields, str(peer[0]) if peer else ""
                )
                writer.write(_response(status, kind, body, with_body=method != "HEAD"))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, fields: dict[str, str], peer: str) -> tuple[int, str, bytes]:
        if method not in ("GET", "HEAD"):
            return 405, "text/plain", b""
        if path == "/health/live":
            return _status(200, "live")
        if path == "/health/ready":
            why_not = await self._ready()
            return _status(503, why_not) if why_not else _status(200, "ready")
        if path == "/metrics":
            if not self._may_measure(fields, peer):
                return _status(403, "Set PATCHCORD_METRICS_TOKEN and send it as a bearer token.")
            return 200, "text/plain; version=0.0.4; charset=utf-8", await self._figures()
        return _status(404, "There is nothing at this address.")

    def _may_measure(self, fields: dict[str, str], peer: str) -> bool:
        if self._token:
            scheme, _, given = fields.get("authorization", "").partition(" ")
            return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode())
        return not self._is_production or peer in ("127.0.0.1", "::1")


def _status(status: int, text: str) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps({"status": text}).encode()


def _response(status: int, kind: str, body: bytes, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
