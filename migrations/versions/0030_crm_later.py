"""What is to be written to customer systems that were away: put aside by a turn, carried out when they are back."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0030_crm_later"
down_revision = "0028_knowledge_at_scale"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _run(Path(__file__).with_suffix(".sql").read_text("utf-8"))
    _run("GRANT CREATE ON SCHEMA public TO patchcord_system")
    function = "claim_crm_writes(integer, integer)"
    _run(f"ALTER FUNCTION {function} OWNER TO patchcord_system; REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    _run(f"GRANT EXECUTE ON FUNCTION {function} TO patchcord_app")
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]
