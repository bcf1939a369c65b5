"""Customer systems tell what changed in them: where they post, what was last seen of a record, what we wrote ourselves."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0033_crm_hooks"
down_revision = "0032_moved_calls"
branch_labels = None
depends_on = None

TABLES = ("crm_link", "crm_record", "crm_own_write")
SYSTEM_FUNCTIONS = (
    "find_crm_link(text)",
    "hear_crm(text, jsonb)",
    "claim_crm_records(integer, integer)",
    "due_crm_links(integer)",
)


def upgrade() -> None:
    folder = Path(__file__).parent
    _run((folder / "0033_tables.sql").read_text("utf-8"))
    for table in TABLES:
        _run(PROTECTION.replace("<table>", table))
    _run((folder / "0033_hooks.sql").read_text("utf-8"))
    _run("GRANT CREATE ON SCHEMA public TO patchcord_system")
    for function in SYSTEM_FUNCTIONS:
        _run(f"ALTER FUNCTION {function} OWNER TO patchcord_system; REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _run(f"GRANT EXECUTE ON FUNCTION {function} TO patchcord_app")
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


# Row-level security as every table has it.
PROTECTION = """
    ALTER TABLE <table> ENABLE ROW LEVEL SECURITY;
    ALTER TABLE <table> FORCE ROW LEVEL SECURITY;
    CREATE POLICY of_workspace ON <table>
        USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
        WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
    GRANT SELECT, INSERT, UPDATE, DELETE ON <table> TO patchcord_app;
"""
