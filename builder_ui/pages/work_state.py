"""State of the page of work: what waits by kind, stopping and starting, trying again what failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder_ui.rows import moment
from builder_ui.session import Session, handler, services
from graph_runtime.services.workload import PAUSABLE

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal


@dataclass(frozen=True)
class WorkItem:
    """One kind of work. `health`: "idle", "busy", "late" (the oldest waits longer than a minute), "paused"."""

    line: str = ""
    waiting: int = 0
    oldest_at: str = ""
    lately: int = 0
    failed: int = 0
    health: str = "idle"
    paused_at: str = ""
    can_pause: bool = False


LATE_SECONDS = 60


class Work(Session):
    """Read anew every two seconds while the page is seen."""

    lines: list[WorkItem] = []
    workers: int = 0
    wakes: str = ""
    is_loaded: bool = False
    is_denied: bool = False
    is_stale: bool = False
    may_manage: bool = False
    retrying: str = ""

    async def _read(self, who: Principal) -> None:
        view = await services().workload.view(who)
        now = datetime.now(UTC)
        self.lines = [
            WorkItem(
                line=one.line, waiting=one.waiting, oldest_at=moment(one.oldest_at) if one.waiting else "", lately=one.lately,
                failed=one.failed, paused_at=moment(one.paused_at), can_pause=one.line in PAUSABLE,
                health="paused" if one.is_paused
                else "late" if one.waiting and one.oldest_at and (now - one.oldest_at).total_seconds() > LATE_SECONDS
                else "busy" if one.waiting else "idle",
            )
            for one in view.lines
        ]  # fmt: skip
        self.workers, self.wakes, self.is_stale = view.workers, view.wakes, False

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_denied = "conversation.write" not in who.scopes
        self.may_manage = "settings.manage" in who.scopes
        self.retrying = ""
        if not self.is_denied:
            await self._read(who)
        self.is_loaded = True

    @handler
    async def tick(self, who: Principal) -> None:
        """Look again; a database that is away is said on the page, not in a notice every two seconds."""
        if self.is_denied:
            return
        try:
            await self._read(who)
        except Exception:  # noqa: BLE001 (whatever it is, the figures are old)
            self.is_stale = True

    @handler
    async def set_going(self, who: Principal, line: str, is_on: bool) -> None:
        """Stop a kind of work, or let it go on."""
        await services().workload.set_going(who, line, bool(is_on))
        await self._read(who)
        self._tell("work.resumed" if is_on else "work.stopped")

    @handler
    async def retry(self, who: Principal, line: str) -> None:
        """Try again what failed."""
        count = await services().workload.retry(who, line)
        await self._read(who)
        if count:
            self._tell("work.retried", n=count)
        else:
            self._tell("work.nothing_retried", level="error")
