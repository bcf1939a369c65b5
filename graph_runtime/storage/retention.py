"""Deletes what is old, a small batch per transaction, each found by an index."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from graph_runtime.storage.database import Connection, Database

CONVERSATIONS: Final = 50
ROWS: Final = 1000
FILES: Final = 20
"""Fewer, because they are large."""

OLD_CONVERSATIONS: Final = """
    SELECT id::text FROM conversation
    WHERE workspace_id = %(workspace)s AND is_test = %(is_test)s AND updated_at < %(before)s
      AND pending_since IS NULL AND lease_owner IS NULL
      AND NOT EXISTS (SELECT FROM timer t WHERE t.conversation_id = conversation.id)
    ORDER BY updated_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
"""Silent since then, with nothing left to do: ended, or left by the contact."""
LIVING_CONVERSATIONS: Final = """
    SELECT c.id::text, c.updated_at FROM conversation c
    WHERE c.workspace_id = %(workspace)s AND c.is_test = %(is_test)s AND (c.updated_at, c.id) > (%(after_at)s, %(after_id)s)
      AND c.created_at < %(before)s
      AND EXISTS (
        SELECT FROM (SELECT m.created_at FROM message m WHERE m.conversation_id = c.id ORDER BY m.seq LIMIT 1) first
        WHERE first.created_at < %(before)s)
    ORDER BY c.updated_at, c.id LIMIT %(limit)s
"""
"""Those that go on, whose first message is older than that."""
OF_ONE_CONVERSATION: Final = {
    "message": """
        DELETE FROM message WHERE conversation_id = %(id)s AND seq = ANY(ARRAY(
            SELECT seq FROM message WHERE conversation_id = %(id)s AND created_at < %(before)s ORDER BY seq LIMIT %(limit)s))
    """,
    "turn": """
        DELETE FROM turn WHERE conversation_id = %(id)s AND seq = ANY(ARRAY(
            SELECT seq FROM turn WHERE conversation_id = %(id)s AND ended_at < %(before)s ORDER BY seq LIMIT %(limit)s))
    """,
    "held_message": """
        DELETE FROM held_message WHERE id = ANY(ARRAY(
            SELECT id FROM held_message WHERE conversation_id = %(id)s AND created_at < %(before)s AND state <> 'waiting'
            ORDER BY place LIMIT %(limit)s))
    """,
    "outbox": """
        DELETE FROM outbox WHERE id = ANY(ARRAY(
            SELECT id FROM outbox WHERE conversation_id = %(id)s AND created_at < %(before)s
              AND state NOT IN ('pending', 'sending', 'held') LIMIT %(limit)s))
    """,
}
# ARRAY(...): one look into the index per row, whatever the planner thinks of the size of the batch.
BY_AGE: Final = {
    "update_check": """
        DELETE FROM update_check WHERE id = ANY(ARRAY(
            SELECT id FROM update_check WHERE workspace_id = %(workspace)s AND at < %(before)s AND state <> 'waiting'
            ORDER BY at LIMIT %(limit)s))
    """,
    "crm_write": """
        DELETE FROM crm_write WHERE id = ANY(ARRAY(
            SELECT id FROM crm_write WHERE workspace_id = %(workspace)s AND at < %(before)s AND state <> 'waiting'
            ORDER BY at LIMIT %(limit)s))
    """,
    "crm_record": """
        DELETE FROM crm_record WHERE id = ANY(ARRAY(
            SELECT id FROM crm_record WHERE workspace_id = %(workspace)s AND heard_at < %(before)s AND due_at IS NULL
            ORDER BY heard_at LIMIT %(limit)s))
    """,
    "update_change": """
        DELETE FROM update_change WHERE id = ANY(ARRAY(
            SELECT id FROM update_change WHERE workspace_id = %(workspace)s AND created_at < %(before)s
            ORDER BY created_at LIMIT %(limit)s))
    """,
    "enrollment": """
        DELETE FROM enrollment WHERE id = ANY(ARRAY(
            SELECT id FROM enrollment WHERE workspace_id = %(workspace)s AND ended_at < %(before)s
              AND state NOT IN ('active', 'paused') ORDER BY ended_at LIMIT %(limit)s))
    """,
    "trigger_run": """
        DELETE FROM trigger_run WHERE id = ANY(ARRAY(
            SELECT id FROM trigger_run WHERE workspace_id = %(workspace)s AND at < %(before)s AND state <> 'waiting'
            ORDER BY at LIMIT %(limit)s))
    """,
    "event": """
        DELETE FROM event WHERE id = ANY(ARRAY(
            SELECT id FROM event WHERE workspace_id = %(workspace)s AND at < %(before)s ORDER BY at LIMIT %(limit)s))
    """,
    "knowledge_asking": """
        DELETE FROM knowledge_asking WHERE id = ANY(ARRAY(
            SELECT id FROM knowledge_asking WHERE workspace_id = %(workspace)s AND asked_at < %(before)s
            ORDER BY asked_at LIMIT %(limit)s))
    """,
    "effect": """
        DELETE FROM effect WHERE effect_key = ANY(ARRAY(
            SELECT e.effect_key FROM effect e JOIN conversation c ON c.id = e.conversation_id
            WHERE e.workspace_id = %(workspace)s AND e.begun_at < %(before)s AND e.turn_seq <= c.turn_seq
            ORDER BY e.begun_at LIMIT %(limit)s))
    """,
    "event_delivery": """
        DELETE FROM event_delivery WHERE id = ANY(ARRAY(
            SELECT id FROM event_delivery WHERE workspace_id = %(workspace)s AND created_at < %(before)s
              AND state NOT IN ('pending', 'sending', 'held') ORDER BY created_at LIMIT %(limit)s))
    """,
    "call": """
        DELETE FROM phone_call WHERE id = ANY(ARRAY(
            SELECT id FROM phone_call WHERE workspace_id = %(workspace)s AND started_at < %(before)s
              AND conversation_id IS NULL ORDER BY started_at LIMIT %(limit)s))
    """,
    "recording": """
        DELETE FROM call_recording WHERE id = ANY(ARRAY(
            SELECT id FROM call_recording WHERE workspace_id = %(workspace)s AND started_at < %(before)s
            ORDER BY started_at LIMIT %(files)s))
    """,
    "file": """
        DELETE FROM file WHERE id = ANY(ARRAY(
            SELECT id FROM file WHERE workspace_id = %(workspace)s AND created_at < %(before)s
            ORDER BY created_at LIMIT %(files)s))
    """,
}
"""Effects of a turn that is not committed yet stay, however old; a call goes with its conversation, if it has one."""
FILES_OF: Final = "DELETE FROM file WHERE workspace_id = %(workspace)s AND conversation_id = ANY(%(ids)s::uuid[])"


class RetentionRows:
    """Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, job: str) -> bool:
        """True for one process a day, by the database's clock."""
        return bool(await self._value("SELECT claim_daily(%s)", job))

    async def finish(self, job: str) -> None:
        """The day's work is done."""
        await self._value("SELECT finish_daily(%s)::text", job)

    async def workspaces(self) -> list[str]:
        """All of them."""
        async with self._database.direct() as connection:
            cursor = await connection.execute("SELECT id::text FROM all_workspaces() id")
            return [str(row["id"]) async for row in cursor]

    async def now(self) -> datetime:
        """The database's clock."""
        now: datetime = await self._value("SELECT now()")
        return now

    async def forget_old_rows(self, limit: int = ROWS) -> dict[str, int]:
        """One batch of what no workspace decides about: kind → rows deleted."""
        async with self._database.direct() as connection:
            cursor = await connection.execute("SELECT kind, rows FROM forget_old_rows(%s)", (limit,))
            return {str(row["kind"]): int(row["rows"]) async for row in cursor}

    async def by_age(self, workspace_id: str, kind: str, before: datetime) -> int:
        """One batch of events, their deliveries, effects, recordings or files."""
        async with self._database.workspace(workspace_id) as connection:
            return await _count(
                connection, BY_AGE[kind], {"workspace": workspace_id, "before": before, "limit": ROWS, "files": FILES}
            )

    async def living(
        self, workspace_id: str, before: datetime, after: tuple[datetime, str], *, is_test: bool
    ) -> list[tuple[str, datetime]]:
        """Conversations that go on and have messages older than `before`, changed after `after` (time, id)."""
        values = {
            "workspace": workspace_id, "is_test": is_test, "before": before, "after_at": after[0], "after_id": after[1],
            "limit": CONVERSATIONS,
        }  # fmt: skip
        async with self._database.workspace(workspace_id) as connection:
            cursor = await connection.execute(LIVING_CONVERSATIONS, values)
            return [(str(row["id"]), row["updated_at"]) async for row in cursor]

    async def trim(self, workspace_id: str, kind: str, conversation_id: str, before: datetime) -> int:
        """One batch of a conversation's messages, turns or deliveries."""
        values = {"id": conversation_id, "before": before, "limit": ROWS}
        async with self._database.workspace(workspace_id) as connection:
            return await _count(connection, OF_ONE_CONVERSATION[kind], values)

    async def delete(self, workspace_id: str, before: datetime, *, is_test: bool) -> int:
        """One batch of such conversations, with all that hangs on them; one that came to life meanwhile stays."""
        values = {"workspace": workspace_id, "is_test": is_test, "before": before, "limit": CONVERSATIONS}
        async with self._database.workspace(workspace_id) as connection:
            cursor = await connection.execute(OLD_CONVERSATIONS, values)
            ids = [row["id"] async for row in cursor]
            await connection.execute(FILES_OF, {"workspace": workspace_id, "ids": ids})
            return await _count(connection, "DELETE FROM conversation WHERE id = ANY(%(ids)s::uuid[])", {"ids": ids})

    async def _value(self, statement: str, *values: Any) -> Any:
        async with self._database.direct() as connection:
            row = await (await connection.execute(statement, values)).fetchone()
            return next(iter(row.values())) if row else None


async def _count(connection: Connection, statement: str, values: dict[str, Any]) -> int:
    cursor = await connection.execute(statement, values)
    return cursor.rowcount
