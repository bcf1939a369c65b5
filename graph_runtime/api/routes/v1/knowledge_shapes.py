"""What the public API says and takes about knowledge: bases, documents and what a search finds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Literal["", "en", "ru", "uk"]


class _Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid")


class _Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Base(_Shown):
    """A knowledge base."""

    id: str
    name: str
    description: str
    is_public: bool = Field(description="Clients may open its documents from an answer.")
    documents: int
    passages: int
    working: int = Field(description="Documents that are being read now.")
    failed: int = Field(description="Documents that could not be read.")
    updated_at: datetime


class Bases(_Shown):
    """All of the workspace, by name."""

    knowledge_bases: list[Base]


class Document(_Shown):
    """A document. Agents find it once its state is `ready`."""

    id: str
    base_id: str
    category_id: str
    kind: Literal["article", "file", "page", "pair"]
    title: str
    language: str
    state: Literal["draft", "waiting", "reading", "embedding", "ready", "failed"]
    progress: int = Field(description="0 to 100 while it is read.")
    error: str = Field(description="Why it could not be read: a code such as `encrypted`, or empty.")
    error_about: str
    passages: int
    size: int = Field(description="Of a file, in bytes.")
    url: str
    updated_at: datetime


class Documents(_Shown):
    """Newest first."""

    documents: list[Document]
    next_cursor: str


class ListedDocuments(_Shape):
    """Which documents."""

    category_id: str = Field("", max_length=60)
    state: Literal["", "draft", "waiting", "reading", "embedding", "ready", "failed"] = ""
    cursor: str = Field("", max_length=60)
    limit: int = Field(50, ge=1, le=100)


class NewArticle(_Shape):
    """An article in Markdown."""

    title: str = Field(min_length=1, max_length=500)
    text: str = Field(min_length=1, max_length=500_000)
    category_id: str = Field("", max_length=60)
    language: Language = Field("", description="Empty: it is recognized.")
    publish: bool = Field(True, description="A draft is not found until it is published.")


class ArticleChange(_Shape):
    """New words of an article or a pair."""

    title: str = Field(min_length=1, max_length=500)
    text: str = Field(min_length=1, max_length=500_000)
    publish: bool = True


class Search(_Shape):
    """A question, and how to search."""

    query: str = Field(min_length=1, max_length=2000)
    mode: Literal["hybrid", "keyword", "semantic"] = "hybrid"
    top_k: int = Field(5, ge=1, le=20)
    threshold: float = Field(0.4, ge=0, le=1, description="How sure a passage must be.")
    neighbors: int = Field(0, ge=0, le=3, description="Passages added on either side.")
    category_id: str = Field("", max_length=60)
    language: Language = ""
    newest_days: int = Field(0, ge=0, le=3650)


class FoundPassage(_Shown):
    """A passage. `sure`: 0 to 1."""

    document_id: str
    title: str
    heading: str
    text: str
    page: int | None
    url: str
    sure: float


class SearchAnswer(_Shown):
    """Best first; empty when nothing is sure enough."""

    passages: list[FoundPassage]
    best: float = Field(description="How sure the surest of all considered passages is, 0 to 1.")
    corrected: dict[str, list[str]] = Field(description="Words that were taken for known ones.")
    trouble: str = Field(description="Why meaning was left out, or empty.")
    unranked: str = Field(description="Why a reranker did not change the order, or empty.")
