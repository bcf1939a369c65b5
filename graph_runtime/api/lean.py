"""A short way for routes that are asked more than all others: before FastAPI and the layers around it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from graph_runtime.api.headers import Policies
from graph_runtime.api.limits import body_limit, refusal
from graph_runtime.api.metrics import note_answer
from graph_runtime.services.principal import Principal

Body = TypeVar("Body", bound=BaseModel)
_JSON: Final = b"application/json"
_STREAM: Final = b"text/event-stream"
COMPRESSED_FROM: Final = 1000
"""Bytes of an answer."""
COMPRESSION: Final = 5


class LeanRoute(APIRoute):
    """A route for POST that can answer by itself what it is asked plainly."""

    async def answer_plainly(self, request: Request, raw: bytes) -> Response | None:
        """None: it is for the long way. Raises: what the endpoint raises."""
        raise NotImplementedError


def lean(
    guard: Callable[[Request], Awaitable[Principal]],
    model: type[Body],
    answer: Callable[[Request, Principal, Body], Awaitable[Response]],
) -> type[LeanRoute]:
    """A class of routes behind one guard, with one JSON body.

    Other kinds of content, a body that does not fit, and headers that mean something are for the long way.
    """

    class Lean(LeanRoute):
        async def answer_plainly(self, request: Request, raw: bytes) -> Response | None:
            if not _is_plain(request.scope):
                return None
            try:
                body = model.model_validate_json(raw)
            except ValidationError:
                return None
            return await answer(request, await guard(request), body)

    return Lean


def lean_raw(answer: Callable[[Request], Awaitable[Response]]) -> type[LeanRoute]:
    """The same for bytes that the service itself judges, so that there is no guard to ask before it."""

    class LeanRaw(LeanRoute):
        async def answer_plainly(self, request: Request, raw: bytes) -> Response | None:
            return await answer(request)

    return LeanRaw


class ShortWay:
    """Takes requests for lean routes out of the long way.

    FastAPI works out anew for each request whatever an endpoint might want, and each layer around it wraps what is received and
    sent; together they cost as much as a turn. Here the same is done in one place: who would wait too long is refused, sizes are
    limited, errors are worded by the application's own handlers, headers are added and answers measured.
    """

    def __init__(self, app: FastAPI, waiting: Callable[[], int], policies: Policies) -> None:
        self._app = app
        self._waiting = waiting
        self._policies = policies
        posts = [
            route for route in app.router.routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())
        ]
        lean_ones = [place for place, route in enumerate(posts) if isinstance(route, LeanRoute)]
        self._routes = posts[: lean_ones[-1] + 1] if lean_ones else []
        """Those before them as well, because the first that fits is meant."""

    async def take(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer a request; else what the long way has to receive."""
        route = self._route(scope)
        if route is None:
            return receive
        began = time.perf_counter()
        scope["app"] = self._app
        request = Request(scope, receive)
        response = refusal(scope["path"], self._waiting())
        if response is None:
            response = await self._answer(route, request)
            if response is None:
                return _again(await request.body(), receive)
        try:
            await self._send(response, scope, receive, send)
        finally:
            note_answer("POST", route.path, response.status_code, time.perf_counter() - began)
        return None

    def _route(self, scope: Scope) -> LeanRoute | None:
        """Of a request that says how long its body is, and that it is not too long."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path: str = scope["path"]
        for route in self._routes:
            if (found := route.path_regex.match(path)) is not None:
                sizes = [value for name, value in scope["headers"] if name == b"content-length"]
                is_short = len(sizes) == 1 and sizes[0].isdigit() and int(sizes[0]) <= (body_limit(path) or 0)
                if not isinstance(route, LeanRoute) or not is_short:
                    return None
                scope["path_params"] = found.groupdict()
                return route
        return None

    async def _answer(self, route: LeanRoute, request: Request) -> Response | None:
        try:
            return await route.answer_plainly(request, await request.body())
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody will read
        except Exception as error:  # noqa: BLE001  # each has its handler, and what nobody expects has one, too
            handlers = self._app.exception_handlers
            handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
            response: Response = await handler(request, error)  # type: ignore[misc]  # ours are coroutines
            error.__traceback__ = None
            return response

    async def _send(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        headers = response.raw_headers
        headers += self._policies.missing(scope["path"], headers)
        if len(response.body) >= COMPRESSED_FROM:
            await GZipMiddleware(response, COMPRESSED_FROM, COMPRESSION)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})


def _is_plain(scope: Scope) -> bool:
    is_json = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            is_json = value.partition(b";")[0].strip().lower() == _JSON
        elif name in (b"idempotency-key", b"content-encoding") or (name == b"accept" and _STREAM in value):
            return False
    return is_json


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
