"""A person takes over: queues, hand-offs, notes, ready replies, who is here; the agent is silent meanwhile."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0018_hand_off"
down_revision = "0017_connections"
branch_labels = None
depends_on = None

TABLES = ("queue", "queue_member", "hand_off", "conversation_note", "canned_reply", "presence", "read_mark")
PARTS = ("tables", "silence", "people", "told")


def upgrade() -> None:
    folder = Path(__file__).parent
    for part in PARTS:
        _run((folder / f"0018_{part}.sql").read_text("utf-8"))
        if part == "tables":
            for table in TABLES:
                _run(PROTECTION.replace("<table>", table))


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
