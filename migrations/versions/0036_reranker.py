"""A knowledge base may have a reranker."""

from __future__ import annotations

from alembic import op

revision = "0036_reranker"
down_revision = "0035_narrow_words"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE knowledge_base ADD COLUMN reranker uuid, ADD FOREIGN KEY (workspace_id, reranker)"
        " REFERENCES credential (workspace_id, id) ON DELETE SET NULL (reranker)"
    )
    op.execute("CREATE INDEX knowledge_base_by_reranker ON knowledge_base (workspace_id, reranker)")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
