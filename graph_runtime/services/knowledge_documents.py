"""Documents of knowledge bases: brought by people, read by workers; what is written here is only rows."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound, TooLarge
from graph_runtime.engine.http import check_url
from graph_runtime.knowledge.conversion import Unreadable, kind_by_content
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.knowledge_bases import found_base
from graph_runtime.services.principal import Principal
from graph_runtime.services.web_pages import WebPages
from graph_runtime.storage import audit
from graph_runtime.storage import knowledge as rows
from graph_runtime.storage.database import Connection, Database, Row

MAX_FILE_BYTES: Final = 25_000_000
MAX_TEXT: Final = 500_000
MOST_PAGES_OF_A_SITE: Final = 500
SHOWN_AT_ONCE: Final = 100
PASSAGES_SHOWN: Final = 500
DocumentState = Literal["draft", "waiting", "reading", "embedding", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as lists show it. `state`: draft, waiting, reading, embedding, ready or failed; `error`: a code.

    `progress` 0–100 while it is read; `has_draft`: an article whose newest words are not published.
    """

    id: str
    base_id: str
    category_id: str
    category: str
    kind: str
    title: str
    language: str
    state: DocumentState
    error: str
    error_about: str
    has_draft: bool
    version: int
    url: str
    public_id: str
    file_name: str
    size: int
    progress: int
    passages: int
    read_at: datetime | None
    read_every_days: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentText:
    """What an article or a pair says: `draft` is what the editor shows, `published` what agents know."""

    title: str
    draft: str
    published: str


@dataclass(frozen=True, slots=True)
class VersionText:
    """What an article or a pair said once. `member`: who published it, or ""."""

    number: int
    title: str
    text: str
    at: datetime
    member: str


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A passage as the page of a document shows it."""

    id: str
    place: int
    page: int
    heading: str
    text: str


class KnowledgeDocuments:
    """Whoever may read agents may read documents; editors bring and change them."""

    def __init__(self, database: Database, pages: WebPages, clock: Clock = system_clock) -> None:
        self._database = database
        self._pages = pages
        self._clock = clock

    async def list(
        self,
        principal: Principal,
        base_id: str,
        *,
        category_id: str = "",
        state: str = "",
        words: str = "",
        before: str = "",
        limit: int = SHOWN_AT_ONCE,
    ) -> list[DocumentRow]:
        """Newest first; of a category with all below it. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            wanted = words.strip().replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
            filters = {
                "categories": await rows.with_children(connection, [category_id]) if is_uuid(category_id) else None,
                "state": state or None, "words": f"%{wanted}%" if wanted else None,
                "before": before if is_uuid(before) else None, "limit": max(1, min(limit, SHOWN_AT_ONCE)),
            }  # fmt: skip
            return [_shown(row) for row in await rows.documents(connection, base_id, filters)]

    async def get(self, principal: Principal, document_id: str) -> DocumentRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return _shown(await _found(connection, document_id))

    async def text(self, principal: Principal, document_id: str) -> DocumentText:
        """The words of an article or a pair. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, document_id)
            row = await rows.texts(connection, document_id)
            assert row is not None
        return DocumentText(row["title"], row["body"] if row["draft"] is None else row["draft"], row["body"])

    async def passages(self, principal: Principal, document_id: str) -> Sequence[PassageRow]:
        """What it was split into. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, document_id)
            found = await rows.passages_of(connection, document_id, PASSAGES_SHOWN)
        return [PassageRow(r["id"], r["place"], r["page"] or 0, r["heading"], r["text"]) for r in found]

    async def add_file(
        self, principal: Principal, base_id: str, name: str, content: bytes, *, category_id: str = ""
    ) -> DocumentRow:
        """A file; what it is, its bytes say.

        Raises: AccessDenied, NotFound, TooLarge (25 MB), InputInvalid (a kind that is not read), Conflict (it is here).
        """
        principal.require("knowledge.edit")
        name = name.replace("\\", "/").rpartition("/")[2].strip()[:255] or "file"
        if len(content) > MAX_FILE_BYTES:
            raise TooLarge("This file is larger than 25 MB. Split it, or save it smaller.", limit=MAX_FILE_BYTES)
        if not content:
            raise InputInvalid("This file is empty.", field="document_empty", name=name)
        try:
            kind = kind_by_content(content, name)
        except Unreadable as error:
            raise InputInvalid(
                "This kind of file cannot be read. Bring PDF, Word, Excel, PowerPoint, HTML, Markdown, CSV or text.",
                field=f"document_{error.code}", name=name,
            ) from None  # fmt: skip
        values = {
            "kind": "file", "title": name.rpartition(".")[0] or name, "file_name": name, "mime": kind, "size": len(content),
            "content_hash": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip
        return await self._add(principal, base_id, category_id, values, content)

    async def add_article(
        self, principal: Principal, base_id: str, title: str, text: str, *, category_id: str = "", publish: bool = True
    ) -> DocumentRow:
        """An article in Markdown. Raises: AccessDenied, NotFound, InputInvalid, TooLarge."""
        principal.require("knowledge.edit")
        title, text = _title(title), _text(text)
        values: Row = {"kind": "article", "title": title, "draft": text, "state": "draft"}
        if publish:
            values |= _published(title, text) | {"version": 1}
        return await self._add(principal, base_id, category_id, values)

    async def add_pair(
        self, principal: Principal, base_id: str, question: str, answer: str, *, category_id: str = ""
    ) -> DocumentRow:
        """A question with its answer. Raises: AccessDenied, NotFound, InputInvalid, TooLarge."""
        principal.require("knowledge.edit")
        question, answer = _title(question), _text(answer)
        values = {"kind": "pair", "title": question, "version": 1} | _published(question, answer)
        return await self._add(principal, base_id, category_id, values)

    async def add_page(
        self, principal: Principal, base_id: str, url: str, *, every_days: int = 0, category_id: str = ""
    ) -> DocumentRow:
        """A web page, read once or every so many days. Raises: AccessDenied, NotFound, InputInvalid, Conflict."""
        principal.require("knowledge.edit")
        return await self._add(principal, base_id, category_id, _page(url, every_days))

    async def add_site(
        self, principal: Principal, base_id: str, sitemap: str, *, every_days: int = 0, category_id: str = ""
    ) -> int:
        """The pages a sitemap names, those that are here already left out; how many are new.

        Raises: AccessDenied, NotFound, InputInvalid, Refused, Unreachable.
        """
        principal.require("knowledge.edit")
        first = _page(sitemap, every_days)
        urls = await self._pages.of_sitemap(first["url"], MOST_PAGES_OF_A_SITE)
        if not urls:
            raise InputInvalid("There are no pages in this sitemap. Check the address.", field="sitemap")
        async with self._database.workspace(principal.workspace_id) as connection:
            place = await _place(connection, base_id, category_id)
            added = 0
            for url in urls:
                values = place | _page(url, every_days) | {"public_id": secrets.token_urlsafe(12)}
                added += await rows.add_document(connection, values) is not None
            await rows.wake(connection)
        return added

    async def save(
        self, principal: Principal, document_id: str, *, title: str, text: str, publish: bool
    ) -> DocumentRow:
        """New words of an article or a pair; unpublished words of an article are a draft, agents keep to the old ones.

        Raises: AccessDenied, NotFound, InputInvalid, TooLarge.
        """
        principal.require("knowledge.edit")
        title, text = _title(title), _text(text)
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, document_id)
            old = await rows.texts(connection, document_id)
            if old is None or row["kind"] not in ("article", "pair"):
                raise InputInvalid("Only articles and question–answer pairs can be edited here.", field="title")
            if publish or row["kind"] == "pair":
                values = _published(title, text) | {"title": title, "version": row["version"] + 1}
                await rows.change(connection, "knowledge_document", document_id, values)
                await rows.keep_version(connection, document_id, principal.member_id)
                await rows.read_again(connection, document_id)
            else:
                values = {"draft": text} | ({"title": title} if not row["version"] else {})
                await rows.change(connection, "knowledge_document", document_id, values)
            return _shown(await _found(connection, document_id))

    async def versions(self, principal: Principal, document_id: str) -> Sequence[VersionText]:
        """What was published, the newest first; at most fifty. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, document_id)
            found = await rows.versions(connection, document_id)
        return [VersionText(r["number"], r["title"], r["body"], r["at"], r["member"]) for r in found]

    async def restore(self, principal: Principal, document_id: str, number: int) -> DocumentRow:
        """Publish again what it said in a version; what it says now stays a version too.

        Raises: AccessDenied, NotFound.
        """
        principal.require("knowledge.edit")
        old = next((v for v in await self.versions(principal, document_id) if v.number == number), None)
        if old is None:
            raise NotFound("This version is not kept any more. Reload the page.")
        return await self.save(principal, document_id, title=old.title, text=old.text, publish=True)

    async def move(self, principal: Principal, document_id: str, category_id: str) -> DocumentRow:
        """Into a category of its base, or out of all. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, document_id)
            place = await _place(connection, row["knowledge_base_id"], category_id)
            await rows.change(connection, "knowledge_document", document_id, {"category_id": place["category_id"]})
            await rows.move_passages(connection, document_id, place["category_id"])
            return _shown(await _found(connection, document_id))

    async def read_again(self, principal: Principal, document_id: str) -> DocumentRow:
        """Read it anew, also when it has not changed. Raises: AccessDenied, NotFound, Conflict (an unpublished draft)."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, document_id)
            if row["state"] == "draft":
                raise Conflict("This article is a draft. Publish it first.")
            await rows.read_again(connection, document_id, is_forced=True)
            return _shown(await _found(connection, document_id))

    async def source(self, principal: Principal, document_id: str) -> tuple[DocumentRow, bytes]:
        """The file as it was brought. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await _found(connection, document_id)
            content = await rows.source(connection, document_id)
        if content is None:
            raise NotFound("There is no file to this document.")
        return _shown(row), content

    async def delete(self, principal: Principal, document_id: str) -> None:
        """Delete it with its passages. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found(connection, document_id)
            await rows.delete(connection, "knowledge_document", document_id)
            ids = {"knowledge_document": document_id}
            await audit.append(connection, principal.actor, "knowledge_document.deleted", ids, self._clock())

    async def public(self, public_id: str) -> tuple[str, Sequence[PassageRow]]:
        """Title and passages of a document that clients may open. Raises: NotFound."""
        gone = NotFound("This page is not here any more.")
        if not public_id or len(public_id) > 40:
            raise gone
        async with self._database.system() as connection:
            place = await rows.public_page(connection, public_id)
        if place is None:
            raise gone
        async with self._database.workspace(place["workspace_id"]) as connection:
            row = await rows.document(connection, place["document_id"])
            found = await rows.passages_of(connection, place["document_id"], PASSAGES_SHOWN)
        if row is None:
            raise gone
        return row["title"], [PassageRow(r["id"], r["place"], r["page"] or 0, r["heading"], r["text"]) for r in found]

    async def _add(
        self, principal: Principal, base_id: str, category_id: str, values: Row, content: bytes | None = None
    ) -> DocumentRow:
        async with self._database.workspace(principal.workspace_id) as connection:
            place = await _place(connection, base_id, category_id)
            document_id = await rows.add_document(connection, place | values | {"public_id": secrets.token_urlsafe(12)})
            if document_id is None:
                raise Conflict("This is in the knowledge base already.", field="document")
            if values.get("version"):
                await rows.keep_version(connection, document_id, principal.member_id)
            if content is not None:
                await rows.keep_source(connection, document_id, content)
            await rows.wake(connection)
            return _shown(await _found(connection, document_id))


async def _place(connection: Connection, base_id: str, category_id: str) -> dict[str, Any]:
    base = await found_base(connection, base_id)
    if category_id:
        category = await rows.category(connection, category_id) if is_uuid(category_id) else None
        if category is None or category["knowledge_base_id"] != base["id"]:
            raise NotFound("There is no such category. It may have been deleted; reload the page.")
    return {"knowledge_base_id": base["id"], "category_id": category_id or None}


async def _found(connection: Connection, document_id: str) -> Row:
    row = await rows.document(connection, document_id) if is_uuid(document_id) else None
    if row is None:
        raise NotFound("There is no such document. It may have been deleted; reload the page.")
    return row


def _page(url: str, every_days: int) -> Row:
    url = url.strip().partition("#")[0]
    if len(url) > 2000 or not check_url(url):
        raise InputInvalid("This is not the address of a page. It must begin with https://.", field="url")
    if not 0 <= every_days <= 365:
        raise InputInvalid("A page is read again every 1 to 365 days, or never (0).", field="every_days")
    return {"kind": "page", "title": url[:500], "url": url, "read_every_days": every_days or None}


def _published(title: str, text: str) -> Row:
    digest = hashlib.sha256(f"{title}\n{text}".encode("utf-8", "replace")).hexdigest()
    return {"body": text, "draft": None, "state": "waiting", "content_hash": digest, "size": len(text)}


def _title(title: str) -> str:
    title = " ".join(title.split())
    if not 1 <= len(title) <= 500:
        raise InputInvalid("A title or a question has 1 to 500 characters.", field="title")
    return title


def _text(text: str) -> str:
    if not text.strip():
        raise InputInvalid("Write something first.", field="text")
    if len(text) > MAX_TEXT:
        raise TooLarge("This text is longer than 500 000 characters. Split it.", limit=MAX_TEXT)
    return text


def _shown(row: Row) -> DocumentRow:
    return DocumentRow(
        id=row["id"], base_id=row["knowledge_base_id"], category_id=row["category_id"] or "",
        category=row["category"] or "", kind=row["kind"], title=row["title"], language=row["language"], state=row["state"],
        error=row["error"], error_about=row["error_about"], has_draft=row["has_draft"], version=row["version"],
        url=row["url"], public_id=row["public_id"], file_name=row["file_name"], size=row["size"], progress=row["progress"],
        passages=row["passages"], read_at=row["read_at"], read_every_days=row["read_every_days"] or 0,
        updated_at=row["updated_at"],
    )  # fmt: skip
