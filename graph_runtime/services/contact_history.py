"""The timeline of a contact: what happened, and what will happen by itself; whoever knows more of it adds a provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from graph_runtime.services.contacts import found
from graph_runtime.services.principal import Principal
from graph_runtime.storage import contact_history as rows
from graph_runtime.storage.database import Connection, Database, Row

PAGE: Final = 50
_FAR: Final = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind`: "conversation", "call", "delivery", "timer", "edited" …; `ref`: the conversation it was in, or ""."""

    at: datetime
    kind: str
    ref: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timeline:
    """`coming`: soonest first; `past`: newest first, `next` the moment to go on before, None at the end."""

    coming: list[Entry]
    past: list[Entry]
    next: datetime | None


Provider = Callable[[Connection, str, int], Awaitable[list[Row]]]
"""(connection, contact id, most rows) → rows {at, kind, ref, data} of what is due, soonest first."""


class ContactHistory:
    """`coming`: who knows what a contact waits for."""

    def __init__(self, database: Database, coming: Sequence[Provider] = (rows.timers, rows.chain_steps)) -> None:
        self._database = database
        self._coming = tuple(coming)

    async def get(
        self, principal: Principal, contact_id: str, *, before: datetime | None = None, limit: int = PAGE
    ) -> Timeline:
        """The timeline; with `before` only what is older. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        limit = max(1, min(limit, 200))
        async with self._database.workspace(principal.workspace_id) as connection:
            contact = await found(connection, contact_id)
            coming: list[Row] = []
            for provider in self._coming if before is None else ():
                coming += await provider(connection, contact["id"], limit)
            past = await rows.past(connection, contact["id"], before or _FAR, limit + 1)
        last = past[:limit][-1]["at"] if past else _FAR
        page = sorted((r for r in past if r["at"] >= last), key=lambda r: (r["at"], r["nr"]), reverse=True)
        coming.sort(key=lambda r: r["at"])
        entries = [_entry(r) for r in page]
        return Timeline([_entry(r) for r in coming[:limit]], entries, last if len(past) > limit else None)


def _entry(row: Row) -> Entry:
    return Entry(row["at"], row["kind"], row["ref"] or "", row["data"])
