"""Limits of one process: requests in the queue, bodies in bytes, events per window, connections per address."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph_runtime.api.errors import SENTENCES, problem
from graph_runtime.contract.errors import TooMany
from graph_runtime.telemetry.metrics import RATE_LIMITED

MEGABYTE = 1_000_000
MAX_UPLOAD_BYTES = 20 * MEGABYTE
_ROOM_FOR_MULTIPART = 64_000
MOST_WAITING = 300
"""Requests that wait for the database before more are refused: about a second's work of one process."""
BUSY = "Too many requests at once. Repeat it in a few seconds, with the same Idempotency-Key if you sent one."


def body_limit(path: str) -> int | None:
    """How many bytes a request to this path may carry; None for the screens, which have their own limits."""
    if path in ("/api/session", "/api/owner"):
        return 16_000
    if path.startswith(("/api/chat/", "/api/builder/conversations/")):
        return MAX_UPLOAD_BYTES + _ROOM_FOR_MULTIPART
    if path.startswith("/api/builder/knowledge/") and path.endswith("/imports"):
        return 100 * MEGABYTE + _ROOM_FOR_MULTIPART
    if path.startswith("/api/builder/knowledge/") or (path.startswith("/api/v1/") and path.endswith("/files")):
        return 25 * MEGABYTE + _ROOM_FOR_MULTIPART
    if path.endswith("/draft"):
        return 4 * MEGABYTE + _ROOM_FOR_MULTIPART
    if path.startswith(("/api/", "/hooks/")):
        return MEGABYTE
    return None


class Admission:
    """Answers 503 at once while more requests wait for the database than it serves in a second.

    Without it each of them would wait its 20 seconds and then fail, the callers would repeat, and nobody would be served.
    """

    def __init__(self, app: ASGIApp, *, waiting: Callable[[], int], most: int = MOST_WAITING) -> None:
        self.app = app
        self._waiting = waiting
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refusal(scope["path"], self._waiting(), self._most) if scope["type"] == "http" else None
        await (answer or self.app)(scope, receive, send)


def refusal(path: str, waiting: int, most: int = MOST_WAITING) -> Response | None:
    """Why a request is not served now, or None."""
    if waiting <= most or not path.startswith(("/api/", "/hooks/")):
        return None
    RATE_LIMITED.labels("waiting").inc()
    return problem(503, "busy", BUSY, params={}, headers={"Retry-After": "2"})


class BodyLimit:
    """Answers 413 as soon as a body is known to be over the limit of its path, whatever Content-Length claims."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = body_limit(scope["path"]) if scope["type"] == "http" else None
        if limit is None:
            await self.app(scope, receive, send)
            return
        claimed = Headers(scope=scope).get("content-length", "")
        if claimed.isdecimal() and int(claimed) > limit:
            answer = problem(
                413,
                "too_large",
                f"{SENTENCES[413][1]} The limit here is {limit} bytes.",
                params={"limit": limit},
                headers={"Connection": "close"},
            )
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise HTTPException(413)
            return message

        await self.app(scope, counted, send)


class Window:
    """At most `most` events in any `seconds`."""

    __slots__ = ("_at", "_most", "_seconds")

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._at: deque[float] = deque()

    def take(self) -> None:
        """Count one event. Raises: TooMany, saying after how many seconds the next one may come."""
        now = time.monotonic()
        while self._at and now - self._at[0] >= self._seconds:
            self._at.popleft()
        if len(self._at) >= self._most:
            wait = self._seconds - (now - self._at[0])
            RATE_LIMITED.labels("requests").inc()
            raise TooMany(f"That was too much at once. Wait {max(1, round(wait))} seconds and go on.", retry_after=wait)
        self._at.append(now)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was counted lately, so the window can be forgotten."""
        return not self._at or time.monotonic() - self._at[-1] >= self._seconds


class Windows:
    """One window per key (an address, an API key); idle ones are forgotten."""

    def __init__(self, most: int, seconds: float, *, keys: int = 10_000) -> None:
        self._most, self._seconds, self._keys = most, seconds, keys
        self._windows: dict[str, Window] = {}

    def take(self, key: str) -> None:
        """Count one event of this key. Raises: TooMany."""
        if key not in self._windows:
            if len(self._windows) >= self._keys:
                self._windows = {k: w for k, w in self._windows.items() if not w.is_idle}
            self._windows[key] = Window(self._most, self._seconds)
        self._windows[key].take()


class Places:
    """How many connections each address has open at the same time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """Hold one place. Raises: TooMany."""
        if self._taken[address] >= self._most:
            RATE_LIMITED.labels("connections").inc()
            raise TooMany("Too many chats are open from this address. Close one and reload the page.")
        self._taken[address] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]
