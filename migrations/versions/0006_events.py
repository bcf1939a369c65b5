"""Event subscriptions: signed events to addresses of a workspace's choice, written with the turn that caused them."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0006_events"
down_revision = "0005_operations"
branch_labels = None
depends_on = None

TABLES = ("event_subscription", "event_delivery")
SYSTEM_FUNCTIONS = (
    "claim_events(bigint, integer, integer, uuid[])",
    "recover_events(bigint, integer, integer)",
    "expire_events(integer)",
)


def upgrade() -> None:
    folder = Path(__file__).parent
    _run((folder / "0006_tables.sql").read_text("utf-8"))
    for table in TABLES:
        _run(PROTECTION.replace("<table>", table))
    for name in ("0006_happened.sql", "0006_sending.sql", "0006_operations.sql"):
        _run((folder / name).read_text("utf-8"))
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
