"""State of what stands beside a document: files attached to an article, and what to see also."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import reflex as rx

from builder_ui.pages.knowledge_base_state import KnowledgeBase
from builder_ui.session import Session, handler, services

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

MOST_OFFERED: Final = 6


@dataclass(frozen=True)
class BesideItem:
    """`is_attached`: a file of the article; else it is related. `file_path`: where the file can be saved."""

    id: str
    title: str
    kind: str
    state: str
    is_attached: bool
    file_path: str


class KnowledgeBeside(Session):
    """Of the document that is opened on the page of its base."""

    document_id: str = ""
    beside: list[BesideItem] = []
    offered: list[BesideItem] = []
    words: str = ""

    @rx.var
    def is_article(self) -> bool:
        """Whether files can be attached to what is open."""
        return self._kind == "article"

    _kind: str = ""

    async def _show(self, who: Principal) -> None:
        found = await services().knowledge_relations.beside(who, self.document_id)
        self.beside = [
            BesideItem(
                d.id, d.title, d.kind, d.state, d.attached_to == self.document_id,
                f"/api/builder/knowledge/documents/{d.id}/file" if d.kind == "file" else "",
            )
            for d in found
        ]  # fmt: skip

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened, perhaps with a document."""
        self.document_id, self.beside, self.offered, self.words = "", [], [], ""
        base = await self.get_state(KnowledgeBase)
        if base.opened.id:
            self.document_id, self._kind = base.opened.id, base.opened.kind
            await self._show(who)

    @handler
    async def look(self, who: Principal, document_id: str) -> None:
        """A document was opened."""
        self.document_id, self.words, self.offered = document_id, "", []
        self._kind = (await services().knowledge_documents.get(who, document_id)).kind
        await self._show(who)

    @handler
    async def again(self, who: Principal) -> None:
        """A file was attached."""
        if self.document_id:
            await self._show(who)

    @handler
    async def find(self, who: Principal, words: str) -> None:
        """Documents that could be related, by their title."""
        self.words, self.offered = words[:200], []
        if len(words.strip()) > 1 and self.document_id:
            base = await self.get_state(KnowledgeBase)
            found = await services().knowledge_documents.list(who, base.base_id, words=self.words, limit=20)
            taken = {self.document_id, *(b.id for b in self.beside)}
            self.offered = [
                BesideItem(d.id, d.title, d.kind, d.state, False, "") for d in found if d.id not in taken
            ][:MOST_OFFERED]  # fmt: skip

    @handler
    async def relate(self, who: Principal, other_id: str) -> None:
        """See also."""
        await services().knowledge_relations.relate(who, self.document_id, other_id)
        self.words, self.offered = "", []
        await self._show(who)

    @handler
    async def remove(self, who: Principal, other_id: str) -> None:
        """No more "see also"; an attached file is deleted."""
        item = next((b for b in self.beside if b.id == other_id), None)
        if item is None:
            return
        if item.is_attached:
            await services().knowledge_documents.delete(who, other_id)
        else:
            await services().knowledge_relations.unrelate(who, self.document_id, other_id)
        await self._show(who)
