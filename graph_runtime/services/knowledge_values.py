"""What a document of a knowledge base may say, and how it is told: shared by whatever brings documents. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from graph_runtime.contract.errors import InputInvalid, TooLarge
from graph_runtime.engine.http import check_url
from graph_runtime.knowledge.conversion import Unreadable, kind_by_content
from graph_runtime.storage.database import Row

MAX_FILE_BYTES: Final = 25_000_000
MAX_TEXT: Final = 500_000
LANGUAGES: Final = ("en", "ru", "uk")
DocumentState = Literal["draft", "waiting", "reading", "embedding", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as lists show it. `state`: draft, waiting, reading, embedding, ready or failed; `error`: a code.

    `progress` 0–100 while it is read; `has_draft`: an article whose newest words are not published; `told_language`: what
    its author says, "" when it is recognized; `attached_to`: the article that a file belongs to, or "".
    """

    id: str
    base_id: str
    category_id: str
    category: str
    kind: str
    title: str
    language: str
    told_language: str
    attached_to: str
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


def shown(row: Row) -> DocumentRow:
    """From the storage's row."""
    return DocumentRow(
        id=row["id"], base_id=row["knowledge_base_id"], category_id=row["category_id"] or "",
        category=row["category"] or "", kind=row["kind"], title=row["title"], language=row["language"],
        told_language=row["told_language"], attached_to=row["attached_to"] or "", state=row["state"], error=row["error"],
        error_about=row["error_about"], has_draft=row["has_draft"], version=row["version"], url=row["url"],
        public_id=row["public_id"], file_name=row["file_name"], size=row["size"], progress=row["progress"],
        passages=row["passages"], read_at=row["read_at"], read_every_days=row["read_every_days"] or 0,
        updated_at=row["updated_at"],
    )  # fmt: skip


def file_values(name: str, content: bytes) -> Row:
    """Columns of a file; what it is, its bytes say. Raises: TooLarge (25 MB), InputInvalid (a kind that is not read)."""
    name = name.replace("\\", "/").rpartition("/")[2].replace("\0", "").strip()[:255] or "file"
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
    return {
        "kind": "file", "title": name.rpartition(".")[0] or name, "file_name": name, "mime": kind, "size": len(content),
        "content_hash": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip


def page_values(url: str, every_days: int) -> Row:
    """Columns of a web page. Raises: InputInvalid."""
    url = url.strip().partition("#")[0]
    if len(url) > 2000 or not check_url(url):
        raise InputInvalid("This is not the address of a page. It must begin with https://.", field="url")
    if not 0 <= every_days <= 365:
        raise InputInvalid("A page is read again every 1 to 365 days, or never (0).", field="every_days")
    return {"kind": "page", "title": url[:500], "url": url, "read_every_days": every_days or None}


def published(title: str, text: str) -> Row:
    """Columns of words that agents are to know."""
    digest = hashlib.sha256(f"{title}\n{text}".encode("utf-8", "replace")).hexdigest()
    return {"body": text, "draft": None, "state": "waiting", "content_hash": digest, "size": len(text)}


def checked_title(title: str) -> str:
    """Raises: InputInvalid."""
    title = " ".join(title.split())
    if not 1 <= len(title) <= 500:
        raise InputInvalid("A title or a question has 1 to 500 characters.", field="title")
    return title


def checked_text(text: str) -> str:
    """Raises: InputInvalid, TooLarge."""
    if not text.strip():
        raise InputInvalid("Write something first.", field="text")
    if len(text) > MAX_TEXT:
        raise TooLarge("This text is longer than 500 000 characters. Split it.", limit=MAX_TEXT)
    return text


def checked_language(language: str) -> str:
    """Raises: InputInvalid."""
    if language and language not in LANGUAGES:
        raise InputInvalid("Choose English, Russian or Ukrainian, or let the language be recognized.", field="language")
    return language
