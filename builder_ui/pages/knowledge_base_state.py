"""State of one knowledge base: its documents and categories, what is being written, and its settings."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import nh3
import reflex as rx
from markdown_it import MarkdownIt

from builder_ui.pages.knowledge_state import BaseItem, base_item
from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.services.knowledge_questions import UsageRow

if TYPE_CHECKING:
    from graph_runtime.services.knowledge_documents import DocumentRow
    from graph_runtime.services.principal import Principal

PREVIEWED: Final = 30_000
EARLIER_SHOWN: Final = 3_000
TABS: Final = ("documents", "questions", "try", "settings")
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class DocumentItem:
    """A document in the list. `is_working`: a worker has it, or will; `progress` 0–100."""

    id: str = ""
    kind: str = ""
    title: str = ""
    category_id: str = ""
    category: str = ""
    language: str = ""
    state: str = ""
    error: str = ""
    error_about: str = ""
    has_draft: bool = False
    is_working: bool = False
    is_attached: bool = False
    progress: int = 0
    passages: int = 0
    url: str = ""
    file_path: str = ""
    read_at: str = ""
    every_days: int = 0
    answers: int = 0
    helpful: int = 0
    unhelpful: int = 0


TOLD_WITHIN: Final = 5.0
"""Seconds."""
NO_USE: Final = UsageRow(0, 0, 0)


def document_item(row: DocumentRow, usage: UsageRow = NO_USE) -> DocumentItem:
    """From the services' rows."""
    return DocumentItem(
        id=row.id, kind=row.kind, title=row.title, category_id=row.category_id, category=row.category,
        language=row.language, state=row.state, error=row.error, error_about=row.error_about, has_draft=row.has_draft,
        is_working=row.state in ("waiting", "reading", "embedding"), is_attached=row.attached_to != "", progress=row.progress, passages=row.passages,
        url=row.url, file_path=f"/api/builder/knowledge/documents/{row.id}/file" if row.kind == "file" else "",
        read_at=moment(row.read_at), every_days=row.read_every_days, answers=usage.answers, helpful=usage.helpful,
        unhelpful=usage.unhelpful,
    )  # fmt: skip


@dataclass(frozen=True)
class CategoryItem:
    """A category of the tree; `indent` in pixels."""

    id: str = ""
    name: str = ""
    indent: str = "0px"
    documents: int = 0


@dataclass(frozen=True)
class PassageItem:
    """A passage in the list of what a document was split into."""

    key: str
    heading: str
    text: str
    page: int


@dataclass(frozen=True)
class VersionItem:
    """What an article said once; `is_newest`: it is what agents know."""

    number: int
    title: str
    text: str
    at: str
    member: str
    is_newest: bool


class KnowledgeBase(Session):
    """Documents, categories, the editor and the settings. Trying queries has a state of its own."""

    base: BaseItem = BaseItem()
    is_loaded: bool = False
    is_missing: bool = False
    may_edit: bool = False
    tab: str = "documents"
    categories: list[CategoryItem] = []
    category: str = ""
    search: str = ""
    documents: list[DocumentItem] = []
    has_more: bool = False
    is_working: bool = False
    _usage: dict[str, UsageRow] = {}
    # What is being written: kind "", "article", "pair" or "page"; the id of an existing document or "".
    form_kind: str = ""
    form_id: str = ""
    form_title: str = ""
    form_text: str = ""
    form_preview: str = ""
    form_language: str = "found"
    form_is_published: bool = False
    form_question: str = ""
    is_saving: bool = False
    category_form: str = ""
    category_name: str = ""
    opened: DocumentItem = DocumentItem()
    _wanted: str = ""
    _wanted_at: float = 0.0
    _opened_base: str = ""
    passages: list[PassageItem] = []
    aged: DocumentItem = DocumentItem()
    versions: list[VersionItem] = []
    deleting: DocumentItem = DocumentItem()
    is_deleting_base: bool = False
    deleting_category: CategoryItem = CategoryItem()
    embedders: list[NamedItem] = []
    rerankers: list[NamedItem] = []
    models: list[str] = []

    @rx.var
    def base_id(self) -> str:
        """From the address."""
        return str(self.router.url.path.rstrip("/").rpartition("/")[2])

    async def _refresh(self, who: Principal) -> None:
        bases, documents = services().knowledge_bases, services().knowledge_documents
        self.base = base_item(await bases.get(who, self.base_id))
        self.categories = [
            CategoryItem(c.id, c.name, f"{c.depth * 14}px", c.documents)
            for c in await bases.categories(who, self.base_id)
        ]
        found = await documents.list(who, self.base_id, category_id=self.category, words=self.search)
        self.documents = [self._item(d) for d in found]
        self.has_more = len(found) == 100
        self.is_working = self.base.working > 0

    def _item(self, row: DocumentRow) -> DocumentItem:
        return document_item(row, self._usage.get(row.id, NO_USE))

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_missing = self.is_saving = False
        # Opened again it shows the same tab: one opening is told more than once, and a click may come in between.
        if self._opened_base != self.base_id or dict(self.router.url.query_parameters).get("document"):
            self.tab = "documents"
        self._opened_base = self.base_id
        self.category, self.search, self.form_kind = "", "", ""
        self.deleting, self.is_deleting_base = DocumentItem(), False
        self.aged, self.versions = DocumentItem(), []
        self.deleting_category = CategoryItem()
        self.may_edit = "knowledge.edit" in who.scopes
        try:
            self._usage = await services().knowledge_questions.usage(who, self.base_id)
            await self._refresh(who)
            await self._offer(who)
            wanted = str(dict(self.router.url.query_parameters).get("document") or "")
            # One opening of the page is told more than once; a document that was closed meanwhile stays closed.
            is_told_again = bool(wanted) and wanted == self._wanted and time.monotonic() - self._wanted_at < TOLD_WITHIN
            self._wanted, self._wanted_at = wanted, time.monotonic()
            if not is_told_again:
                self.opened, self.passages = DocumentItem(), []
                if wanted:
                    with contextlib.suppress(NotFound):
                        await self._look(who, wanted)
        except NotFound:
            self.is_missing, self.is_working = True, False
        self.is_loaded = True

    @handler
    async def tick(self, who: Principal) -> None:
        """Documents are being read, or files were brought: look again."""
        await self._refresh(who)

    @handler
    async def show(self, who: Principal, tab: str) -> None:
        """Another part of the page."""
        self.tab = tab if tab in TABS else "documents"
        await self._offer(who)

    async def _offer(self, who: Principal) -> None:
        """What may be chosen in the settings: keys may have come since they were seen last."""
        if self.tab == "settings":
            choices = await services().knowledge_bases.embedders(who)
            self.embedders = [NamedItem(c.credential_id, c.label) for c in choices]
            self.rerankers = [NamedItem(*r) for r in await services().knowledge_bases.rerankers(who)]
            self.models = list(dict.fromkeys(name for c in choices for name, _ in c.models))

    @handler
    async def choose_category(self, who: Principal, category_id: str) -> None:
        """Show one category, or all documents."""
        self.category = category_id
        await self._refresh(who)

    @handler
    async def find(self, who: Principal, words: str) -> None:
        """Documents whose title or address has these words."""
        self.search = words[:200]
        await self._refresh(who)

    @handler
    async def show_more(self, who: Principal) -> None:
        """Older documents."""
        if self.documents:
            found = await services().knowledge_documents.list(
                who, self.base_id, category_id=self.category, words=self.search, before=self.documents[-1].id
            )
            self.documents = [*self.documents, *map(self._item, found)]
            self.has_more = len(found) == 100

    @handler
    async def begin(self, who: Principal, kind: str) -> None:
        """Open the form for a new article, pair or page."""
        self.form_kind, self.form_id = (kind if kind in ("article", "pair", "page") else "article"), ""
        self.form_title = self.form_text = self.form_preview = ""
        self.form_language = "found"
        self.form_is_published, self.form_question = False, ""

    @handler
    async def edit(self, who: Principal, document_id: str) -> None:
        """Open the form with what is written."""
        row = await services().knowledge_documents.get(who, document_id)
        words = await services().knowledge_documents.text(who, document_id)
        self.form_kind, self.form_id = row.kind, row.id
        self.form_title, self.form_text = words.title, words.draft
        self.form_language = row.told_language or "found"
        self.form_preview = _preview(words.draft)
        self.form_is_published, self.form_question = row.version > 0, ""

    @handler
    async def close_form(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.form_kind = ""

    @handler
    async def wrote(self, who: Principal, text: str) -> None:
        """Show what the Markdown looks like."""
        self.form_preview = _preview(text)

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> Any:
        """Keep what was written; the button that was pressed says whether it is published."""
        if self.is_saving or not self.form_kind:
            return
        self.is_saving = True
        yield
        try:
            if self.form_kind == "page":
                await self._save_page(who, form)
            else:
                await self._save_text(who, form)
            self.form_kind = ""
            await self._refresh(who)
        finally:
            self.is_saving = False

    async def _save_page(self, who: Principal, form: dict[str, Any]) -> None:
        documents = services().knowledge_documents
        url = text_of(form, "url", required=True, limit=2000)
        days = _days(form)
        if form.get("is_site"):
            added = await documents.add_site(who, self.base_id, url, every_days=days, category_id=self.category)
            self._tell("knowledge.pages_added", n=added)
        else:
            await documents.add_page(who, self.base_id, url, every_days=days, category_id=self.category)

    async def _save_text(self, who: Principal, form: dict[str, Any]) -> None:
        documents = services().knowledge_documents
        title = text_of(form, "title", required=True, limit=500)
        text = str(form.get("text") or "")
        is_draft = bool(form.get("is_draft")) and self.form_kind == "article"
        language = str(form.get("language") or "found") if self.form_kind == "article" else "found"
        told = "" if language == "found" else language
        if self.form_id:
            added = await documents.save(
                who, self.form_id, title=title, text=text, publish=not is_draft,
                language=told if self.form_kind == "article" else None,
            )  # fmt: skip
        elif self.form_kind == "pair":
            added = await documents.add_pair(who, self.base_id, title, text, category_id=self.category)
        else:
            added = await documents.add_article(
                who, self.base_id, title, text, category_id=self.category, publish=not is_draft, language=told
            )
        if self.form_question and not self.form_id:
            await services().knowledge_questions.settle(who, self.form_question, added.id)
        done = "questions.settled" if self.form_question else "knowledge.saved"
        self._tell("knowledge.draft_saved" if is_draft else done)

    @handler
    async def look(self, who: Principal, document_id: str) -> None:
        """Show what a document was split into."""
        await self._look(who, document_id)

    async def _look(self, who: Principal, document_id: str) -> None:
        self.opened = document_item(await services().knowledge_documents.get(who, document_id))
        found = await services().knowledge_documents.passages(who, document_id)
        self.passages = [PassageItem(p.id, p.heading, p.text, p.page) for p in found]

    @handler
    async def close_look(self, who: Principal, is_open: bool) -> None:
        """Close the list of passages."""
        if not is_open:
            self.opened, self.passages = DocumentItem(), []

    @handler
    async def show_versions(self, who: Principal, document_id: str) -> None:
        """What an article said before."""
        self.aged = document_item(await services().knowledge_documents.get(who, document_id))
        found = await services().knowledge_documents.versions(who, document_id)
        self.versions = [
            VersionItem(v.number, v.title, v.text[:EARLIER_SHOWN], moment(v.at), v.member, n == 0)
            for n, v in enumerate(found)
        ]

    @handler
    async def close_versions(self, who: Principal, is_open: bool) -> None:
        """Close the list of versions."""
        if not is_open:
            self.aged, self.versions = DocumentItem(), []

    @handler
    async def restore(self, who: Principal, number: int) -> None:
        """Publish again what it said in a version."""
        await services().knowledge_documents.restore(who, self.aged.id, number)
        self.aged, self.versions = DocumentItem(), []
        self._tell("knowledge.restored", n=number)
        await self._refresh(who)

    @handler
    async def read_again(self, who: Principal, document_id: str) -> None:
        """Read a document anew."""
        await services().knowledge_documents.read_again(who, document_id)
        await self._refresh(who)

    @handler
    async def move(self, who: Principal, document_id: str, category_id: str) -> None:
        """Into another category."""
        await services().knowledge_documents.move(who, document_id, category_id)
        await self._refresh(who)

    @handler
    async def ask_delete(self, who: Principal, document_id: str) -> None:
        """Ask before deleting a document."""
        self.deleting = document_item(await services().knowledge_documents.get(who, document_id))

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Delete nothing."""
        if not is_open:
            self.deleting, self.is_deleting_base = DocumentItem(), False
            self.deleting_category = CategoryItem()

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the document."""
        if self.deleting.id:
            await services().knowledge_documents.delete(who, self.deleting.id)
            self.deleting = DocumentItem()
            await self._refresh(who)

    @handler
    async def begin_category(self, who: Principal, category_id: str) -> None:
        """Name a new category (an empty id), or rename one."""
        self.category_form = category_id or "new"
        self.category_name = next((c.name for c in self.categories if c.id == category_id), "")

    @handler
    async def close_category(self, who: Principal, is_open: bool) -> None:
        """Leave categories as they are."""
        if not is_open:
            self.category_form = ""

    @handler
    async def save_category(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep the category's name; a new one goes under the chosen one."""
        bases, name = services().knowledge_bases, text_of(form, "name", required=True)
        if self.category_form == "new":
            await bases.add_category(who, self.base_id, name, self.category)
        elif self.category_form:
            await bases.rename_category(who, self.category_form, name)
        self.category_form = ""
        await self._refresh(who)

    @handler
    async def ask_delete_category(self, who: Principal, category_id: str) -> None:
        """Ask before deleting a category."""
        self.deleting_category = next((c for c in self.categories if c.id == category_id), CategoryItem())

    @handler
    async def delete_category(self, who: Principal) -> None:
        """Delete the category; its documents stay."""
        if self.deleting_category.id:
            await services().knowledge_bases.delete_category(who, self.deleting_category.id)
            self.deleting_category, self.category = CategoryItem(), ""
            await self._refresh(who)

    @handler
    async def save_settings(self, who: Principal, form: dict[str, Any]) -> None:
        """Name, description, and whether clients may open sources."""
        row = await services().knowledge_bases.update(
            who, self.base_id, name=text_of(form, "name", required=True),
            description=text_of(form, "description", limit=1000), is_public=bool(form.get("is_public")),
        )  # fmt: skip
        self.base = base_item(row)
        self._tell("knowledge.saved")

    @handler
    async def save_embedder(self, who: Principal, form: dict[str, Any]) -> None:
        """Search by meaning with a key, or by words alone."""
        key = str(form.get("embedder") or "")
        key = "" if key == "none" else key
        row = await services().knowledge_bases.set_embedder(
            who, self.base_id, key, text_of(form, "model", required=bool(key))
        )
        self.base = base_item(row)
        self.is_working = row.working > 0
        self._tell("knowledge.saved")

    @handler
    async def save_reranker(self, who: Principal, form: dict[str, Any]) -> None:
        """Order what is found with a key, or leave it as it is."""
        key = str(form.get("reranker") or "none")
        row = await services().knowledge_bases.set_reranker(who, self.base_id, "" if key == "none" else key)
        self.base = base_item(row)
        self._tell("knowledge.saved")

    @handler
    async def ask_delete_base(self, who: Principal) -> None:
        """Ask before deleting the base."""
        self.is_deleting_base = True

    @handler
    async def delete_base(self, who: Principal) -> Any:
        """Delete the base with its documents."""
        if self.is_deleting_base:
            await services().knowledge_bases.delete(who, self.base_id)
            self.is_deleting_base = self.is_working = False
            yield rx.redirect("/knowledge")


def _preview(text: str) -> str:
    return nh3.clean(_MARKDOWN.render(text[:PREVIEWED]), link_rel="noopener noreferrer nofollow")


def _days(form: dict[str, Any]) -> int:
    days = str(form.get("every_days") or "0").strip() or "0"
    if not days.isdecimal() or int(days) > 365:
        raise InputInvalid("A page is read again every 1 to 365 days, or never (0).", field="every_days")
    return int(days)
