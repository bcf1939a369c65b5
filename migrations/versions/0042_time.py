"""Chains write to customer systems; what is to be sent is claimed by its index."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0042_time"
down_revision = "0039_taken_in_for_others"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
