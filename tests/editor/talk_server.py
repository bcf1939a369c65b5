"""The fake server with a test conversation, versions and models: what the side panels speak to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from graph_runtime.contract.changes import describe
from graph_runtime.contract.flow import Flow
from tests.editor.fake_server import FakeServer
from tests.editor.flows import empty_flow, lead_flow
from tests.editor.screens import built_screens
from tests.editor.world import World

Frame = dict[str, Any]


def message(seq: int, text: str, node: str, options: tuple[tuple[str, str], ...] = (), **more: Any) -> Frame:
    """A live message of the agent, with buttons if there are options."""
    part: Frame = {"kind": "text", "text": text}
    if options:
        part = {"kind": "choices", "text": text, "options": [{"id": i, "label": label} for i, label in options]}
    return {
        "type": "message",
        "message": {"seq": seq, "role": "agent", "key": f"k{seq}", "parts": [part], "text": text, "node_id": node}
        | more,
    }


def step(node: str, state: str, port: str = "") -> Frame:
    """A live step event."""
    return {"type": "step", "node_id": node, "state": state, "port": port}


OPENING = (
    {"type": "typing"}, step("n_start", "entered"), step("n_start", "left", "next"), step("n_hello", "entered"),
    message(1, "Hello! I help to choose a **plan**.", "n_hello"), step("n_hello", "left", "next"), step("n_need", "entered"),
    message(2, "What are you looking for?", "n_need", (("c_buy", "I want to buy"), ("c_help", "I need help"))),
    step("n_need", "waiting"), {"type": "turn", "state": "ended", "waits": "reply", "steps": 3, "ms": 84},
)  # fmt: skip


class TalkServer(FakeServer):
    """Plays one conversation over the lead flow; `said` is what the tester sent, `published` the versions."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.said: list[Frame] = []
        self.started: list[Frame] = []
        self.bound: list[tuple[str, Frame]] = []
        self.published: list[tuple[Flow, str]] = []
        self.restored: list[int] = []
        self.is_silent = False

    def _app(self) -> Starlette:
        app = super()._app()
        app.router.routes[:0] = [
            Route("/api/builder/flows/{flow_id}/versions", self._versions),
            Route("/api/builder/flows/{flow_id}/restore", self._restore, methods=["POST"]),
            Route("/api/builder/agents/{agent_id}/connections/{slot}", self._bind, methods=["PUT"]),
            Route("/api/builder/agents/{agent_id}/flows", self._add_flow, methods=["POST"]),
        ]
        return app

    async def _frame(self, flow_id: str, number: int, frame: Frame, tell: Any) -> None:
        if frame["t"] == "test_start":
            self.started.append(frame)
            if self.is_silent:
                tell(
                    {
                        "t": "live",
                        "event": {"type": "error", "code": "flow_invalid", "message": "The flow has no start."},
                    }
                )
                return
            tell({"t": "test", "conversation_id": f"test-{len(self.started)}"})
            for event in OPENING:
                tell({"t": "live", "event": event})
        elif frame["t"] == "test_say":
            self.said.append(frame)
            for event in self._answer(frame):
                tell({"t": "live", "event": event})
        else:
            await super()._frame(flow_id, number, frame, tell)

    def _answer(self, frame: Frame) -> list[Frame]:
        seq = 10 * len(self.said)
        mine = {
            "seq": seq,
            "role": "contact",
            "key": "",
            "client_id": frame["client_id"],
            "text": frame["text"],
            "parts": [],
        }
        if frame.get("option_id") == "c_buy":
            return [
                {"type": "message", "message": mine}, {"type": "typing"}, step("n_need", "left", "c_buy"), step("n_budget", "entered"),
                message(seq + 1, "What is your budget?", "n_budget"), step("n_budget", "waiting"),
                {"type": "turn", "state": "ended", "waits": "reply", "steps": 2, "ms": 41},
            ]  # fmt: skip
        return [
            {"type": "message", "message": mine}, {"type": "typing"}, step("n_budget", "left", "answered"), step("n_big", "entered"),
            step("n_big", "left", "c_big"), step("n_vip", "entered"),
            {"type": "delta", "key": "s", "text": "Your personal ", "node_id": "n_vip"},
            {"type": "delta", "key": "s", "text": "manager will call.", "node_id": "n_vip"},
            message(seq + 1, "Your personal manager will call.", "n_vip", key="s"), step("n_vip", "left", "next"),
            {"type": "variables", "values": {"budget": 600000}},
            {"type": "turn", "state": "ended", "waits": "", "steps": 3, "ms": 1240}, {"type": "ended", "result": "won"},
        ]  # fmt: skip

    async def _publish(self, request: Request) -> Response:
        flow_id = request.path_params["flow_id"]
        draft = self.world.drafts[flow_id]
        live = self.published[-1][0] if self.published else None
        problems = self.world.problems(flow_id)
        if request.method == "GET":
            changes = [c.to_json() for c in describe(live, draft.flow, self.world.catalog)]
            return JSONResponse(
                {
                    "number": len(self.published) + 1, "live_version": len(self.published) or None, "revision": draft.revision,
                    "checks": [{"flow_id": flow_id, "name": draft.flow.name, "problems": problems}],
                    "changes": [{"flow_id": flow_id, "name": draft.flow.name, "changes": changes}],
                    "open_conversations": 2,
                }
            )  # fmt: skip
        body = await request.json()
        if body["revision"] != draft.revision:
            return JSONResponse({"code": "conflict", "detail": "The flow changed."}, 409)
        self.published.append((draft.flow, body["comment"]))
        draft.published, draft.published_hash = len(self.published), draft.flow.content_hash()
        return JSONResponse({"number": len(self.published)})

    async def _versions(self, _: Request) -> Response:
        rows = [
            {"id": f"v{i}", "number": i, "comment": comment, "author": "Olena", "created_at": f"2026-11-2{i}T10:1{i}:00Z", "is_live": i == len(self.published)}
            for i, (_, comment) in enumerate(self.published, 1)
        ]  # fmt: skip
        return JSONResponse(rows[::-1])

    async def _restore(self, request: Request) -> Response:
        self.restored.append((await request.json())["number"])
        return JSONResponse({})

    async def _bind(self, request: Request) -> Response:
        self.bound.append((request.path_params["slot"], await request.json()))
        return Response(status_code=204)

    async def _add_flow(self, request: Request) -> Response:
        return JSONResponse({"id": "flow-made", "name": (await request.json())["name"]}, 201)


@pytest.fixture
def server() -> Iterator[TalkServer]:
    """In place of the plain fake server, for the modules that import it."""
    world = World()
    world.put(lead_flow())
    world.put(empty_flow())
    talk = TalkServer(built_screens(), world)
    with talk:
        yield talk
