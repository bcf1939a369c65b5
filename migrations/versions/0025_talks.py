"""Talks: test conversations that a member holds with their own voice, as calls without a line."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0025_talks"
down_revision = "0024_work"
branch_labels = None
depends_on = None


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text("utf-8")
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
