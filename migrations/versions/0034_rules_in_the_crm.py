"""Update rules write to customer systems as well, and what such a system refuses is shown with what is undelivered."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0034_rules_in_the_crm"
down_revision = "0033_crm_hooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(  # type: ignore[union-attr]
        Path(__file__).with_suffix(".sql").read_text("utf-8")
    )


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
