"""Knowledge: bases, categories, documents, and the passages that agents search, by words, by meaning and past typos."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0015_knowledge"
down_revision = "0012_contacts"
branch_labels = None
depends_on = None

TABLES = (
    "knowledge_base",
    "knowledge_category",
    "knowledge_document",
    "knowledge_source",
    "knowledge_passage",
    "knowledge_word",
)
SYSTEM_FUNCTIONS = (
    "claim_document(bigint, integer)",
    "find_source_page(text)",
    "search_passage_words(uuid[], text[], text[], double precision[], uuid[], text[], timestamptz, integer)",
    "search_passage_vectors(uuid[], text, text, integer, uuid[], text[], timestamptz, integer)",
    "similar_words(uuid[], text[], integer)",
)


def upgrade() -> None:
    folder = Path(__file__).parent
    _run("CREATE EXTENSION IF NOT EXISTS vector")
    _run((folder / "0015_tables.sql").read_text("utf-8"))
    for table in TABLES:
        _run(PROTECTION.replace("<table>", table))
    _run((folder / "0015_search.sql").read_text("utf-8"))
    _run("GRANT CREATE ON SCHEMA public TO patchcord_system")
    for function in SYSTEM_FUNCTIONS:
        _run(f"ALTER FUNCTION {function} OWNER TO patchcord_system; REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        _run(f"GRANT EXECUTE ON FUNCTION {function} TO patchcord_app")
    _run("REVOKE CREATE ON SCHEMA public FROM patchcord_system")
    for table in TABLES:
        rights = "SELECT, UPDATE" if table == "knowledge_document" else "SELECT"
        _run(f"GRANT {rights} ON {table} TO patchcord_system")


def downgrade() -> None:
    raise NotImplementedError("Restore a backup made before the upgrade instead.")


def _run(statements: str) -> None:
    """Several statements as they stand: `:` and `%` mean what they mean in SQL."""
    op.get_bind().connection.driver_connection.execute(statements)  # type: ignore[union-attr]


# Row-level security as every table has it, and what the functions of the system need: an operator of an index is not
# leak-proof, so under a policy that filters rows no index on words or vectors would ever be used.
PROTECTION = """
    ALTER TABLE <table> ENABLE ROW LEVEL SECURITY;
    ALTER TABLE <table> FORCE ROW LEVEL SECURITY;
    CREATE POLICY of_workspace ON <table>
        USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
        WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
    GRANT SELECT, INSERT, UPDATE, DELETE ON <table> TO patchcord_app;
    CREATE POLICY of_system ON <table> TO patchcord_system USING (true) WITH CHECK (true);
"""
