"""State of a source that a member opens from a transcript: the passages of its document, those that were meant first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder_ui.session import Session, handler, services

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

MOST_SHOWN: Final = 30


@dataclass(frozen=True)
class MeantPassage:
    """A passage of the document; `is_meant`: the answer rests on it."""

    key: str
    heading: str
    text: str
    page: int
    is_meant: bool


class AnswerSource(Session):
    """One at a time."""

    title: str = ""
    path: str = ""
    passages: list[MeantPassage] = []

    @handler
    async def open(self, who: Principal, document_id: str, heading: str, page: int) -> None:
        """Show what an answer rests on, as the document says it now."""
        document = await services().knowledge_documents.get(who, document_id)
        found = await services().knowledge_documents.passages(who, document_id)
        wanted = heading or document.title
        shown = [
            MeantPassage(
                p.id, p.heading, p.text, p.page,
                (p.heading or document.title) in (wanted, f"{document.title} › {wanted}") and (not page or p.page == page),
            )
            for p in found
        ]  # fmt: skip
        self.title, self.path = document.title, f"/knowledge/{document.base_id}?document={document.id}"
        self.passages = sorted(shown, key=lambda p: not p.is_meant)[:MOST_SHOWN]

    @handler
    async def close(self, who: Principal, is_open: bool) -> None:
        """Back to the transcript."""
        if not is_open:
            self.title, self.passages = "", []
