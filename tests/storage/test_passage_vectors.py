"""Searching by meaning: through the index and one by one, in a small base of a large installation; always as many as there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest

from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import Database
from graph_runtime.storage.passages import Scope, as_vector, by_vector

ROWS, SMALL, DIMS, K = 1400, 60, 256, 10
MODEL = "test/one"
Admin = psycopg.Connection[tuple[Any, ...]]


class Filled:
    """Two bases: one of many passages, every tenth in a category, and one of few in another workspace, far from queries."""

    def __init__(self, admin: Admin, owner: Principal, other: Principal) -> None:
        random = np.random.default_rng(3)
        middles = random.standard_normal((20, DIMS))
        self.vectors = unit(middles[random.integers(0, 20, ROWS)] + 0.6 * random.standard_normal((ROWS, DIMS)))
        self.queries = unit(middles[:12] + 0.6 * random.standard_normal((12, DIMS)))
        self.base, self.category = _base(admin, owner.workspace_id)
        self.small, _ = _base(admin, other.workspace_id)
        self.ids = _fill(admin, owner.workspace_id, self.base, self.vectors, self.category)
        self.few = unit(random.standard_normal((SMALL, DIMS)) - 4 * middles.mean(axis=0))
        self.few_ids = _fill(admin, other.workspace_id, self.small, self.few, None)
        admin.execute("ANALYZE knowledge_passage")

    def exact(self, query: Any, *, in_category: bool) -> list[str]:
        """The nearest ids, compared one by one here."""
        likeness = self.vectors @ query
        order = [n for n in np.argsort(-likeness) if not in_category or n % 10 == 0]
        return [self.ids[n] for n in order[:K]]


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _base(admin: Admin, workspace: str) -> tuple[str, str]:
    base = admin.execute(
        "INSERT INTO knowledge_base (workspace_id, name) VALUES (%s, 'B') RETURNING id::text", (workspace,)
    ).fetchone()
    assert base is not None
    category = admin.execute(
        "INSERT INTO knowledge_category (workspace_id, knowledge_base_id, name) VALUES (%s, %s, 'C') RETURNING id::text",
        (workspace, base[0]),
    ).fetchone()
    assert category is not None
    return base[0], category[0]


def _fill(admin: Admin, workspace: str, base: str, vectors: Any, category: str | None) -> list[str]:
    document = admin.execute(
        "INSERT INTO knowledge_document (workspace_id, knowledge_base_id, kind, title, public_id, passages)"
        " VALUES (%s, %s, 'article', 'D', %s, %s) RETURNING id::text",
        (workspace, base, base, len(vectors)),
    ).fetchone()
    assert document is not None
    rows = admin.execute(
        "INSERT INTO knowledge_passage (workspace_id, knowledge_base_id, document_id, place, text, text_hash,"
        " category_id, embedding, embedding_dims, embedding_model)"
        " SELECT %s, %s, %s, n - 1, 'x', 'h', CASE WHEN (n - 1) %% 10 = 0 THEN %s::uuid END, v::vector, %s, %s"
        " FROM unnest(%s::text[]) WITH ORDINALITY u (v, n) RETURNING place, id::text",
        (workspace, base, document[0], category, DIMS, MODEL, [as_vector(v) for v in vectors.tolist()]),
    ).fetchall()
    return [found[1] for found in sorted(rows)]


@pytest.fixture
def filled(database: Database, admin: Admin, owner: Principal, other_workspace: Principal) -> Filled:
    return Filled(admin, owner, other_workspace)


@pytest.fixture
def short_walk(admin: Admin) -> Iterator[None]:
    """The index is walked only a few steps, as it would be in an installation of millions."""
    function = "search_passage_vectors(uuid[], text, text, integer, uuid[], text[], timestamptz, integer, integer)"
    admin.execute(f"ALTER FUNCTION {function} SET hnsw.max_scan_tuples = '50'")
    admin.execute(f"ALTER FUNCTION {function} SET hnsw.ef_search = '40'")
    yield
    admin.execute(f"ALTER FUNCTION {function} SET hnsw.max_scan_tuples = '40000'")
    admin.execute(f"ALTER FUNCTION {function} SET hnsw.ef_search = '200'")


async def test_the_index_finds_what_comparing_one_by_one_finds(
    database: Database, owner: Principal, admin: Admin, filled: Filled, other_workspace: Principal
) -> None:
    before = _walks(admin)
    for scope in (Scope([filled.base]), Scope([filled.base], [filled.category])):
        shared = 0
        for query in filled.queries:
            right = filled.exact(query, in_category=scope.categories is not None)
            for one_by_one, is_exact in ((0, False), (ROWS, True)):
                async with database.workspace(owner.workspace_id) as connection:
                    found = await by_vector(connection, scope, MODEL, query.tolist(), K, one_by_one=one_by_one)
                assert ({r["is_exact"] for r in found}, len(found)) == ({is_exact}, K)
                assert [r["similarity"] for r in found] == sorted((r["similarity"] for r in found), reverse=True)
                ids = [r["passage_id"] for r in found]
                if is_exact:
                    assert ids == right
                else:
                    shared += len({*ids} & {*right})
        assert shared / (K * len(filled.queries)) >= 0.98
    admin.execute("SELECT set_config('app.workspace_id', %s, false)", (owner.workspace_id,))
    admin.execute(
        "SELECT count(*) FROM search_passage_vectors(ARRAY[%s]::uuid[], %s, %s, %s, NULL, NULL, NULL, 10, 0)",
        (filled.base, MODEL, as_vector(filled.queries[0].tolist()), DIMS),
    )
    admin.execute("SELECT set_config('app.workspace_id', '', false)")
    assert _walks(admin) > before


async def test_a_small_base_of_a_large_installation_gets_all_it_asks_for(
    database: Database, other_workspace: Principal, owner: Principal, filled: Filled, short_walk: None
) -> None:
    async with database.workspace(other_workspace.workspace_id) as connection:
        for one_by_one in (None, 0, 10):
            found = await by_vector(
                connection, Scope([filled.small]), MODEL, filled.queries[0].tolist(), K, one_by_one=one_by_one
            )
            right = np.argsort(-(filled.few @ filled.queries[0]))[:K]
            assert [r["passage_id"] for r in found] == [filled.few_ids[n] for n in right]
            assert {r["is_exact"] for r in found} == {True}
        everything = await by_vector(
            connection, Scope([filled.small]), MODEL, filled.queries[0].tolist(), 100, one_by_one=0
        )
        assert {r["passage_id"] for r in everything} == {*filled.few_ids}
        assert await by_vector(connection, Scope([filled.base]), MODEL, filled.queries[0].tolist(), K) == []


def _walks(admin: Admin) -> int:
    admin.execute("SELECT pg_stat_force_next_flush()")
    row = admin.execute(
        "SELECT idx_scan FROM pg_stat_all_indexes WHERE indexrelname = %s", (f"knowledge_passage_{DIMS}",)
    ).fetchone()
    assert row is not None
    return int(row[0])
