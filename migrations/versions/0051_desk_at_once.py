"""A call may be told to go to the desk at once, and what listens or speaks for calls may rest."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0051_desk_at_once"
down_revision = "0050_quick_turns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
