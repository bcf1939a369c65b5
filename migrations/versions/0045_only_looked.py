"""Who found nothing to do does not wait for the disk."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0045_only_looked"
down_revision = "0044_crm_listens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
