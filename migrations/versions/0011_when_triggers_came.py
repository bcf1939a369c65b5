"""A trigger's time is when it was stored, not when its transaction began: a timer never looks early."""

from __future__ import annotations

from alembic import op

revision = "0011_when_triggers_came"
down_revision = "0010_calls_out"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE inbox ALTER COLUMN received_at SET DEFAULT clock_timestamp()")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
