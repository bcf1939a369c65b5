"""A turn costs the database less: conditions are asked in functions whose plans are kept, not in texts read anew."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0050_quick_turns"
down_revision = "0049_who_may_use"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
