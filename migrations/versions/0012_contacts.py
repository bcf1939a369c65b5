"""Contacts as people are known: name, phone, tags, opting out, fields, segments, imports; and what erasing leaves."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0012_contacts"
down_revision = "0011_when_triggers_came"
branch_labels = None
depends_on = None

TABLES = ("contact_field", "segment", "contact_change", "contact_erasure", "contact_import", "contact_import_problem")
SYSTEM_FUNCTIONS = ("claim_contact_import(integer)",)


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
# Exactly what the function that knows no workspace needs.
FOR_THE_SYSTEM = """
    GRANT SELECT, UPDATE ON contact_import TO patchcord_system;
    CREATE POLICY of_system ON contact_import TO patchcord_system USING (true) WITH CHECK (true);
"""
