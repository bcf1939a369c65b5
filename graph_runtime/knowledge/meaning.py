"""Searching by meaning: a query becomes a vector, and PostgreSQL or another store says which passages are near it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from graph_runtime.contract.errors import ConnectorError
from graph_runtime.storage import passages as rows
from graph_runtime.storage.database import Database
from graph_runtime.storage.passages import Scope

CANDIDATES: Final = 50
"""Of each retriever."""


class Meant(NamedTuple):
    """A query as a vector, which is empty where none could be had. `unrelated`: the cosine of texts that have nothing in common, by this model."""

    model: str
    vector: Sequence[float]
    unrelated: float = 0.0


Embed = Callable[[str], Awaitable[Meant]]
"""Raises: ConnectorError."""
Nearest = Callable[[Scope, str, Sequence[float], int], Awaitable[Sequence[tuple[str, float]]]]
"""Where, model, vector, limit → (passage, cosine similarity), best first, by another store. Raises: ConnectorError."""
Ranked = Sequence[tuple[str, float, float, tuple[str, ...]]]
"""(passage, score, sure, words), best first."""


@dataclass(slots=True)
class Meaning:
    """`embeds`: (bases, embedder) pairs; `stores`: (bases, how to search them) where that is not PostgreSQL.

    Afterwards `trouble` says why vectors could not be had, and `away` why PostgreSQL searched in place of a store.
    """

    database: Database
    workspace_id: str
    embeds: Sequence[tuple[Sequence[str], Embed]] = ()
    stores: Sequence[tuple[Sequence[str], Nearest]] = ()
    trouble: str = field(default="", init=False)
    away: str = field(default="", init=False)

    @property
    def bases(self) -> frozenset[str]:
        """Those that can be searched by meaning."""
        return frozenset(base for bases, _ in self.embeds for base in bases)

    async def near(self, scope: Scope, query: str) -> Ranked | None:
        """The passages nearest to a query; None when no vector could be had."""
        asked = await asyncio.gather(*(self._meant(embed, query) for _, embed in self.embeds))
        vectors = [(bases, meant) for (bases, _), meant in zip(self.embeds, asked, strict=True) if meant.vector]
        if not vectors:
            return None
        ranked: list[tuple[str, float, float, tuple[str, ...]]] = []
        for bases, meant in vectors:
            within = replace(scope, base_ids=[b for b in scope.base_ids if b in bases])
            for passage, likeness in await self._nearest(within, meant.model, meant.vector):
                similarity = max(0.0, likeness)
                ranked.append((passage, similarity, _sure(likeness, meant.unrelated), ()))
        # By how sure: cosines of two models say nothing beside each other.
        return sorted(ranked, key=lambda r: (-r[2], -r[1]))[:CANDIDATES]

    async def _meant(self, embed: Embed, query: str) -> Meant:
        try:
            return await embed(query)
        except ConnectorError as error:
            self.trouble = error.message
            return Meant("", ())

    async def _nearest(self, scope: Scope, model: str, vector: Sequence[float]) -> list[tuple[str, float]]:
        """Each base where it is searched; what a store cannot say, PostgreSQL does."""
        found: list[tuple[str, float]] = []
        here = list(scope.base_ids)
        for bases, nearest in self.stores:
            there = [b for b in here if b in bases]
            if not there:
                continue
            try:
                found += await nearest(replace(scope, base_ids=there), model, vector, CANDIDATES)
            except ConnectorError as error:
                self.away = error.message
            else:
                here = [b for b in here if b not in there]
        if here:
            async with self.database.workspace(self.workspace_id) as connection:
                near = await rows.by_vector(connection, replace(scope, base_ids=here), model, vector, CANDIDATES)
            found += [(row["passage_id"], row["similarity"]) for row in near]
        return found


def _sure(likeness: float, unrelated: float) -> float:
    """Some models find any two texts three quarters alike, so it is counted from there: 0 for nothing in common, 1 for the same."""
    return max(0.0, (likeness - unrelated) / (1 - unrelated))
