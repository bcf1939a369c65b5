"""The tables that every turn writes: what they refuse, and that no condition is read anew for each statement."""

from __future__ import annotations

import psycopg
import pytest

from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import process, publish
from tests.engine.small_nodes import flow

Admin = psycopg.Connection[tuple[object, ...]]
TABLES = ["conversation", "inbox", "message", "event"]
ASKS = flow({"s": ("start", {}), "q": ("ask", {"text": "?", "save_to": "x"})}, {"s.next": "q", "q.answered": "q"})
BROKEN = {
    "an unknown status": "UPDATE conversation SET status = 'gone'",
    "an unknown wait": "UPDATE conversation SET waits = 'coffee'",
    "a conversation that begins so": (
        "INSERT INTO conversation (workspace_id, agent_id, contact_id, version_id, channel_kind, language, status)"
        " SELECT workspace_id, agent_id, contact_id, version_id, channel_kind, language, 'gone' FROM conversation LIMIT 1"
    ),
    "an unknown state": "UPDATE inbox SET state = 'lost'",
    "an unknown kind": (
        "INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind)"
        " SELECT workspace_id, agent_id, 'k', id, 'rumour' FROM conversation LIMIT 1"
    ),
    "a key without end": (
        "INSERT INTO inbox (workspace_id, source_id, dedupe_key, conversation_id, kind)"
        " SELECT workspace_id, agent_id, repeat('k', 501), id, 'message' FROM conversation LIMIT 1"
    ),
    "an unknown role": (
        "INSERT INTO message (workspace_id, conversation_id, seq, role, parts, text)"
        " SELECT workspace_id, id, 900, 'ghost', '[]', '' FROM conversation LIMIT 1"
    ),
}


async def test_they_refuse_what_nothing_could_read(postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, ASKS)
    async with process(postgres.app_url) as side:
        conversation = await side.begin(access)
        for statement in BROKEN.values():
            with pytest.raises(psycopg.errors.CheckViolation):
                admin.execute(statement)
        # They still take what is right.
        assert admin.execute("UPDATE conversation SET status = 'open' WHERE id = %s", (conversation,)).rowcount == 1


def test_no_condition_of_theirs_is_read_anew_for_each_statement(admin: Admin) -> None:
    when = admin.execute(
        "SELECT tgname FROM pg_trigger WHERE tgqual IS NOT NULL AND tgrelid = ANY (%s::regclass[])", (TABLES,)
    ).fetchall()
    checks = admin.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = ANY (%s::regclass[])", (TABLES,)
    ).fetchall()
    assert (when, checks) == ([], [])
