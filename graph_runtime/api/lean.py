"""A short way through FastAPI for a route that is asked more than all others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from graph_runtime.services.principal import Principal

Body = TypeVar("Body", bound=BaseModel)
_LONG_WAY = (b"idempotency-key", b"content-encoding")


def lean(
    guard: Callable[[Request], Awaitable[Principal]],
    model: type[Body],
    answer: Callable[[Request, Principal, Body], Awaitable[Response]],
) -> type[APIRoute]:
    """A class of routes for POST behind one guard, with one JSON body: what they are asked plainly, `answer` answers.

    FastAPI works out anew for each request whatever an endpoint might want, which costs nearly as much as a turn.
    All else goes its way, with the body that was read: one that does not fit, other kinds of content, headers that mean
    something. Errors are worded in one place, which lies before both ways.
    """

    class Lean(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "POST" or not _is_plain(scope):
                await super().handle(scope, receive, send)
                return
            raw = await _body(receive)
            try:
                body = model.model_validate_json(raw)
            except ValidationError:
                await super().handle(scope, _again(raw, receive), send)
                return
            request = Request(scope, _again(raw, receive), send)
            response = await answer(request, await guard(request), body)
            await response(scope, receive, send)

    return Lean


def lean_raw(answer: Callable[[Request], Awaitable[Response]]) -> type[APIRoute]:
    """The same for bytes that the service itself judges, so that there is no guard to ask before it."""

    class LeanRaw(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "POST":
                await super().handle(scope, receive, send)
                return
            response = await answer(Request(scope, receive, send))
            await response(scope, receive, send)

    return LeanRaw


def _is_plain(scope: Scope) -> bool:
    is_json = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            is_json = value.partition(b";")[0].strip().lower() == b"application/json"
        elif name in _LONG_WAY:
            return False
    return is_json


async def _body(receive: Receive) -> bytes:
    """All of it. Raises: HTTPException (400) when the client goes away before its end."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400)
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


def _again(raw: bytes, receive: Receive) -> Receive:
    """The body that was read, and then what comes after it."""
    is_told = False

    async def told() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return told
