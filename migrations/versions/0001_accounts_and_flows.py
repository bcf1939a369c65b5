"""Accounts, agents, flows and credentials, with the walls between workspaces."""

from pathlib import Path

from alembic import op

revision = "0001_accounts_and_flows"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    *("workspace", "member", "session", "api_key", "data_key", "credential", "agent", "flow", "flow_edit", "version"),
    *("agent_connection", "channel", "setting", "file", "audit"),
)
FUNCTIONS = (
    "installation_has_owner()",
    "create_first_owner(text, text, text, text, text)",
    "find_member(text)",
    "find_session(bytea, timestamptz)",
    "find_api_key(bytea, timestamptz)",
    "find_channel(text, text)",
    "workspaces_with_secrets()",
    "take_sign_in(bytea[], integer[], timestamptz, integer, double precision)",
    "forget_sign_ins(bytea)",
)


def upgrade() -> None:
    folder = Path(__file__).parent
    for role in ("patchcord_app", "patchcord_system"):
        _run(ROLE.replace("<role>", role))
    _run(BECOME_SYSTEM)
    _run((folder / "0001_tables.sql").read_text("utf-8"))
    for table in TABLES:
        _run(protection(table))
    _run(NARROWER_RIGHTS)
    _run((folder / "0001_system.sql").read_text("utf-8"))
    _run(SYSTEM_RIGHTS)
    for function in FUNCTIONS:
        _run(f"ALTER FUNCTION {function} OWNER TO patchcord_system; REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _run(f"GRANT EXECUTE ON FUNCTION {function} TO patchcord_app")
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


def protection(table: str) -> str:
    """Row-level security as every table has it, for its owner too."""
    return f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
        CREATE POLICY of_workspace ON {table}
            USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
            WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
        GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO patchcord_app;
    """


ROLE = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '<role>') THEN
            CREATE ROLE <role> NOLOGIN;
        END IF;
    END $$;
    GRANT USAGE ON SCHEMA public TO <role>;
"""

# The owner must be a member of patchcord_system to give it functions; CREATE is taken back at the end.
BECOME_SYSTEM = """
    DO $$ BEGIN
        IF NOT pg_has_role(current_user, 'patchcord_system', 'SET') THEN
            EXECUTE format('GRANT patchcord_system TO %I', current_user);
        END IF;
    END $$;
    GRANT CREATE ON SCHEMA public TO patchcord_system;
"""

NARROWER_RIGHTS = """
    REVOKE INSERT, UPDATE, DELETE ON workspace FROM patchcord_app;
    GRANT UPDATE (name) ON workspace TO patchcord_app;
    REVOKE UPDATE ON version FROM patchcord_app;
    GRANT UPDATE (comment) ON version TO patchcord_app;
    REVOKE UPDATE, DELETE ON audit FROM patchcord_app;
    ALTER TABLE sign_in_limit ENABLE ROW LEVEL SECURITY;
    ALTER TABLE sign_in_limit FORCE ROW LEVEL SECURITY;
"""

# Exactly what the functions need, and nothing for a person to sign in with.
SYSTEM_RIGHTS = """
    GRANT SELECT, INSERT ON workspace, member TO patchcord_system;
    GRANT SELECT ON session, api_key, agent, channel, data_key TO patchcord_system;
    GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_limit TO patchcord_system;
    CREATE POLICY of_system ON workspace TO patchcord_system USING (true) WITH CHECK (true);
    CREATE POLICY of_system ON member TO patchcord_system USING (true) WITH CHECK (true);
    CREATE POLICY of_system ON session FOR SELECT TO patchcord_system USING (true);
    CREATE POLICY of_system ON api_key FOR SELECT TO patchcord_system USING (true);
    CREATE POLICY of_system ON agent FOR SELECT TO patchcord_system USING (true);
    CREATE POLICY of_system ON channel FOR SELECT TO patchcord_system USING (true);
    CREATE POLICY of_system ON data_key FOR SELECT TO patchcord_system USING (true);
    CREATE POLICY of_system ON sign_in_limit TO patchcord_system USING (true) WITH CHECK (true);
"""
