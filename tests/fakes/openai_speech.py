"""A local stand-in for the two speech addresses of OpenAI and its like, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
import time
import wave
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from tests.quick_server import QuickServer

SAMPLES_PER_LETTER = 60
_REFUSALS = {
    "rate_limited": (429, "Rate limit reached"),
    "unavailable": (503, "Overloaded"),
    "server_error": (500, "The server had an error"),
    "unauthorized": (401, "Incorrect API key provided: {key}"),
    "not_found": (404, "The model does not exist"),
    "bad_request": (400, "Unknown voice, key {key}"),
}


@dataclass
class OpenAiSpeech:
    """What the fake remembers. `fault` strikes the next call; `wav` answers with a file instead of raw audio."""

    port: int = 0
    fault: str = ""
    wav: bool = False
    heard: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """For `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"


async def _early(fake: OpenAiSpeech, request: Request) -> tuple[str, Response | None]:
    fault, fake.fault = fake.fault, ""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    fault = "unauthorized" if key == "wrong-key" else fault
    if fault in _REFUSALS:
        status, words = _REFUSALS[fault]
        headers = {"retry-after": "7"} if status == 429 else {}
        return fault, JSONResponse({"error": {"message": words.format(key=key)}}, status, headers)
    if fault == "unreadable":
        return fault, PlainTextResponse("<html>Welcome to the hotel wireless network</html>")
    if fault == "hang":
        while not await request.is_disconnected():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        fake.left.set()
        return fault, Response()
    return fault, None


def _app(fake: OpenAiSpeech) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        _, early = await _early(fake, request)
        if early is not None:
            return early
        async with request.form() as form:
            file: Any = form["file"]
            with wave.open(io.BytesIO(await file.read())) as audio:
                pcm = audio.readframes(audio.getnframes())
                fields = {k: v for k, v in form.items() if k != "file"}
                fake.heard.append({**fields, "rate": audio.getframerate(), "samples": len(pcm) // 2})
        words: list[str] = []
        for value in memoryview(pcm).cast("h")[::400]:
            if not words or words[-1] != str(value):
                words.append(str(value))
        return JSONResponse({"text": " " + " ".join(words), "logprobs": [{"token": "x", "logprob": -0.1}]})

    @app.post("/v1/audio/speech")
    async def speech(request: Request) -> Response:
        body = await request.json()
        fault, early = await _early(fake, request)
        if early is not None:
            return early
        fake.texts.append(body)
        return StreamingResponse(_pieces(fake, body["input"], fault), media_type="audio/pcm")

    return app


async def _pieces(fake: OpenAiSpeech, text: str, fault: str) -> AsyncIterator[bytes]:
    try:
        if fake.wav:
            out = io.BytesIO()
            with wave.open(out, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16_000)
            yield out.getvalue()
        for n, _ in enumerate(text):
            if n == 3 and fault == "cut":
                raise ConnectionAbortedError("cut on purpose")
            if n == 3 and fault == "stall":
                await asyncio.sleep(3600)
            piece = n.to_bytes(2, "little") * SAMPLES_PER_LETTER
            yield piece[:33]  # not whole samples
            yield piece[33:]
            await asyncio.sleep(0.001)
    except (asyncio.CancelledError, GeneratorExit):
        fake.left.set()
        raise


@contextlib.contextmanager
def serving() -> Iterator[OpenAiSpeech]:
    """The fake on a free port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    fake = OpenAiSpeech(listening.getsockname()[1])
    config = uvicorn.Config(_app(fake), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
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
