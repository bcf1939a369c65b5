"""Connections from before changes were heard begin to listen; writes are found by their connection."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0044_crm_listens"
down_revision = "0043_vector_stores"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
