"""Other stores of vectors: copies of what is here, and what has to be done to keep them so."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0043_vector_stores"
down_revision = "0042_time"
branch_labels = None
depends_on = None

TABLES = ("knowledge_copy", "knowledge_copy_change")
SYSTEM_FUNCTIONS = ("note_passages_changed()", "note_document_touched()", "leave_copies()", "claim_copy(integer)")


def upgrade() -> None:
    _run(Path(__file__).with_suffix(".sql").read_text("utf-8"))
    for table in TABLES:
        _run(PROTECTION.replace("<table>", table))
    _run("GRANT CREATE ON SCHEMA public TO patchcord_system")
    for function in SYSTEM_FUNCTIONS:
        _run(f"ALTER FUNCTION {function} OWNER TO patchcord_system; REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _run(f"GRANT EXECUTE ON FUNCTION {function} TO patchcord_app")
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")
    _run("REVOKE ALL ON FUNCTION renew_copies() FROM PUBLIC")


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
    GRANT SELECT, INSERT, UPDATE, DELETE ON <table> TO patchcord_system;
    CREATE POLICY of_system ON <table> TO patchcord_system USING (true) WITH CHECK (true);
"""
