"""What stores of vectors have still to be told is work like other: it is counted, its age is known, and it can be stopped."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0047_copies_are_work"
down_revision = "0046_first_messages"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
