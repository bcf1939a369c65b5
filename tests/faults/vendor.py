"""The model's maker as a process of its own: OpenAI's wire, its own books, and faults that are switched on by HTTP.

`python -m tests.faults.vendor PORT JOURNAL`; POST /_mode {"kind", "seconds", "share"} switches, share: of the calls.
A question with "slow7" in it is answered after seven seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from graph_runtime.cli.lifeline import follow_supervisor
from tests.fakes.wires import openai_chat
from tests.fakes.wires.plan import Asked, Planned
from tests.faults.journal import Journal

MODES = ("ok", "server_error", "hang", "slow_first_token", "cut", "invalid_json")
SLOW = re.compile(r"\bslow(\d+)\b")


class Vendor:
    """`mode` holds for every call from now on."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.mode: dict[str, Any] = {"kind": "ok", "seconds": 0.0, "share": 1.0}
        self._numbers = itertools.count(1)
        self._chance = random.Random(7)

    async def answer(self, request: Request) -> Response:
        """One call. Accepted in the books before anything is answered."""
        asked = openai_chat.asked(await request.json())
        kind = self.mode["kind"] if self._chance.random() < self.mode["share"] else "ok"
        number = next(self._numbers)
        self.journal.note("accepted", call=number, text=asked.last, fault="" if kind == "ok" else kind)
        slow = SLOW.search(asked.last)
        if slow:
            await asyncio.sleep(float(slow[1]))
        if kind == "server_error":
            return JSONResponse(openai_chat.error(500, "api_error", "The server had an error"), 500)
        if kind == "invalid_json":
            return PlainTextResponse("<html>hotel wireless</html>", media_type="application/json")
        if kind == "hang":
            await asyncio.sleep(120)
        if kind == "slow_first_token":
            await asyncio.sleep(float(self.mode["seconds"]))
        plan = Planned(f"Answer {asked.last}")
        if not asked.stream:
            self.journal.note("answered", call=number)
            return JSONResponse(openai_chat.whole(asked, plan))
        return StreamingResponse(self._frames(asked, plan, kind, number), media_type="text/event-stream")

    async def _frames(self, asked: Asked, plan: Planned, kind: str, number: int) -> AsyncIterator[str]:
        frames = openai_chat.stream(asked, plan)
        for place, frame in enumerate(frames):
            if kind == "cut" and place == len(frames) // 2:
                await asyncio.sleep(0.02)  # or the pieces before the cut would not leave the server
                raise ConnectionAbortedError("cut on purpose")
            yield frame
        self.journal.note("answered", call=number)

    async def switch(self, request: Request) -> Response:
        """Another mode."""
        self.mode = {"kind": "ok", "seconds": 0.0, "share": 1.0} | await request.json()
        self.journal.note("mode", **{k: v for k, v in self.mode.items() if k != "kind"}, mode=self.mode["kind"])
        return JSONResponse(self.mode)


async def models(_: Request) -> Response:
    """What is offered."""
    return JSONResponse({"object": "list", "data": [{"id": "small", "object": "model"}]})


def make_app(vendor: Vendor) -> Starlette:
    """The application."""
    return Starlette(
        routes=[
            Route("/v1/chat/completions", vendor.answer, methods=["POST"]),
            Route("/v1/models", models),
            Route("/_mode", vendor.switch, methods=["POST"]),
        ]
    )


def main(arguments: list[str]) -> None:
    """Run until killed."""
    follow_supervisor()
    vendor = Vendor(Journal(Path(arguments[1])))
    uvicorn.run(make_app(vendor), host="127.0.0.1", port=int(arguments[0]), log_level="critical", lifespan="off")


if __name__ == "__main__":
    main(sys.argv[1:])
