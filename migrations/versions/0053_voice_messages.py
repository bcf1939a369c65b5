"""Words of voice messages are kept with their files."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0053_voice_messages"
down_revision = "0052_woken_once"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
