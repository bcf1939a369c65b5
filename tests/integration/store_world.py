"""A base with vectors, and stores that copy it: what the tests of filling, following and searching have in common."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import ConnectorError
from graph_runtime.contract.knowledge import KnowledgeQuery
from graph_runtime.knowledge.search import SearchSettings
from graph_runtime.services.knowledge_bases import BaseRow
from graph_runtime.services.principal import Principal
from tests.fakes.vectors.serving import KEY, FakeStore

Admin = psycopg.Connection[tuple[Any, ...]]
TRUTH = """
    SELECT p.id::text, coalesce(p.category_id::text, ''), p.language, p.embedding_model, floor(extract(epoch FROM d.updated_at))::bigint,
        p.embedding::text
    FROM knowledge_passage p JOIN knowledge_document d ON d.id = p.document_id
    WHERE p.knowledge_base_id = %s AND p.embedding IS NOT NULL
"""
SOON = "UPDATE knowledge_copy SET next_attempt_at = now(), lease_until = NULL"


@dataclass
class Compass:
    """An embedder: the number in a text says the direction. Changing `name` or `dims` is another model."""

    name: str = "openai/compass"
    dims: int = 8
    at_once: int = 100
    failure: ConnectorError | None = None

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        if self.failure is not None:
            raise self.failure
        return [self.vector(t) for t in texts]

    def unrelated(self, query: str) -> float:
        return 0.0

    async def aclose(self) -> None:
        pass

    def vector(self, text: str) -> list[float]:
        found = re.search(r"number (\d+)", text)
        if found is None:
            return [0.0] * self.dims
        angle = int(found[1]) / 100 + int(found[1]) ** 2 / 20_000  # the one before is nearer than the one after
        return [float(np.cos(angle)), float(np.sin(angle)), *([0.0] * (self.dims - 2))]


@dataclass
class World:
    """A workspace with a base whose articles have one passage for each number."""

    services: Services
    owner: Principal
    admin: Admin
    base: BaseRow
    compass: Compass = field(default_factory=Compass)

    async def write(self, title: str, numbers: Sequence[int], **how: Any) -> str:
        """An article of these passages, read; its id."""
        row = await self.services.knowledge_documents.add_article(self.owner, self.base.id, title, body(numbers), **how)
        await self.read_all()
        return row.id

    async def rewrite(self, document_id: str, title: str, numbers: Sequence[int]) -> None:
        """Publish an article with other passages."""
        await self.services.knowledge_documents.save(
            self.owner, document_id, title=title, text=body(numbers), publish=True
        )
        await self.read_all()

    async def read_all(self) -> None:
        while await self.services.knowledge_ingest.run_next():
            pass

    async def copy_all(self) -> None:
        """Carry out everything that can be now, whenever it was to be tried again."""
        self.admin.execute(SOON)
        for _ in range(200):
            if not await self.services.knowledge_copying.run_next():
                return
        raise AssertionError("copying never ends")

    async def key_of(self, fake: FakeStore, connector: str = "qdrant", **values: Any) -> str:
        """A credential of a store."""
        settings = {"base_url": fake.url, "key": KEY, "allow_private_host": True} | values
        return (await self.services.credentials.create(self.owner, connector, "Ours", settings)).id

    async def serve_from(self, credential_id: str) -> None:
        await self.services.knowledge_copies.choose(self.owner, self.base.id, credential_id)
        await self.copy_all()
        (copy,) = (await self.services.knowledge_copies.of(self.owner, self.base.id)).copies
        assert (copy.state, copy.store, copy.waiting, copy.error) == ("serving", credential_id, 0, "")

    async def states(self) -> list[str]:
        return [c.state for c in (await self.services.knowledge_copies.of(self.owner, self.base.id)).copies]

    async def numbers(self, number: int, k: int = 5, **how: Any) -> list[int]:
        """What a person who tries a query finds by meaning."""
        trial = await self.trial(number, k, **how)
        return [int(re.search(r"number (\d+)", f.text)[1]) for f in trial.results]  # type: ignore[index]

    async def trial(self, number: int, k: int = 5, **how: Any) -> Any:
        settings = SearchSettings(mode="semantic", top_k=k, threshold=0, tokens=100_000)
        found = await self.services.knowledge_search.try_query(
            self.owner, self.base.id, f"number {number}", settings, **how
        )
        return found.result

    async def flow_numbers(self, number: int, k: int = 3) -> list[int]:
        """What a step finds."""
        query = KnowledgeQuery(f"number {number}", bases=(self.base.id,), mode="semantic", top_k=k, threshold=0.1)
        answer = await self.services.knowledge_search.for_flow(self.owner.workspace_id, query)
        return [int(re.search(r"number (\d+)", p.text)[1]) for p in answer.passages]  # type: ignore[index]

    def truth(self) -> dict[str, tuple[Any, ...]]:
        """passage → category, language, model, day, vector, as PostgreSQL has it."""
        return {row[0]: row[1:] for row in self.admin.execute(TRUTH, (self.base.id,)).fetchall()}

    def is_copied(self, fake: FakeStore) -> None:
        """The store has exactly what is here, once, under our names."""
        found = [(space, fields, vector) for space in fake.spaces.values() for vector, fields in space.rows.values()]
        truth = self.truth()
        assert sorted(fields["passage"] for _, fields, _ in found) == sorted(truth)
        for _, fields, vector in found:
            category, language, model, changed_at, text = truth[fields["passage"]]
            assert (fields["category"], fields["language"], fields["model"], fields["changed_at"]) == (
                category, language, model, changed_at,
            )  # fmt: skip
            assert fields["workspace"] == self.owner.workspace_id
            np.testing.assert_allclose(vector, [float(v) for v in text.strip("[]").split(",")], rtol=1e-5)


@asynccontextmanager
async def new_world(
    services: Services, owner: Principal, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """With the even numbers below eighty."""
    made = World(services, owner, admin, await services.knowledge_bases.create(owner, "Numbers"))

    async def opened(*_: str) -> Compass:
        return made.compass

    monkeypatch.setattr(services.knowledge_ingest._embedders, "open", opened)
    key = await services.credentials.create(owner, "openai", "Vectors", {"key": "sk-1234567890abcdef"})
    await services.knowledge_bases.set_embedder(owner, made.base.id, key.id, "compass")
    await made.write("Even", range(0, 80, 2))
    yield made
    await services.knowledge_ingest.close()


def body(numbers: Sequence[int]) -> str:
    """One passage for each."""
    return "\n\n".join(f"## Part {n}\n\nThis is number {n}." for n in numbers)
