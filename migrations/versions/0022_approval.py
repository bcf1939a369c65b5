"""Approval before sending: what an agent said is held until a member, or the time, decides."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0022_approval"
down_revision = "0021_update_rules"
branch_labels = None
depends_on = None

SYSTEM_FUNCTIONS = ("due_approvals(timestamptz, integer)",)


def upgrade() -> None:
    folder = Path(__file__).parent
    _run((folder / "0022_tables.sql").read_text("utf-8"))
    _run(PROTECTION.replace("<table>", "held_message"))
    for part in ("turns", "approval"):
        _run((folder / f"0022_{part}.sql").read_text("utf-8"))
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
