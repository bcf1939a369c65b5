"""The short way of what is asked most, beside the long way through the same application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from prometheus_client import REGISTRY
from pydantic import BaseModel
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from graph_runtime.api import errors, limits
from graph_runtime.api.headers import Policies, SecurityHeaders
from graph_runtime.api.lean import COMPRESSED_FROM, COMPRESSION, ShortWay, lean, lean_raw
from graph_runtime.api.limits import MEGABYTE, BodyLimit
from graph_runtime.api.metrics import Measured
from graph_runtime.contract.errors import AccessDenied, Conflict
from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import DATABASE_AWAY

LONG_WAY = {"Content-Encoding": "identity"}
SOMEBODY = Principal("workspace", None, "api", frozenset())


class Said(BaseModel):
    """What the small application is sent."""

    text: str


@dataclass
class Small:
    """Two lean routes and one before them. `long` counts requests that went through FastAPI; `waiting`: who waits."""

    waiting: int = 0
    long: int = 0
    app: FastAPI = field(default_factory=FastAPI)

    def __post_init__(self) -> None:
        @self.app.post("/hooks/special/{name}")
        async def special(name: str) -> dict[str, str]:
            return {"special": name}

        async def echo(request: Request, kind: str, channel: str) -> dict[str, Any]:
            return {"kind": kind, "channel": channel, "bytes": len(await request.body())}

        async def echo_plainly(request: Request) -> JSONResponse:
            return JSONResponse(await echo(request, **request.path_params))

        async def say(said: Said) -> JSONResponse:
            return answered(said)

        async def say_plainly(request: Request, who: Principal, said: Said) -> JSONResponse:
            assert who is SOMEBODY
            return answered(said)

        self.app.router.add_api_route(
            "/hooks/{kind}/{channel}", echo, methods=["POST"], route_class_override=lean_raw(echo_plainly)
        )
        self.app.router.add_api_route(
            "/api/say", say, methods=["POST"], route_class_override=lean(guard, Said, say_plainly)
        )
        errors.install(self.app)
        policies = Policies(public_url="https://here.example", screens_pages=Path("none"))
        self.app.add_middleware(BodyLimit)
        self.app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM, compresslevel=COMPRESSION)
        self.app.add_middleware(SecurityHeaders, policies=policies)
        self.app.add_middleware(Measured)
        self._short = ShortWay(self.app, lambda: self.waiting, policies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = await self._short.take(scope, receive, send)
        if received is not None:
            self.long += 1
            await self.app(scope, received, send)


async def guard(request: Request) -> Principal:
    if request.headers.get("x-refused"):
        raise AccessDenied("Not you.")
    return SOMEBODY


def answered(said: Said) -> JSONResponse:
    if said.text == "conflict":
        raise Conflict("Too late.")
    if said.text == "away":
        raise DATABASE_AWAY[0]
    if said.text == "surprise":
        raise ZeroDivisionError
    headers = {"Content-Security-Policy": "default-src 'self'"} if said.text == "own" else None
    return JSONResponse({"said": said.text * (COMPRESSED_FROM if said.text == "long " else 1)}, headers=headers)


@pytest.fixture
def small() -> Small:
    return Small()


def client(small: Small) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(small, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://here.example")


@pytest.mark.parametrize(
    ("text", "status"),
    [("Hello", 200), ("own", 200), ("long ", 200), ("conflict", 409), ("away", 503), ("surprise", 500)],
)
@pytest.mark.parametrize("encodings", ["gzip", "identity"])
async def test_answers_are_the_same_on_both_ways(small: Small, text: str, status: int, encodings: str) -> None:
    async with client(small) as program:
        short, long = [
            await program.post("/api/say", json={"text": text}, headers={"Accept-Encoding": encodings, **way})
            for way in ({}, LONG_WAY)
        ]
    assert small.long == 1
    assert short.status_code == long.status_code == status
    assert short.json() == long.json()
    if status != 500:  # which Starlette answers outside of all layers
        assert sorted(short.headers.multi_items()) == sorted(long.headers.multi_items())
    assert "content-security-policy" in short.headers
    assert short.headers.get("content-encoding") == ("gzip" if (text, encodings) == ("long ", "gzip") else None)


async def test_the_guard_is_asked_first(small: Small) -> None:
    async with client(small) as program:
        answer = await program.post("/api/say", json={"text": "conflict"}, headers={"X-Refused": "yes"})
    assert (answer.status_code, small.long) == (403, 0)


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "application/json", "Idempotency-Key": "one"}, b'{"text": "Hello"}'),
        ({"Content-Type": "application/json", "Accept": "text/event-stream"}, b'{"text": "Hello"}'),
        ({"Content-Type": "application/json"}, b'{"words": "Hello"}'),
        ({"Content-Type": "application/json"}, b"{"),
        ({"Content-Type": "text/plain"}, b'{"text": "Hello"}'),
    ],
)
async def test_what_is_not_plain_goes_the_long_way_with_its_body(
    small: Small, headers: dict[str, str], content: bytes
) -> None:
    async with client(small) as program:
        answer = await program.post("/api/say", content=content, headers=headers)
    assert small.long == 1
    assert answer.status_code == (200 if b"text" in content and "application/json" in headers["Content-Type"] else 422)


async def test_the_first_route_that_fits_is_meant(small: Small) -> None:
    async with client(small) as program:
        special = await program.post("/hooks/special/one", content=b"123")
        other = await program.post("/hooks/other/one", content=b"123")
        nothing = await program.post("/hooks/other", content=b"123")
        got = await program.get("/hooks/other/one")
    assert special.json() == {"special": "one"}
    assert other.json() == {"kind": "other", "channel": "one", "bytes": 3}
    assert (nothing.status_code, got.status_code) == (404, 405)
    assert small.long == 3


async def pieces() -> AsyncIterator[bytes]:
    yield b"1" * 600_000
    yield b"2" * 600_000


async def test_what_is_too_long_or_says_no_length_is_judged_on_the_long_way(small: Small) -> None:
    async with client(small) as program:
        fits = await program.post("/hooks/other/one", content=b"1" * MEGABYTE)
        assert (fits.json()["bytes"], small.long) == (MEGABYTE, 0)
        too_long = await program.post("/hooks/other/one", content=b"1" * (MEGABYTE + 1))
        in_pieces = await program.post("/hooks/other/one", content=pieces())
    assert (too_long.status_code, in_pieces.status_code, small.long) == (413, 413, 2)


async def test_who_would_wait_too_long_is_refused(small: Small) -> None:
    small.waiting = limits.MOST_WAITING + 1
    async with client(small) as program:
        refused = await program.post("/api/say", json={"text": "Hello"})
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "busy", "2")
    assert small.long == 0


async def test_answers_are_counted_by_their_route(small: Small) -> None:
    def counted() -> list[float]:
        return [
            REGISTRY.get_sample_value("http_requests_total", {"method": "POST", "route": "/api/say", "status": status})
            or 0.0
            for status in ("200", "409")
        ]

    before = counted()
    async with client(small) as program:
        for text in ("Hello", "conflict"):
            for way in ({}, LONG_WAY):
                await program.post("/api/say", json={"text": text}, headers=way)
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 2]
