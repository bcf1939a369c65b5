"""What running an installation needs: accepting for workers, figures, the restore guard, retention."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005_operations"
down_revision = "0004_delivery"
branch_labels = None
depends_on = None

FUNCTIONS_OF_THE_PROGRAM = (
    "pending_work(bigint, integer)",
    "figures(text)",
    "claim_daily(text)",
    "finish_daily(text)",
    "all_workspaces()",
    "forget_old_rows(integer)",
)
FUNCTIONS_OF_THE_OPERATOR = ("hold_pending(timestamptz)", "release_held()", "discard_held()")
"""Only the owner of the tables may call these: from the command line, never from the program."""


def upgrade() -> None:
    folder = Path(__file__).parent
    for table in ("outbox", "inbox"):
        _run(ONE_MORE_STATE.replace("<table>", table))
    _run((folder / "0005_operations.sql").read_text("utf-8"))
    _run("GRANT CREATE ON SCHEMA public TO patchcord_system")
    for function in FUNCTIONS_OF_THE_PROGRAM + FUNCTIONS_OF_THE_OPERATOR:
        _run(f"ALTER FUNCTION {function} OWNER TO patchcord_system; REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    for function in FUNCTIONS_OF_THE_PROGRAM:
        _run(f"GRANT EXECUTE ON FUNCTION {function} TO patchcord_app")
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


# The states that another migration may have added stay.
ONE_MORE_STATE = """
    DO $$ DECLARE
        rule text;
    BEGIN
        SELECT pg_get_constraintdef(oid) INTO rule FROM pg_constraint
            WHERE conrelid = '<table>'::regclass AND conname = '<table>_state_check';
        IF rule NOT LIKE '%''held''%' THEN
            ALTER TABLE <table> DROP CONSTRAINT <table>_state_check;
            EXECUTE 'ALTER TABLE <table> ADD CONSTRAINT <table>_state_check '
                || replace(rule, 'ARRAY[', 'ARRAY[''held''::text, ');
        END IF;
    END $$;
"""
