"""State of the list of knowledge bases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import reflex as rx

from builder_ui.session import Session, handler, services, text_of

if TYPE_CHECKING:
    from graph_runtime.services.knowledge_bases import BaseRow
    from graph_runtime.services.principal import Principal


@dataclass(frozen=True)
class BaseItem:
    """A knowledge base, as the list and its own page show it."""

    id: str = ""
    name: str = ""
    description: str = ""
    path: str = ""
    embedder: str = ""
    embedder_model: str = ""
    reranker: str = ""
    is_public: bool = False
    documents: int = 0
    passages: int = 0
    working: int = 0
    failed: int = 0
    questions: int = 0


def base_item(row: BaseRow, questions: int = 0) -> BaseItem:
    """From the services' row."""
    return BaseItem(
        id=row.id, name=row.name, description=row.description, path=f"/knowledge/{row.id}", embedder=row.embedder,
        embedder_model=row.embedder_model, reranker=row.reranker, is_public=row.is_public, documents=row.documents, passages=row.passages,
        working=row.working, failed=row.failed, questions=questions,
    )  # fmt: skip


class Knowledge(Session):
    """The list, and making a base."""

    bases: list[BaseItem] = []
    is_loaded: bool = False
    is_working: bool = False
    may_edit: bool = False
    is_form_open: bool = False
    is_saving: bool = False

    async def _refresh(self, who: Principal) -> None:
        asked = await services().knowledge_questions.open_counts(who)
        self.bases = [base_item(row, asked.get(row.id, 0)) for row in await services().knowledge_bases.list(who)]
        self.is_working = any(base.working for base in self.bases)

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_form_open = self.is_saving = False
        self.may_edit = "knowledge.edit" in who.scopes
        await self._refresh(who)
        self.is_loaded = True

    @handler
    async def tick(self, who: Principal) -> None:
        """Documents are being read: look again."""
        await self._refresh(who)

    @handler
    async def begin(self, who: Principal) -> None:
        """Open the form."""
        self.is_form_open = True

    @handler
    async def close_form(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.is_form_open = False

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Make a base and open it."""
        if self.is_saving:
            return
        self.is_saving = True
        yield
        try:
            name = text_of(form, "name", required=True)
            row = await services().knowledge_bases.create(who, name, text_of(form, "description", limit=1000))
            self.is_form_open = False
            yield rx.redirect(f"/knowledge/{row.id}")
        finally:
            self.is_saving = False
