"""A small server that speaks the editor's HTTP and WebSocket protocol over the real edits, check and catalog."""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from graph_runtime.contract.edits import EDITS
from graph_runtime.contract.errors import EditInvalid
from tests.editor.world import Clash, World
from tests.quick_server import QuickServer

AUTHOR = "Olena"


class FakeServer:
    """Runs in a thread on a free port; `world` may be looked at and changed from the test."""

    def __init__(self, screens: Path, world: World | None = None, port: int = 0) -> None:
        self.world = world or World()
        self._screens = screens
        self.bytes_sent = 0
        """Bytes of the pages' files sent so far, compressed as they were sent."""
        self._sockets: set[WebSocket] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        listener = socket.socket()
        listener.bind(("127.0.0.1", port))
        self._listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = QuickServer(uvicorn.Config(self._app(), log_level="error", lifespan="off", ws="wsproto"))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FakeServer:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.002)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.force_exit = True
        self._server.leave()
        self._thread.join(10)
        self._listener.close()

    def address(self, flow_id: str) -> str:
        """The editor page of a flow."""
        return f"{self.url}/agents/agent-1/flow/{flow_id}"

    def cut_sockets(self) -> None:
        """Close every WebSocket, as a dying network does."""
        for ws in list(self._sockets):
            assert self._loop is not None
            asyncio.run_coroutine_threadsafe(ws.close(1012), self._loop).result(5)

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._listener])

        asyncio.run(serve())

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/builder/catalog", self._catalog),
                Route("/api/builder/flows/{flow_id}", self._flow),
                Route("/api/builder/flows/{flow_id}/edits", self._edits, methods=["POST"]),
                Route("/api/builder/flows/{flow_id}/publish", self._publish, methods=["GET", "POST"]),
                Route("/api/{rest:path}", self._missing),
                WebSocketRoute("/ws/editor/{flow_id}", self._socket),
                Route("/{path:path}", self._page),
            ]
        )

    async def _catalog(self, request: Request) -> Response:
        return JSONResponse(self.world.catalog_json(request.query_params.get("language", "en")))

    async def _flow(self, request: Request) -> Response:
        flow_id = request.path_params["flow_id"]
        if "refuse_http" in self.world.faults:
            return JSONResponse({"code": "unavailable", "detail": "The server is being restarted."}, 503)
        if flow_id not in self.world.drafts:
            return JSONResponse({"code": "not_found", "detail": "This flow does not exist any more."}, 404)
        return JSONResponse(self.world.opened(flow_id))

    async def _edits(self, request: Request) -> Response:
        raw = await request.body()
        self.world.received.append(("http", len(raw)))
        if "refuse_http" in self.world.faults:
            return JSONResponse({"code": "unavailable"}, 503)
        body = json.loads(raw)
        answer = self._saved(
            request.path_params["flow_id"], body["client"], body["seq"], body["base_revision"], body["edits"]
        )
        if answer["t"] == "conflict":
            return JSONResponse(
                {"code": "conflict", "paths": answer["paths"], "revision": answer["rev"], "flow": answer["flow"]}, 409
            )
        if answer["t"] == "rejected":
            return JSONResponse({"code": answer["code"], "detail": answer["message"]}, 422)
        problems = self.world.problems(request.path_params["flow_id"])
        return JSONResponse(
            {"seq": answer["seq"], "revision": answer["rev"], "problems": problems, "others": answer["others"]}
        )

    def _saved(self, flow_id: str, client: str, seq: int, base: int, edits: list[Any]) -> dict[str, Any]:
        try:
            parsed = EDITS.validate_python(edits)
            revision, others = self.world.apply(flow_id, client, seq, base, parsed, AUTHOR)
        except Clash as clash:
            draft = self.world.drafts[flow_id]
            return {
                "t": "conflict",
                "seq": seq,
                "rev": draft.revision,
                "paths": sorted(clash.paths),
                "flow": draft.flow.to_json(),
            }
        except (EditInvalid, ValueError) as error:
            return {"t": "rejected", "seq": seq, "code": "edit_invalid", "message": str(error)}
        return {"t": "saved", "seq": seq, "rev": revision, "others": EDITS.dump_python(others, mode="json")}

    async def _publish(self, request: Request) -> Response:
        flow_id = request.path_params["flow_id"]
        draft = self.world.drafts[flow_id]
        if request.method == "GET":
            return JSONResponse(
                {
                    "problems": self.world.problems(flow_id),
                    "changes": [],
                    "next_number": draft.published + 1,
                    "open_conversations": 2,
                }
            )
        draft.published += 1
        draft.published_hash = draft.flow.content_hash()
        return JSONResponse({"number": draft.published})

    async def _missing(self, _: Request) -> Response:
        return JSONResponse({"code": "not_found", "detail": "Not in the fake server."}, 404)

    async def _page(self, request: Request) -> Response:
        path = self._screens / request.path_params["path"]
        if not path.is_file() or not path.resolve().is_relative_to(self._screens.resolve()):
            path = self._screens / "__spa-fallback.html"
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = {"Cache-Control": "max-age=600"} if "assets" in path.parts else {}
        packed = path.with_name(path.name + ".gz")
        if packed.is_file():
            path, headers["Content-Encoding"] = packed, "gzip"
        self.bytes_sent += path.stat().st_size
        return FileResponse(path, media_type=kind, headers=headers)

    async def _socket(self, ws: WebSocket) -> None:
        flow_id = ws.path_params["flow_id"]
        if "refuse_socket" in self.world.faults or flow_id not in self.world.drafts:
            await ws.close(1013)
            return
        await ws.accept()
        self._sockets.add(ws)
        frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(frame: dict[str, Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: the test is over, and nobody waits for this
                loop.call_soon_threadsafe(frames.put_nowait, frame)

        draft = self.world.drafts[flow_id]
        number = self.world.enter(flow_id, tell)
        tell({"t": "hello", "rev": draft.revision})
        writer = asyncio.create_task(_write(ws, frames))
        try:
            while True:
                text = await ws.receive_text()
                self.world.received.append(("socket", len(text)))
                await self._frame(flow_id, number, json.loads(text), tell)
        except WebSocketDisconnect:
            pass
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            draft.tabs.pop(number, None)
            self._sockets.discard(ws)

    async def _frame(self, flow_id: str, number: int, frame: dict[str, Any], tell: Any) -> None:
        if frame["t"] == "ping":
            tell({"t": "pong"})
        elif frame["t"] == "edits":
            self.world.drafts[flow_id].tabs[number] = (frame["client"], tell)
            answer = self._saved(flow_id, frame["client"], frame["seq"], frame["base"], frame["edits"])
            if "lose_ack" in self.world.faults:
                self.world.faults.discard("lose_ack")
            else:
                tell(answer)
        elif frame["t"] == "test_start":
            tell({"t": "test", "conversation_id": "test-1"})


async def _write(ws: WebSocket, frames: asyncio.Queue[dict[str, Any]]) -> None:
    while True:
        await ws.send_text(json.dumps(await frames.get(), ensure_ascii=False))
