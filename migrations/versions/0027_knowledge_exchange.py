"""Knowledge that travels: imports, relations, attachments and languages of articles; files outside the database."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0027_knowledge_exchange"
down_revision = "0026_awaited_events"
branch_labels = None
depends_on = None

TABLES = ("knowledge_relation", "knowledge_import", "knowledge_import_problem", "stored_object")
SYSTEM_FUNCTIONS = (
    "claim_knowledge_import(integer)",
    "note_object_gone()",
    "claim_removals(integer, integer)",
    "forget_removed(text[])",
)


def upgrade() -> None:
    _run(Path(__file__).with_suffix(".sql").read_text("utf-8"))
    for table in TABLES:
        _run(PROTECTION.replace("<table>", table))
    _run(FOR_THE_SYSTEM)
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
# Exactly what the functions that know no workspace need.
FOR_THE_SYSTEM = """
    GRANT SELECT, UPDATE ON knowledge_import TO patchcord_system;
    CREATE POLICY of_system ON knowledge_import TO patchcord_system USING (true) WITH CHECK (true);
    GRANT SELECT, INSERT, UPDATE, DELETE ON stored_object TO patchcord_system;
    CREATE POLICY of_system ON stored_object TO patchcord_system USING (true) WITH CHECK (true);
"""
