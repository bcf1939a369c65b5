"""Workers are woken once for what waits in a conversation, not for every message of a burst."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0052_woken_once"
down_revision = "0051_desk_at_once"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
