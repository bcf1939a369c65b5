"""An installation that is brought up to date: what its passages are found by is carried over into the narrow rows."""

from __future__ import annotations

from pathlib import Path

import psycopg

from graph_runtime.storage import migrate
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.passages import Scope, as_vector, by_vector, by_words, similar_words

OLD = """
    WITH base AS (INSERT INTO knowledge_base (workspace_id, name) VALUES (%(w)s, 'B') RETURNING id),
    category AS (INSERT INTO knowledge_category (workspace_id, knowledge_base_id, name) SELECT %(w)s, id, 'C' FROM base RETURNING id),
    document AS (INSERT INTO knowledge_document (workspace_id, knowledge_base_id, category_id, kind, title, public_id, passages)
        SELECT %(w)s, b.id, c.id, 'article', 'D', 'p', 2 FROM base b, category c RETURNING id),
    known AS (INSERT INTO knowledge_word (knowledge_base_id, word, workspace_id) SELECT id, 'tulips', %(w)s FROM base),
    passage AS (INSERT INTO knowledge_passage (workspace_id, knowledge_base_id, document_id, category_id, place, text, language,
            text_hash, word_count, words, embedding, embedding_dims, embedding_model)
        SELECT %(w)s, b.id, d.id, c.id, n, 'x', 'en', 'h', 7, to_tsvector('simple', CASE n WHEN 1 THEN 'red tulips' ELSE 'roses' END),
            %(v)s::vector, 256, 'm' FROM base b, category c, document d, generate_series(1, 2) n)
    SELECT b.id::text, c.id::text FROM base b, category c
"""


async def test_what_was_there_is_found_after_an_upgrade(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data") as server:
        migrate.upgrade(server.admin_url, to="0031_languages")
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            made = admin.execute("INSERT INTO workspace (name) VALUES ('W') RETURNING id::text").fetchone()
            assert made is not None
            vector = as_vector([1.0] * 256)
            row = admin.execute(OLD, {"w": made[0], "v": vector}).fetchone()
            assert row is not None
        # On a connection of its own, as an upgrade is: no extension is loaded yet.
        assert "0035_narrow_words" in migrate.upgrade(server.admin_url)
        database = Database(server.app_url, min_size=1, max_size=1)
        await database.open()
        try:
            async with database.workspace(made[0]) as connection:
                for scope in (Scope([row[0]]), Scope([row[0]], [row[1]], ["en"])):
                    found = await by_words(connection, scope, [("tulips", "tulips", 1.0)], 5)
                    assert [(r["terms"], r["found"]) for r in found] == [([1], [1])]
                assert len(await by_vector(connection, Scope([row[0]]), "m", [1.0] * 256, 5)) == 2
                alike = await similar_words(connection, [row[0]], ["tulps"], 5)
                assert [r["alike"] for r in alike] == ["tulips"]
        finally:
            await database.close()
