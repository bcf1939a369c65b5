"""Searching knowledge: for a step of a flow, and for a person who tries a query and wants to know why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgePassage, KnowledgeQuery
from graph_runtime.knowledge.marks import marks
from graph_runtime.knowledge.packing import as_data
from graph_runtime.knowledge.search import TOTAL, Found, SearchResult, SearchSettings, search
from graph_runtime.knowledge.words import stem, telling_words
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.knowledge_bases import found_base
from graph_runtime.services.knowledge_embedders import KnowledgeEmbedders
from graph_runtime.services.knowledge_rerankers import KnowledgeRerankers
from graph_runtime.services.knowledge_stores import KnowledgeStores
from graph_runtime.services.principal import Principal
from graph_runtime.storage import knowledge as rows
from graph_runtime.storage import passages
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.passages import Scope

__all__ = ["TOTAL", "KnowledgeSearch", "SearchSettings", "Trial", "Tried"]

EXCERPT: Final = 700


@dataclass(frozen=True, slots=True)
class Tried:
    """A passage in a trial: `pieces` of its text with what was found marked."""

    found: Found
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a query found, and what a model would be given."""

    result: SearchResult
    passages: tuple[Tried, ...]
    prompt: str


class KnowledgeSearch:
    """`for_flow` is for the engine, inside the program: there is no principal, a published flow asks."""

    def __init__(
        self,
        database: Database,
        embedders: KnowledgeEmbedders,
        public_url: str = "",
        clock: Clock = system_clock,
        rerankers: KnowledgeRerankers | None = None,
        stores: KnowledgeStores | None = None,
    ) -> None:
        self._stores = stores
        self._rerankers = rerankers
        self._database = database
        self._clock = clock
        self._embedders = embedders
        self._public_url = public_url.rstrip("/")

    async def try_query(
        self,
        principal: Principal,
        base_id: str,
        query: str,
        settings: SearchSettings | None = None,
        *,
        category_id: str = "",
        language: str = "",
        newest_days: int = 0,
    ) -> Trial:
        """Search one base and explain. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("knowledge.read")
        if not query.strip():
            raise InputInvalid("Write a question first.", field="query")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            bases = await passages.embedders(connection, [base_id])
            categories = await rows.with_children(connection, [category_id]) if is_uuid(category_id) else None
        scope = Scope([base_id], categories, [language] if language else None, self._since(newest_days))
        asked = KnowledgeQuery(query)
        result = await self._search(
            principal.workspace_id, scope, asked, settings or SearchSettings(), bases, is_explained=True
        )
        words = [*result.words, *(w for known in result.corrected.values() for w in known)]
        tried = tuple(Tried(f, tuple(marks(_excerpt(f.text), words))) for f in result.found)
        numbered = [self._passage(n, f) for n, f in enumerate(result.results, 1)]
        return Trial(result, tried, as_data([_for_prompt(p) for p in numbered]))

    async def for_flow(self, workspace_id: str, query: KnowledgeQuery) -> KnowledgeAnswer:
        """What a step asked for. Bases that are gone are left out; no base named means all of the workspace."""
        wanted = [b for b in query.bases if is_uuid(b)]
        async with self._database.workspace(workspace_id) as connection:
            bases = await passages.embedders(connection, wanted if query.bases else None)
            known = [row["id"] for row in bases]
            within = None
            if query.categories:
                named = await rows.categories_named(connection, known, list(query.categories))
                within = await rows.with_children(connection, named)
        scope = Scope(known, within, list(query.languages) or None, self._since(query.newest_days))
        settings = SearchSettings(query.mode, query.top_k, query.threshold, query.neighbors, query.tokens)
        result = await self._search(workspace_id, scope, query, settings, bases, is_explained=False)
        found = tuple(self._passage(n, f) for n, f in enumerate(result.results, 1))
        context = as_data([_for_prompt(p) for p in found])
        terms = tuple(dict.fromkeys(stem(word) for word in telling_words(query.text)))
        return KnowledgeAnswer(found, context, result.best, result.trouble, tuple(known), terms)

    def _since(self, days: int) -> datetime | None:
        return self._clock() - timedelta(days=days) if days else None

    async def _search(
        self,
        workspace_id: str,
        scope: Scope,
        query: KnowledgeQuery,
        settings: SearchSettings,
        bases: Sequence[Row],
        *,
        is_explained: bool,
    ) -> SearchResult:
        """`bases`: rows of `passages.embedders`."""
        by_meaning = settings.mode != "keyword"
        embeds = self._embedders.for_queries(workspace_id, bases) if by_meaning else []
        stores = self._stores.for_queries(workspace_id, bases) if self._stores and by_meaning else []
        rerank = self._rerankers.for_queries(workspace_id, bases) if self._rerankers else None
        return await search(
            self._database, workspace_id, scope, query.text, settings, embeds, stores=stores, also=query.also,
            meaning=query.meaning, rerank=rerank, is_explained=is_explained,
        )  # fmt: skip

    def _passage(self, number: int, found: Found) -> KnowledgePassage:
        url = found.url or (f"{self._public_url}/sources/{found.public_id}" if found.public_id else "")
        heading = found.heading if found.heading != found.title else ""
        return KnowledgePassage(
            number, found.id, found.document_id, found.title, heading, found.text, url, found.page or 0, found.sure
        )


def _for_prompt(passage: KnowledgePassage) -> Mapping[str, Any]:
    return {"n": passage.number, "title": passage.title, "heading": passage.heading, "text": passage.text}


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[:EXCERPT].rsplit(" ", 1)[0] + " …"
