"""What the web process measures about itself; labels name routes and kinds, never ids."""

from __future__ import annotations

import time
from functools import cache

from prometheus_client import Counter, Gauge, Histogram
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("http_requests_total", "Answers by route and status", ["method", "route", "status"])
SECONDS = Histogram(
    "http_request_seconds",
    "Time to the end of the answer, by route",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
)
SOCKETS = Gauge("open_sockets", "Open WebSockets and event streams by kind", ["kind"])
EDITS = Counter("draft_edit_batches_total", "Batches of edits by outcome", ["outcome"])
CHAT_MESSAGES = Counter("web_chat_messages_total", "Messages of visitors by outcome", ["outcome"])

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measured:
    """Counts and times HTTP answers by the template of their route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            note_answer(method, _template(scope), status, time.perf_counter() - began)


def note_answer(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer. `route`: its template."""
    requests, durations = _meters(method, route, status)
    requests.inc()
    durations.observe(seconds)


@cache
def _meters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """As many as there are routes and answers; finding them costs more than counting."""
    return REQUESTS.labels(method, route, str(status)), SECONDS.labels(route)


def _template(scope: Scope) -> str:
    route = scope.get("route")
    path = getattr(route, "path", None) if isinstance(route, BaseRoute) else None
    return path or "screens"
