"""Work that can be stopped and looked at; files of contacts that lead into a chain."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0024_work"
down_revision = "0023_knowledge_loop"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _run(Path(__file__).with_suffix(".sql").read_text("utf-8"))


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]
