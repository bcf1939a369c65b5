"""Delivery: channels that push, what they still have to send, and letters that could not be delivered."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0004_delivery"
down_revision = "0003_gathering"
branch_labels = None
depends_on = None

SYSTEM_FUNCTIONS = (
    "claim_deliveries(bigint, text, integer, integer, uuid[])",
    "recover_deliveries(bigint, integer, integer)",
    "expire_deliveries(integer)",
    "delivery_figures()",
)


def upgrade() -> None:
    folder = Path(__file__).parent
    _run((folder / "0004_tables.sql").read_text("utf-8"))
    _run(PROTECTION)
    for name in ("0004_delivery.sql", "0004_receive.sql", "0004_system.sql"):
        _run((folder / name).read_text("utf-8"))
    _run("GRANT CREATE ON SCHEMA public TO patchcord_system")
    for function in SYSTEM_FUNCTIONS:
        _run(f"ALTER FUNCTION {function} OWNER TO patchcord_system; REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _run(f"GRANT EXECUTE ON FUNCTION {function} TO patchcord_app")
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


# Row-level security as every table has it, and what the functions that know no workspace may see.
PROTECTION = """
    ALTER TABLE dead_letter ENABLE ROW LEVEL SECURITY;
    ALTER TABLE dead_letter FORCE ROW LEVEL SECURITY;
    CREATE POLICY of_workspace ON dead_letter
        USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
        WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
    GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letter TO patchcord_app;
    CREATE POLICY of_system ON outbox TO patchcord_system USING (true) WITH CHECK (true);
    CREATE POLICY of_system ON message TO patchcord_system USING (true) WITH CHECK (true);
    CREATE POLICY of_system ON dead_letter TO patchcord_system USING (true) WITH CHECK (true);
"""


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")
