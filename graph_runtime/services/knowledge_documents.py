"""Documents of knowledge bases: brought by people, read by workers; what is written here is only rows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.knowledge_bases import found_base
from graph_runtime.services.knowledge_values import (
    MAX_FILE_BYTES,
    DocumentRow,
    checked_language,
    checked_text,
    checked_title,
    file_values,
    page_values,
    published,
    shown,
)
from graph_runtime.services.principal import Principal
from graph_runtime.services.web_pages import WebPages
from graph_runtime.storage import audit
from graph_runtime.storage import knowledge as rows
from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.objects import Kept

__all__ = ["MAX_FILE_BYTES", "DocumentRow", "KnowledgeDocuments"]

MOST_PAGES_OF_A_SITE: Final = 500
SHOWN_AT_ONCE: Final = 100
PASSAGES_SHOWN: Final = 500


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


@dataclass(frozen=True, slots=True)
class PublicDocument:
    """A document as a client opens it. `file_name`: of the file that can be saved, or ""; `beside`: (public id, title) of
    what is attached to it or related."""

    title: str
    passages: Sequence[PassageRow]
    file_name: str
    beside: Sequence[tuple[str, str]]


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
            return [shown(row) for row in await rows.documents(connection, base_id, filters)]

    async def get(self, principal: Principal, document_id: str) -> DocumentRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return shown(await found_document(connection, document_id))

    async def text(self, principal: Principal, document_id: str) -> DocumentText:
        """The words of an article or a pair. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_document(connection, document_id)
            row = await rows.texts(connection, document_id)
            assert row is not None
        return DocumentText(row["title"], row["body"] if row["draft"] is None else row["draft"], row["body"])

    async def passages(self, principal: Principal, document_id: str) -> Sequence[PassageRow]:
        """What it was split into. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_document(connection, document_id)
            found = await rows.passages_of(connection, document_id, PASSAGES_SHOWN)
        return [_passage(r) for r in found]

    async def add_file(
        self,
        principal: Principal,
        base_id: str,
        name: str,
        content: bytes,
        *,
        category_id: str = "",
        attached_to: str = "",
    ) -> DocumentRow:
        """A file; what it is, its bytes say. `attached_to`: the article that it belongs to, and goes with.

        Raises: AccessDenied, NotFound, TooLarge (25 MB), InputInvalid (a kind that is not read), Conflict (it is here),
        ConnectorError (the place of files cannot be reached).
        """
        principal.require("knowledge.edit")
        values = file_values(name, content)
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            if attached_to:
                article = await found_document(connection, attached_to)
                if article["kind"] != "article" or article["knowledge_base_id"] != base_id:
                    raise InputInvalid(
                        "Files are attached to articles of the same knowledge base.", field="attached_to"
                    )
                values |= {"attached_to": attached_to}
                category_id = article["category_id"] or ""
        kept = await self._database.files.keep(principal.workspace_id, content)
        return await self._add(principal, base_id, category_id, values, kept)

    async def add_article(
        self,
        principal: Principal,
        base_id: str,
        title: str,
        text: str,
        *,
        category_id: str = "",
        publish: bool = True,
        language: str = "",
    ) -> DocumentRow:
        """An article in Markdown. `language`: "" when it is to be recognized.

        Raises: AccessDenied, NotFound, InputInvalid, TooLarge.
        """
        principal.require("knowledge.edit")
        title, text = checked_title(title), checked_text(text)
        values: Row = {"kind": "article", "title": title, "draft": text, "state": "draft"}
        values |= {"told_language": checked_language(language)}
        if publish:
            values |= published(title, text) | {"version": 1}
        return await self._add(principal, base_id, category_id, values)

    async def add_pair(
        self, principal: Principal, base_id: str, question: str, answer: str, *, category_id: str = ""
    ) -> DocumentRow:
        """A question with its answer. Raises: AccessDenied, NotFound, InputInvalid, TooLarge."""
        principal.require("knowledge.edit")
        question, answer = checked_title(question), checked_text(answer)
        values = {"kind": "pair", "title": question, "version": 1} | published(question, answer)
        return await self._add(principal, base_id, category_id, values)

    async def add_page(
        self, principal: Principal, base_id: str, url: str, *, every_days: int = 0, category_id: str = ""
    ) -> DocumentRow:
        """A web page, read once or every so many days. Raises: AccessDenied, NotFound, InputInvalid, Conflict."""
        principal.require("knowledge.edit")
        return await self._add(principal, base_id, category_id, page_values(url, every_days))

    async def add_site(
        self, principal: Principal, base_id: str, sitemap: str, *, every_days: int = 0, category_id: str = ""
    ) -> int:
        """The pages a sitemap names, those that are here already left out; how many are new.

        Raises: AccessDenied, NotFound, InputInvalid, Refused, Unreachable.
        """
        principal.require("knowledge.edit")
        first = page_values(sitemap, every_days)
        urls = await self._pages.of_sitemap(first["url"], MOST_PAGES_OF_A_SITE)
        if not urls:
            raise InputInvalid("There are no pages in this sitemap. Check the address.", field="sitemap")
        async with self._database.workspace(principal.workspace_id) as connection:
            place = await place_of(connection, base_id, category_id)
            added = 0
            for url in urls:
                values = place | page_values(url, every_days) | {"public_id": secrets.token_urlsafe(12)}
                added += await rows.add_document(connection, values) is not None
            await rows.wake(connection)
        return added

    async def save(
        self,
        principal: Principal,
        document_id: str,
        *,
        title: str,
        text: str,
        publish: bool,
        language: str | None = None,
    ) -> DocumentRow:
        """New words of an article or a pair; unpublished words of an article are a draft, agents keep to the old ones.
        `language`: "" when it is to be recognized, None: as it was.

        Raises: AccessDenied, NotFound, InputInvalid, TooLarge.
        """
        principal.require("knowledge.edit")
        title, text = checked_title(title), checked_text(text)
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_document(connection, document_id)
            old = await rows.texts(connection, document_id)
            if old is None or row["kind"] not in ("article", "pair"):
                raise InputInvalid("Only articles and question–answer pairs can be edited here.", field="title")
            is_told = language is not None and checked_language(language) != row["told_language"]
            if is_told:
                told = {"told_language": language}
                await rows.change(connection, "knowledge_document", document_id, told)
            if publish or row["kind"] == "pair":
                values = published(title, text) | {"title": title, "version": row["version"] + 1}
                await rows.change(connection, "knowledge_document", document_id, values)
                await rows.keep_version(connection, document_id, principal.member_id)
                await rows.read_again(connection, document_id, is_forced=is_told)
            else:
                values = {"draft": text} | ({"title": title} if not row["version"] else {})
                await rows.change(connection, "knowledge_document", document_id, values)
            return shown(await found_document(connection, document_id))

    async def versions(self, principal: Principal, document_id: str) -> Sequence[VersionText]:
        """What was published, the newest first; at most fifty. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_document(connection, document_id)
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
            row = await found_document(connection, document_id)
            place = await place_of(connection, row["knowledge_base_id"], category_id)
            await rows.change(connection, "knowledge_document", document_id, {"category_id": place["category_id"]})
            await rows.move_passages(connection, document_id, place["category_id"])
            return shown(await found_document(connection, document_id))

    async def read_again(self, principal: Principal, document_id: str) -> DocumentRow:
        """Read it anew, also when it has not changed. Raises: AccessDenied, NotFound, Conflict (an unpublished draft)."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_document(connection, document_id)
            if row["state"] == "draft":
                raise Conflict("This article is a draft. Publish it first.")
            await rows.read_again(connection, document_id, is_forced=True)
            return shown(await found_document(connection, document_id))

    async def source(self, principal: Principal, document_id: str) -> tuple[DocumentRow, bytes]:
        """The file as it was brought. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await found_document(connection, document_id)
            where = await rows.source(connection, document_id)
        content = await self._database.files.read(where)
        if content is None:
            raise NotFound("There is no file to this document.")
        return shown(row), content

    async def delete(self, principal: Principal, document_id: str) -> None:
        """Delete it with its passages. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_document(connection, document_id)
            await rows.delete(connection, "knowledge_document", document_id)
            ids = {"knowledge_document": document_id}
            await audit.append(connection, principal.actor, "knowledge_document.deleted", ids, self._clock())

    async def public(self, public_id: str) -> PublicDocument:
        """What a client sees of a document that clients may open. Raises: NotFound."""
        row, workspace_id = await self._public(public_id)
        async with self._database.workspace(workspace_id) as connection:
            found = await rows.passages_of(connection, row["id"], PASSAGES_SHOWN)
            beside = await rows.beside(connection, row["id"])
        return PublicDocument(
            row["title"], [_passage(r) for r in found], row["file_name"] if row["kind"] == "file" else "",
            [(r["public_id"], r["title"]) for r in beside if r["passages"]],
        )  # fmt: skip

    async def public_file(self, public_id: str) -> tuple[str, bytes]:
        """Name and content of a file that clients may open. Raises: NotFound, ConnectorError."""
        row, workspace_id = await self._public(public_id)
        async with self._database.workspace(workspace_id) as connection:
            where = await rows.source(connection, row["id"])
        content = await self._database.files.read(where)
        if content is None:
            raise NotFound("There is no file to this document.")
        return row["file_name"], content

    async def _public(self, public_id: str) -> tuple[Row, str]:
        gone = NotFound("This page is not here any more.")
        if not public_id or len(public_id) > 40:
            raise gone
        async with self._database.system() as connection:
            place = await rows.public_page(connection, public_id)
        if place is None:
            raise gone
        async with self._database.workspace(place["workspace_id"]) as connection:
            row = await rows.document(connection, place["document_id"])
        if row is None:
            raise gone
        return row, str(place["workspace_id"])

    async def _add(
        self, principal: Principal, base_id: str, category_id: str, values: Row, kept: Kept | None = None
    ) -> DocumentRow:
        async with self._database.workspace(principal.workspace_id) as connection:
            place = await place_of(connection, base_id, category_id)
            document_id = await rows.add_document(connection, place | values | {"public_id": secrets.token_urlsafe(12)})
            if document_id is None:
                raise Conflict("This is in the knowledge base already.", field="document")
            if values.get("version"):
                await rows.keep_version(connection, document_id, principal.member_id)
            if kept is not None:
                await rows.keep_source(connection, document_id, kept)
            await rows.wake(connection)
            return shown(await found_document(connection, document_id))


async def place_of(connection: Connection, base_id: str, category_id: str) -> dict[str, Any]:
    """Columns that say where a document lies. Raises: NotFound."""
    base = await found_base(connection, base_id)
    if category_id:
        category = await rows.category(connection, category_id) if is_uuid(category_id) else None
        if category is None or category["knowledge_base_id"] != base["id"]:
            raise NotFound("There is no such category. It may have been deleted; reload the page.")
    return {"knowledge_base_id": base["id"], "category_id": category_id or None}


async def found_document(connection: Connection, document_id: str) -> Row:
    """The row of a document. Raises: NotFound."""
    row = await rows.document(connection, document_id) if is_uuid(document_id) else None
    if row is None:
        raise NotFound("There is no such document. It may have been deleted; reload the page.")
    return row


def _passage(row: Row) -> PassageRow:
    return PassageRow(row["id"], row["place"], row["page"] or 0, row["heading"], row["text"])
