"""Searching by words reads narrow rows: what a search has to look at apart from what it shows."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0035_narrow_words"
down_revision = "0034_rules_in_the_crm"
branch_labels = None
depends_on = None


def upgrade() -> None:
    folder = Path(__file__).parent
    for name in ("0035_tables.sql", "0035_search.sql"):
        op.get_bind().connection.driver_connection.execute((folder / name).read_text("utf-8"))  # type: ignore[union-attr]


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
