"""Triggers: what starts something by itself, the times that come next, and every occasion with what became of it."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0020_triggers"
down_revision = "0018_hand_off"
branch_labels = None
depends_on = None

TABLES = ("agent_trigger", "trigger_tick", "trigger_run", "trigger_note")
SYSTEM_FUNCTIONS = (
    "hear_triggers(uuid, uuid, text, uuid, uuid, text, jsonb)",
    "due_ticks(timestamptz, integer)",
    "waiting_runs(timestamptz, integer)",
    "seconds_to_next_trigger(timestamptz, double precision)",
    "find_trigger(text)",
)


def upgrade() -> None:
    folder = Path(__file__).parent
    _run((folder / "0020_tables.sql").read_text("utf-8"))
    for table in TABLES:
        _run(PROTECTION.replace("<table>", table))
    _run((folder / "0020_triggers.sql").read_text("utf-8"))
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
