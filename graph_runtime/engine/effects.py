"""Calls to the outside world as recorded facts: a repeated turn finds the result instead of calling again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from graph_runtime.contract.models import ModelReply, ModelUsage, ToolCall
from graph_runtime.engine.checkpoint import json_values


class EffectJournal(Protocol):
    """Where effects are written: before the call, and its result right after it, each committed at once."""

    async def recorded(self, key: str) -> Any | None:
        """The JSON result of a call that is known to have ended; None when there is none."""
        ...

    async def begin(self, key: str, kind: str, node_id: str) -> None:
        """Note that the call is about to be made."""
        ...

    async def finish(self, key: str, result: Any) -> None:
        """Note its JSON result."""
        ...

    async def begun_at(self, key: str) -> datetime | None:
        """When an earlier run began this call (aware UTC), None when none did: it may have been carried out."""
        ...


class MemoryJournal:
    """For tests and simulations: lives as long as the object."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.begun: list[tuple[str, str, str]] = []
        self.first_begun: dict[str, datetime] = {}

    async def recorded(self, key: str) -> Any | None:
        return self.results.get(key)

    async def begin(self, key: str, kind: str, node_id: str) -> None:
        self.begun.append((key, kind, node_id))
        self.first_begun.setdefault(key, datetime.now(UTC))

    async def begun_at(self, key: str) -> datetime | None:
        return self.first_begun.get(key)

    async def finish(self, key: str, result: Any) -> None:
        self.results[key] = result


async def once(
    journal: EffectJournal, key: str, kind: str, node_id: str, call: Callable[[], Awaitable[Any]]
) -> tuple[Any, bool]:
    """Make a call unless its result is recorded: (JSON result, whether it was recorded before).

    A call that raised is not recorded: it may be made again by a repeated turn.
    """
    found = await journal.recorded(key)
    if found is not None:
        return found, True
    await journal.begin(key, kind, node_id)
    result = json_values(await call())
    await journal.finish(key, result)
    return result, False


def dump_reply(reply: ModelReply) -> dict[str, Any]:
    """A model's answer as JSON values."""
    return asdict(reply)


def load_reply(data: dict[str, Any]) -> ModelReply:
    """The opposite of `dump_reply`."""
    calls = tuple(ToolCall(c["id"], c["name"], c["arguments"]) for c in data["tool_calls"])
    return ModelReply(**{**data, "tool_calls": calls, "usage": ModelUsage(**data["usage"])})
