"""An installation that is brought up to date: connections from before changes could be heard begin to listen by themselves."""

from __future__ import annotations

from pathlib import Path

import psycopg

from graph_runtime.storage import migrate
from graph_runtime.storage.crm_hooks import CrmHookSweep
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres

BEFORE = """
    WITH w AS (INSERT INTO workspace (name) VALUES ('W') RETURNING id),
    c AS (INSERT INTO credential (workspace_id, connector, label, data_key_number) SELECT w.id, v.connector, v.label, 1
        FROM w, (VALUES ('kommo', 'old'), ('kommo', 'quiet'), ('rest_crm', 'own')) v (connector, label)
        RETURNING id, workspace_id, label)
    INSERT INTO audit (workspace_id, seq, at, actor, action, ids, hash)
    SELECT workspace_id, 1, now(), 'member', 'credential.listens_no_more', jsonb_build_object('credential_id', id::text),
        decode(repeat('00', 32), 'hex') FROM c WHERE label = 'quiet'
"""


async def test_who_was_connected_before_listens_now_and_who_would_not_is_left_alone(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data") as server:
        migrate.upgrade(server.admin_url, to="0042_time")
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            admin.execute(BEFORE)
        assert "0044_crm_listens" in migrate.upgrade(server.admin_url)
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            links = admin.execute(
                "SELECT c.label, l.state, length(l.public_id), l.credential_id::text FROM crm_link l JOIN credential c"
                " ON c.id = l.credential_id"
            ).fetchall()
            assert [link[:3] for link in links] == [("old", "failed", 64)]
            admin.execute("SET enable_seqscan = off")
            plan = admin.execute("EXPLAIN SELECT FROM crm_write WHERE credential_id = gen_random_uuid()")
            assert "crm_write_of_connection" in str(plan.fetchall())
        database = Database(server.app_url, min_size=1, max_size=1)
        await database.open()
        try:
            # A worker takes it at once, and tells the account.
            assert [credential for _, credential in await CrmHookSweep(database).links(10)] == [links[0][3]]
        finally:
            await database.close()
