"""A local stand-in for OpenAI, Anthropic and Google Gemini on a real socket, with faults that can be switched on.

In tests: `with serving() as fake: lane = fake.lane(); lane.fail("cut"); fake.url(lane)` is the base address.
By itself: `python -m tests.fakes.model_vendors --port 8099`; the plain address is the lane "", `/lane/NAME` any other.
Control by HTTP: POST /_fake/fail, POST /_fake/answer, GET /_fake/journal, DELETE /_fake (each with ?lane=NAME).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from tests.fakes.lanes import Call, Fault, Lane
from tests.fakes.wires import anthropic, gemini, openai_chat, openai_responses
from tests.fakes.wires.plan import Planned
from tests.quick_server import QuickServer

FOREVER = 3600.0
_REFUSALS = {  # fault: (status, the vendors' word, message)
    "rate_limited": (429, "rate_limit_error", "Rate limit reached"),
    "no_credit": (429, "insufficient_quota", "You exceeded your current quota: insufficient_quota"),
    "server_error": (500, "api_error", "The server had an error"),
    "overloaded": (503, "overloaded_error", "Overloaded"),
    "unauthorized": (401, "authentication_error", "Incorrect API key provided: {key}"),
    "not_found": (404, "not_found_error", "The model does not exist"),
    "bad_request": (400, "invalid_request_error", "Unknown parameter with key {key}"),
    "too_long": (400, "invalid_request_error", "context_length_exceeded: exceeds the maximum number of tokens allowed"),
    "no_schema": (400, "invalid_request_error", "response_format json_schema is not supported by this model"),
}


class ModelVendors:
    """The lanes and the address."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._lanes: dict[str, Lane] = {}
        self._numbers = itertools.count(1)

    def lane(self, name: str | None = None) -> Lane:
        """The lane of that name, or a fresh one."""
        name = f"l{next(self._numbers)}" if name is None else name
        return self._lanes.setdefault(name, Lane(name))

    def url(self, lane: Lane) -> str:
        """The base address, without the version that OpenAI's ends in."""
        return f"http://127.0.0.1:{self.port}" + (f"/lane/{lane.name}" if lane.name else "")

    def forget(self, name: str) -> None:
        """Empty a lane."""
        self._lanes.pop(name, None)


def make_app(fake: ModelVendors) -> FastAPI:
    """The application: every vendor's addresses at the root and again under /lane/NAME."""
    app = FastAPI(title="Model vendors (fake)")
    app.include_router(_vendors(fake))
    app.include_router(_vendors(fake), prefix="/lane/{lane}")
    app.include_router(_control(fake), prefix="/_fake")
    return app


def _vendors(fake: ModelVendors) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def chat(request: Request, lane: str = "") -> Response:
        return await _answer(fake.lane(lane), "openai", openai_chat, request)

    @router.post("/v1/responses")
    async def responses(request: Request, lane: str = "") -> Response:
        return await _answer(fake.lane(lane), "openai", openai_responses, request)

    @router.post("/v1/messages")
    async def messages(request: Request, lane: str = "") -> Response:
        return await _answer(fake.lane(lane), "anthropic", anthropic, request)

    @router.post("/v1beta/models/{model}:{verb}")
    async def generate(model: str, verb: str, request: Request, lane: str = "") -> Response:
        extra = {"model": model, "stream": verb == "streamGenerateContent"}
        return await _answer(fake.lane(lane), "google_gemini", gemini, request, extra)

    @router.get("/v1/models")
    async def models(request: Request, lane: str = "") -> Response:
        where = fake.lane(lane)
        wire: Any = anthropic if "x-api-key" in request.headers else openai_chat
        listed = [{"id": name, "object": "model", "type": "model"} for name in where.models]
        return await _list(where, wire, request, {"object": "list", "data": listed, "has_more": False})

    @router.get("/v1beta/models")
    async def gemini_models(request: Request, lane: str = "") -> Response:
        where = fake.lane(lane)
        listed = [{"name": f"models/{n}", "supportedGenerationMethods": ["generateContent"]} for n in where.models]
        listed.append({"name": "models/embedder", "supportedGenerationMethods": ["embedContent"]})
        return await _list(where, gemini, request, {"models": listed})

    return router


def _control(fake: ModelVendors) -> APIRouter:
    router = APIRouter()

    @router.post("/fail")
    async def fail(request: Request, lane: str = "") -> dict[str, bool]:
        fake.lane(lane).fail(**await request.json())
        return {"ok": True}

    @router.post("/answer")
    async def answer(request: Request, lane: str = "") -> dict[str, bool]:
        body = await request.json()
        calls = tuple((c["name"], c["arguments"]) for c in body.pop("tool_calls", ()))
        fake.lane(lane).answers.append(Planned(**body, tool_calls=calls))
        return {"ok": True}

    @router.get("/journal")
    async def journal(lane: str = "") -> list[dict[str, Any]]:
        return [asdict(call) for call in fake.lane(lane).journal]

    @router.delete("")
    async def forget(lane: str = "") -> dict[str, bool]:
        fake.forget(lane)
        return {"ok": True}

    return router


def _key(request: Request) -> str:
    headers = request.headers
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or bearer


async def _answer(
    lane: Lane, vendor: str, wire: Any, request: Request, extra: dict[str, Any] | None = None
) -> Response:
    body = {**await request.json(), **(extra or {})}
    key = _key(request)
    fault = Fault("unauthorized") if key in lane.wrong_keys else lane.next_fault()
    call = Call(vendor, request.url.path, key, body, wire.asked(body), fault.kind if fault else "")
    lane.journal.append(call)
    assert call.asked is not None
    if fault and fault.kind == "no_schema" and call.asked.schema is None:
        fault = None
    if fault and (early := await _early(fault, wire, request, call)):
        return early
    plan = lane.next_answer(call.asked)
    if not call.asked.stream:
        call.done = True
        return JSONResponse(wire.whole(call.asked, plan))
    frames = wire.stream(call.asked, plan)
    return StreamingResponse(_frames(frames, fault, call, wire, lane.pause_seconds), media_type="text/event-stream")


async def _list(lane: Lane, wire: Any, request: Request, answer: dict[str, Any]) -> Response:
    key = _key(request)
    fault = Fault("unauthorized") if key in lane.wrong_keys else lane.next_fault()
    call = Call("list", request.url.path, key, {}, None, fault.kind if fault else "")
    lane.journal.append(call)
    if fault and (early := await _early(fault, wire, request, call)):
        return early
    return JSONResponse(answer)


async def _early(fault: Fault, wire: Any, request: Request, call: Call) -> Response | None:
    """The answer of a fault that strikes before the stream begins."""
    if fault.kind in ("hang", "slow_first_token"):
        await _silence(request, call, FOREVER if fault.kind == "hang" else fault.seconds)
        return Response() if call.left_early else None
    if fault.kind == "redirect":
        return RedirectResponse(f"http://127.0.0.1:{request.url.port}/lane/elsewhere/v1/chat/completions", 307)
    if fault.kind == "invalid_json":
        return PlainTextResponse("<html>Welcome to the hotel wireless network</html>", media_type="application/json")
    if fault.kind not in _REFUSALS:
        return None
    status, kind, message = _REFUSALS[fault.kind]
    headers = {"retry-after": f"{fault.seconds:g}"} if fault.kind == "rate_limited" else {}
    return JSONResponse(wire.error(status, kind, message.format(key=call.key)), status, headers)


async def _silence(request: Request, call: Call, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if await request.is_disconnected():
            call.left_early = True
            return
        await asyncio.sleep(min(0.02, seconds))


async def _frames(frames: list[str], fault: Fault | None, call: Call, wire: Any, pause: float) -> AsyncIterator[str]:
    kind = fault.kind if fault else ""
    middle = max(1, len(frames) // 2)
    try:
        for n, frame in enumerate(frames):
            if n == middle and kind == "ended":
                return
            if n == middle and kind == "cut":
                await asyncio.sleep(0.02)  # or the pieces before the cut would not leave the server
                raise ConnectionAbortedError("cut on purpose")
            if n == middle and kind == "stall":
                await asyncio.sleep(FOREVER)
            if n == middle and kind == "error_in_stream":
                error = wire.error(529, "overloaded_error", "Overloaded")
                yield f"event: error\ndata: {json.dumps(error)}\n\n"
                return
            yield frame
            await asyncio.sleep(pause)
        call.done = True
    except (asyncio.CancelledError, GeneratorExit):
        call.left_early = True
        raise


@contextlib.contextmanager
def serving(port: int = 0) -> Iterator[ModelVendors]:
    """The fake in a thread of its own, on a free port unless told otherwise."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", port))
    fake = ModelVendors(listening.getsockname()[1])
    config = uvicorn.Config(make_app(fake), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = QuickServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.002)
    try:
        yield fake
    finally:
        server.leave()
        thread.join(5)


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(description="A local stand-in for OpenAI, Anthropic and Google Gemini.")
    parser.add_argument("--port", type=int, default=8099)
    with serving(parser.parse_args().port) as fake:
        print(f"listening on http://127.0.0.1:{fake.port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
