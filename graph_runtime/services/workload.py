"""The work behind the screens: what waits, whether it is done, stopping it for a while, and trying again what failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from graph_runtime.contract.errors import BuilderError, InputInvalid
from graph_runtime.services.chains import Chains
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.dead_letters import DeadLetters
from graph_runtime.services.event_log import EventLog
from graph_runtime.services.knowledge_copies import KnowledgeCopies
from graph_runtime.services.knowledge_documents import KnowledgeDocuments
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage import workload as rows
from graph_runtime.storage.database import Database

LINES: Final = ("chat", "voice", "outbox", "bulk", "integrations", "timers", "ingest", "copies")
PAUSABLE: Final = frozenset({"outbox", "bulk", "integrations", "timers", "ingest", "copies"})
"""Whoever writes or rings is always answered; an agent is switched off on its own page."""
MOST_RETRIED: Final = 500
MANAGE: Final = "settings.manage"


@dataclass(frozen=True, slots=True)
class WorkLine:
    """One kind of work of the workspace. `oldest_at`: since when the first of `waiting` could have been done; `lately`:
    done within an hour; `failed`: given up, to be looked at; a store of vectors is never given up, but tried again later."""

    line: str
    waiting: int
    oldest_at: datetime | None
    lately: int
    failed: int
    is_paused: bool
    paused_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkView:
    """`workers`: living processes of the installation; `wakes`: what tells them of news, "postgresql" or "redis"."""

    lines: list[WorkLine]
    workers: int
    wakes: str


@dataclass(frozen=True, slots=True)
class Retries:
    """The services that try again what failed."""

    letters: DeadLetters
    events: EventLog
    documents: KnowledgeDocuments
    chains: Chains
    copies: KnowledgeCopies


class Workload:
    """Seen by whoever answers people; stopped and started by administrators."""

    def __init__(
        self, database: Database, retries: Retries, *, phone_lines: frozenset[str], wakes: str, clock: Clock = system_clock
    ) -> None:  # fmt: skip
        self._database = database
        self._retries = retries
        self._phone = sorted(phone_lines | {"phone"})
        self._wakes = wakes
        self._clock = clock

    async def view(self, principal: Principal) -> WorkView:
        """Every kind of work, in the order of `LINES`. Raises: AccessDenied."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = {row["line"]: row for row in await rows.lines(connection, self._phone)}
            paused = await rows.paused(connection)
            workers = await rows.workers(connection)
        lines = [WorkLine(**found[n], is_paused=n in paused, paused_at=paused.get(n)) for n in LINES]
        return WorkView(lines, workers, self._wakes)

    async def set_going(self, principal: Principal, line: str, is_on: bool) -> bool:
        """Stop a kind of work, or let it go on; False when it was so already. Raises: AccessDenied, InputInvalid."""
        principal.require(MANAGE)
        if line not in PAUSABLE:
            raise InputInvalid("This kind of work cannot be stopped.", field="line")
        async with self._database.workspace(principal.workspace_id) as connection:
            changed = await (
                rows.resume(connection, line) if is_on else rows.pause(connection, line, principal.actor)
            )  # fmt: skip
            if changed:
                what = "work.resumed" if is_on else "work.paused"
                await audit.append(connection, principal.actor, what, {"line": line}, self._clock())
        return changed

    async def retry(self, principal: Principal, line: str) -> int:
        """Try again what failed, at most 500; how many go again. Raises: AccessDenied, InputInvalid."""
        principal.require(MANAGE)
        if line not in LINES:
            raise InputInvalid("There is no such kind of work.", field="line")
        async with self._database.workspace(principal.workspace_id) as connection:
            ids = await rows.failed(connection, line, self._phone, MOST_RETRIED)
        again = self._again(line)
        tried = 0
        for one in ids:
            try:
                await again(principal, one)
            except BuilderError:
                continue  # what it was about is gone; it stays among the failed, where it can be discarded
            tried += 1
        return tried

    def _again(self, line: str) -> Callable[[Principal, str], Awaitable[object]]:
        async def event(principal: Principal, pair: str) -> None:
            subscription_id, _, delivery_id = pair.partition("/")
            await self._retries.events.replay(principal, subscription_id, delivery_id)

        async def step(principal: Principal, pair: str) -> None:
            chain_id, _, enrollment_id = pair.partition("/")
            await self._retries.chains.set_going(principal, chain_id, [enrollment_id], is_on=True)

        others = {
            "integrations": event, "timers": step, "ingest": self._retries.documents.read_again,
            "copies": self._retries.copies.try_again,
        }  # fmt: skip
        return others.get(line, self._retries.letters.replay)
