"""State of where a base is searched by meaning: the chosen store, how full it is, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder_ui.i18n import text
from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.services.knowledge_stores import MOVED, SLOW

if TYPE_CHECKING:
    from graph_runtime.services.knowledge_copies import Copies, CopyRow
    from graph_runtime.services.principal import Principal

_OURS = {MOVED: "stores.moved", SLOW: "stores.slow"}


@dataclass(frozen=True)
class CopyItem:
    """A copy of the vectors. `percent`: how much is there; `again`: when what failed is tried again."""

    key: str
    label: str
    state: str
    percent: int
    waiting: int
    error: str
    again: str


def in_words(message: str, language: str) -> str:
    """What a store's connector or we say, in the language of the page."""
    ours = _OURS.get(message)
    return text(language, ours) if ours else services().catalog.in_language(message, language)


def copy_item(row: CopyRow, language: str) -> CopyItem:
    """From the services' row."""
    percent = 100 * max(0, row.total - row.waiting) // max(1, row.total) if row.state == "filling" else 100
    again = moment(row.next_attempt_at) if row.error else ""
    return CopyItem(
        f"{row.store} {row.state}", row.label, row.state, percent, row.waiting, in_words(row.error, language), again
    )


class KnowledgeStore(Session):
    """Of the base whose page is open. "postgresql" stands for no store."""

    stores: list[NamedItem] = []
    copies: list[CopyItem] = []
    chosen: str = "postgresql"
    picked: str = "postgresql"
    is_checking: bool = False
    is_saving: bool = False
    is_busy: bool = False
    has_trouble: bool = False

    def _show(self, found: Copies) -> None:
        self.copies = [copy_item(row, self.me.language or "en") for row in found.copies]
        self.chosen = found.chosen or "postgresql"
        self.is_busy = any(c.state != "serving" or c.waiting for c in self.copies)
        self.has_trouble = any(c.error for c in self.copies)

    @handler
    async def load(self, who: Principal) -> None:
        """The settings of a base were opened."""
        base = await self.get_state(KnowledgeBase)
        self.is_checking = self.is_saving = False
        self.stores = [NamedItem(*s) for s in await services().knowledge_copies.stores(who)]
        self._show(await services().knowledge_copies.of(who, base.base_id))
        self.picked = self.chosen

    @handler
    async def tick(self, who: Principal) -> None:
        """A store is being filled or emptied: look again."""
        base = await self.get_state(KnowledgeBase)
        self._show(await services().knowledge_copies.of(who, base.base_id))

    @handler
    async def pick(self, who: Principal, store: str) -> None:
        """Look at a store without choosing it yet."""
        self.picked = store if store in {s.id for s in self.stores} else "postgresql"

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Search this base there, once it is full."""
        if self.is_saving:
            return
        self.is_saving = True
        yield
        try:
            base = await self.get_state(KnowledgeBase)
            store = text_of(form, "store", limit=100) or "postgresql"
            wanted = "" if store == "postgresql" else store
            self._show(await services().knowledge_copies.choose(who, base.base_id, wanted))
            self.picked = self.chosen
            self._tell("stores.chosen" if wanted else "stores.left")
        finally:
            self.is_saving = False

    @handler
    async def check(self, who: Principal) -> Any:
        """Try the key of the picked store."""
        if self.is_checking or self.picked == "postgresql":
            return
        self.is_checking = True
        yield
        try:
            name = next((s.name for s in self.stores if s.id == self.picked), "")
            result = await services().credentials.check(who, self.picked)
            if result.ok:
                self._tell("models.works", name=name)
            else:
                reason = in_words(result.message, self.me.language or "en")
                self._tell("models.fails", level="error", name=name, reason=reason)
        finally:
            self.is_checking = False

    @handler
    async def fill_again(self, who: Principal) -> None:
        """Make the copy anew; the one there serves until then."""
        base = await self.get_state(KnowledgeBase)
        self._show(await services().knowledge_copies.fill_again(who, base.base_id))
        self._tell("stores.filling_again")

    @handler
    async def look_again(self, who: Principal) -> None:
        """Do not wait for the next attempt."""
        base = await self.get_state(KnowledgeBase)
        await services().knowledge_copies.look_again(who, base.base_id)
        self._show(await services().knowledge_copies.of(who, base.base_id))
