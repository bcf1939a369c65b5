"""Searching by words where some are in thousands of passages: rare ones lead, frequent ones decide among what those brought."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.passages import Scope, by_words

ROWS, K = 5200, 20
Admin = psycopg.Connection[tuple[Any, ...]]
_FILL = """
    WITH made AS (
        INSERT INTO knowledge_passage (workspace_id, knowledge_base_id, document_id, category_id, place, text, text_hash)
        SELECT %(workspace)s, %(base)s, %(document)s, CASE WHEN n < 100 THEN %(category)s::uuid END, n, 'x', 'h'
        FROM generate_series(1, %(rows)s) n RETURNING id, category_id, place AS n)
    INSERT INTO knowledge_lookup (passage_id, workspace_id, knowledge_base_id, document_id, category_id, word_count, words)
    SELECT id, %(workspace)s, %(base)s, %(document)s, category_id, 90,
        array_to_tsvector(array_remove(ARRAY[CASE WHEN n %% 2 = 0 THEN 'even' END, CASE WHEN n %% 2 = 1 THEN 'odd' END,
            CASE WHEN n %% 3 = 0 THEN 'third' END, CASE WHEN n IN (7, 8, 4000) THEN 'rare' END], NULL))
    FROM made
"""
_DOCUMENT = "knowledge_base_id, kind, title, public_id, passages"


@pytest.fixture
def scope(database: Database, admin: Admin, owner: Principal) -> Scope:
    """One base of 5200 passages, the first hundred of them in a category."""
    about: dict[str, Any] = {"workspace": owner.workspace_id, "rows": ROWS}
    for key, table, columns, values in (
        ("base", "knowledge_base", "name", "'B'"),
        ("category", "knowledge_category", "knowledge_base_id, name", "%(base)s, 'C'"),
        ("document", "knowledge_document", _DOCUMENT, "%(base)s, 'article', 'D', %(base)s, %(rows)s"),
    ):
        row = admin.execute(
            f"INSERT INTO {table} (workspace_id, {columns}) VALUES (%(workspace)s, {values}) RETURNING id", about
        ).fetchone()
        assert row is not None
        about[key] = row[0]
    admin.execute(_FILL, about)
    return Scope([str(about["base"])], [str(about["category"])])


async def _found(database: Database, workspace: str, scope: Scope, *words: str) -> list[Row]:
    async with database.workspace(workspace) as connection:
        rows = await by_words(connection, scope, [(w, w, 1.0) for w in words], K)
        places = await connection.execute(
            "SELECT id, place FROM knowledge_passage WHERE id = ANY (%s::uuid[])", ([r["passage_id"] for r in rows],)
        )
        at = {row["id"]: row["place"] async for row in places}
    return [row | {"place": at[row["passage_id"]]} for row in rows]


@pytest.mark.parametrize("is_known", [False, True], ids=["counted", "estimated"])
async def test_a_rare_word_leads_and_a_frequent_one_decides(
    database: Database, admin: Admin, owner: Principal, scope: Scope, is_known: bool
) -> None:
    if is_known:
        admin.execute("ANALYZE knowledge_lookup")
    whole = Scope(scope.base_ids)
    found = await _found(database, owner.workspace_id, whole, "even", "rare")
    assert [r["place"] for r in found if 2 in r["terms"]][:3] == [8, 4000, 7]
    assert [r["terms"] for r in found[:3]] == [[1, 2], [1, 2], [2]]
    assert found[0]["covered"] == pytest.approx(1)
    assert found[0]["found"][0] >= 500
    assert found[0]["found"][1] == 3
    if is_known:
        assert 2000 < found[0]["found"][0] < 3200
    together = await _found(database, owner.workspace_id, whole, "even", "third")
    assert len(together) == K
    assert all(r["place"] % 6 == 0 and r["terms"] == [1, 2] for r in together)
    apart = await _found(database, owner.workspace_id, whole, "even", "odd")
    assert len(apart) == K
    assert await _found(database, owner.workspace_id, whole, "nowhere") == []


async def test_a_small_part_is_searched_by_itself(
    database: Database, admin: Admin, owner: Principal, other_workspace: Principal, scope: Scope
) -> None:
    admin.execute("ANALYZE knowledge_lookup")
    found = await _found(database, owner.workspace_id, scope, "rare", "odd")
    assert (found[0]["place"], found[1]["place"]) == (7, 8)
    assert all(r["place"] < 100 for r in found)
    assert await _found(database, other_workspace.workspace_id, scope, "rare") == []
    assert await _found(database, owner.workspace_id, Scope(scope.base_ids, []), "rare") == []
