"""Connections: access granted by OAuth, when credentials were used, and evidence of calls that were begun."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0017_connections"
down_revision = "0016_channel_links"
branch_labels = None
depends_on = None

TABLES = ("oauth_attempt", "oauth_access")


def upgrade() -> None:
    _run(Path(__file__).with_suffix(".sql").read_text("utf-8"))
    for table in TABLES:
        _run(PROTECTION.replace("<table>", table))
    _run("GRANT CREATE ON SCHEMA public TO patchcord_system")
    _run("ALTER FUNCTION due_access(integer) OWNER TO patchcord_system")
    _run("REVOKE ALL ON FUNCTION due_access(integer) FROM PUBLIC")
    _run(
        "GRANT EXECUTE ON FUNCTION due_access(integer) TO patchcord_app; GRANT SELECT ON oauth_access TO patchcord_system"
    )
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


# Row-level security as every table has it, and what the functions that know no workspace need.
PROTECTION = """
    ALTER TABLE <table> ENABLE ROW LEVEL SECURITY;
    ALTER TABLE <table> FORCE ROW LEVEL SECURITY;
    CREATE POLICY of_workspace ON <table>
        USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
        WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
    GRANT SELECT, INSERT, UPDATE, DELETE ON <table> TO patchcord_app;
    CREATE POLICY of_system ON <table> TO patchcord_system USING (true) WITH CHECK (true);
"""
