"""Several messages in a row become one turn."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0003_gathering"
down_revision = "0002_conversations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    statements = Path(__file__).with_name("0003_gathering.sql").read_text("utf-8")
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
