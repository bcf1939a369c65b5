"""Server-sent events: a conversation's live events as a stream that can be resumed by number."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import StreamingResponse

from graph_runtime.api.live import LiveEvent, feed, for_contact
from graph_runtime.api.metrics import SOCKETS
from graph_runtime.api.plain_json import dumps

Watching = AbstractAsyncContextManager[AsyncIterator[LiveEvent]]
KEEP_ALIVE_SECONDS: Final = 15.0
LAST_EVENTS_SECONDS: Final = 0.3
"""The end of a turn and the end of its conversation are told one right after the other."""
LOOK_AGAIN_SECONDS: Final = 0.5
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class OneTurn:
    """Where a stream ends. `after`: the last message before it; `is_end` knows its last event.

    A turn may be over before anybody watches, or run in another process, whose events other than messages do not come
    here: so in every quiet moment `finished(last seq told)` is asked for the event that ends it, or None.
    """

    after: int
    is_end: Callable[[LiveEvent], bool]
    finished: Callable[[int], Awaitable[LiveEvent | None]]


def event_stream(watching: Watching, *, turn: OneTurn | None = None) -> StreamingResponse:
    """The events as `text/event-stream`: for ever, or to the end of one turn."""
    lines = _for_ever(watching) if turn is None else _to_the_end(watching, turn)
    return StreamingResponse(_counted(lines), media_type="text/event-stream", headers=_HEADERS)


async def _counted(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    with SOCKETS.labels("event_stream").track_inprogress():
        yield "retry: 2000\n\n"
        async for line in lines:
            yield line


async def _for_ever(watching: Watching) -> AsyncIterator[str]:
    async with feed(watching) as events:
        while True:
            try:
                event = await events.next(KEEP_ALIVE_SECONDS)
            except StopAsyncIteration:  # this process ends; the client goes on elsewhere, by the last id
                return
            yield ": still here\n\n" if event is None else sse(event)


async def _to_the_end(watching: Watching, turn: OneTurn) -> AsyncIterator[str]:
    last, is_over, told_at = turn.after, False, time.monotonic()
    async with feed(watching) as events:
        while True:
            try:
                event = await events.next(LAST_EVENTS_SECONDS if is_over else LOOK_AGAIN_SECONDS)
            except StopAsyncIteration:
                return
            if event is None and is_over:
                return
            if event is None:
                event = await turn.finished(last)
            if event is not None:
                told_at = time.monotonic()
                is_over = is_over or turn.is_end(event)
                last = event["message"]["seq"] if event["type"] == "message" else last
                yield sse(event)
            elif time.monotonic() - told_at > KEEP_ALIVE_SECONDS:
                told_at = time.monotonic()
                yield ": still here\n\n"


def sse(event: dict[str, Any]) -> str:
    """One event, "" for those that stay inside. Only messages carry an id, their seq, so Last-Event-ID names the last
    message that arrived."""
    shown = for_contact(event)
    if shown is None:
        return ""
    kind = shown["type"]
    head = f"id: {shown['message']['seq']}\n" if kind == "message" else ""
    return f"{head}event: {kind}\ndata: {dumps(shown).decode()}\n\n"


def last_seen(header: str | None, after: int) -> int:
    """Where to go on: Last-Event-ID wins over the query, because a reconnecting EventSource repeats the old query."""
    return int(header) if header is not None and header.isdecimal() and len(header) < 10 else after
