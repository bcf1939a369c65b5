"""Questions that knowledge did not answer, whether answers helped, and exact search where an index would miss passages."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0023_knowledge_loop"
down_revision = "0022_approval"
branch_labels = None
depends_on = None

TABLES = ("knowledge_question", "knowledge_asking", "knowledge_feedback", "knowledge_version")


def upgrade() -> None:
    folder = Path(__file__).parent
    _run((folder / "0023_tables.sql").read_text("utf-8"))
    for table in TABLES:
        _run(protection(table))
    _run((folder / "0023_questions.sql").read_text("utf-8"))
    _run((folder / "0023_search.sql").read_text("utf-8"))


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


def protection(table: str) -> str:
    """Row-level security as every table has it."""
    return f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
        CREATE POLICY of_workspace ON {table}
            USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
            WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
        GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO patchcord_app;
    """


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
