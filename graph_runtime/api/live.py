"""Live events on their way out: what outsiders may see of them, and a stream that can be waited on with a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

LiveEvent = dict[str, Any]
FOR_CONTACTS: Final = frozenset({"typing", "delta", "reset", "message", "turn", "error", "ended"})
"""What leaves the workspace; steps and variables are the author's business."""
_MESSAGE: Final = ("seq", "role", "key", "parts", "text", "created_at", "client_id", "flags")


def for_contact(event: LiveEvent) -> LiveEvent | None:
    """The event as people outside may see it, or None. Step ids, variables and inner error texts stay inside."""
    kind = event["type"]
    if kind not in FOR_CONTACTS:
        return None
    if kind == "message":
        return {"type": "message", "message": public_message(event["message"])}
    if kind == "turn":
        return {k: event[k] for k in ("type", "state", "waits") if k in event}
    if kind == "error":
        return {k: event[k] for k in ("type", "code") if k in event}
    return {k: v for k, v in event.items() if k not in ("node_id", "turn_id")}


def public_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what only the workspace may see."""
    shown: dict[str, Any] = {k: message[k] for k in _MESSAGE if k in message}
    if any(part.get("sources") for part in shown.get("parts") or ()):
        shown["parts"] = [_public_part(part) for part in shown["parts"]]
    return shown


def _public_part(part: dict[str, Any]) -> dict[str, Any]:
    """Which document of a base an answer comes from is its members' business; what clients may open has an address."""
    if not part.get("sources"):
        return part
    return {**part, "sources": [{k: v for k, v in s.items() if k != "document_id"} for s in part["sources"]]}


class Feed:
    """Events in order; `next` may be given up on without losing the event that comes a moment later."""

    def __init__(self, events: AsyncIterator[LiveEvent]) -> None:
        self._events = events
        self._coming: asyncio.Task[LiveEvent] | None = None

    async def next(self, seconds: float) -> LiveEvent | None:
        """The next event, or None when none came in time.

        Raises: StopAsyncIteration at the end, and whatever the source raises.
        """
        if self._coming is None:
            self._coming = asyncio.create_task(_next(self._events))
        done, _ = await asyncio.wait({self._coming}, timeout=seconds)
        if not done:
            return None
        coming, self._coming = self._coming, None
        return coming.result()

    async def close(self) -> None:
        """Stop waiting."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)


async def _next(events: AsyncIterator[LiveEvent]) -> LiveEvent:
    return await anext(events)


@asynccontextmanager
async def feed(watching: AbstractAsyncContextManager[AsyncIterator[LiveEvent]]) -> AsyncIterator[Feed]:
    """A feed over a subscription such as `Conversations.watch`."""
    async with watching as events:
        source = Feed(events)
        try:
            yield source
        finally:
            await source.close()
