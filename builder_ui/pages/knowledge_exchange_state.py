"""State of bringing a whole base in and taking it out: how far a file is, and what of it was not taken in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.session import Session, app_of_process, handler, services

if TYPE_CHECKING:
    from graph_runtime.services.knowledge_exchange import KnowledgeImport
    from graph_runtime.services.principal import Principal


@dataclass(frozen=True)
class ImportItem:
    """A file on its way in."""

    id: str = ""
    name: str = ""
    state: str = ""
    total: int = 0
    position: int = 0
    percent: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    broken: int = 0
    error: str = ""


@dataclass(frozen=True)
class ProblemItem:
    """An entry that was not taken in."""

    entry: int
    about: str
    message: str


def import_item(row: KnowledgeImport | None) -> ImportItem:
    """From the services' row."""
    if row is None:
        return ImportItem()
    return ImportItem(
        row.id, row.file_name, row.state, row.total, row.position, 100 * row.position // max(row.total, 1), row.created,
        row.updated, row.unchanged, row.broken, row.error,
    )  # fmt: skip


class KnowledgeTravel(Session):
    """Of the base whose page is open."""

    is_open: bool = False
    work: ImportItem = ImportItem()
    problems: list[ProblemItem] = []

    @handler
    async def load(self, who: Principal) -> Any:
        """The page was opened: a file may be on its way in."""
        self.is_open, self.problems = False, []
        base = await self.get_state(KnowledgeBase)
        newest = await services().knowledge_exchange.newest(who, base.base_id)
        self.work = import_item(newest if newest and newest.state == "waiting" else None)
        if self.work.id:
            yield KnowledgeTravel.follow

    @handler
    async def show(self, who: Principal, is_open: bool) -> None:
        """Open or close the dialog; a file goes on behind it."""
        self.is_open = bool(is_open)
        if is_open and self.work.state != "waiting":
            self.work, self.problems = ImportItem(), []

    @handler
    async def kept(self, who: Principal, import_id: str) -> Any:
        """The server has the file."""
        self.work = import_item(await services().knowledge_exchange.progress(who, import_id))
        self.problems = []
        yield KnowledgeTravel.follow

    def _is_there(self) -> bool:
        sockets = app_of_process().event_namespace
        return sockets is not None and self.router.session.client_token in sockets.token_to_sid

    @handler(background=True)
    async def follow(self, who: Principal) -> Any:
        """Show how far the file is until it is over or the tab is closed."""
        import_id = self.work.id
        while import_id and self._is_there():
            row = await services().knowledge_exchange.progress(who, import_id)
            async with self:
                if self.work.id != import_id:
                    return
                self.work = import_item(row)
                if row.state != "waiting":
                    found = await services().knowledge_exchange.problems(who, import_id)
                    self.problems = [ProblemItem(p.entry, p.about, p.message) for p in found]
            if row.state != "waiting":
                yield KnowledgeBase.tick
                return
            await asyncio.sleep(0.7)

    @handler
    async def cancel(self, who: Principal) -> None:
        """Take in no more of it."""
        await services().knowledge_exchange.cancel(who, self.work.id)
