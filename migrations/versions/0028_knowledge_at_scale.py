"""Searching half a million passages: bases and categories in the index of words, smaller vectors in the indexes of meaning."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0028_knowledge_at_scale"
down_revision = "0027_knowledge_exchange"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = (Path(__file__).parent / "0028_search.sql").read_text("utf-8")
    op.get_bind().connection.driver_connection.execute(text)  # type: ignore[union-attr]


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
