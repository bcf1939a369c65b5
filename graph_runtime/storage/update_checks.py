"""What contacts said and update rules have still to look at: claiming, the call to a model once, and what it came to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from psycopg.rows import tuple_row

from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.news import Direct
from graph_runtime.storage.update_rules import json

_CHECK: Final = """
    SELECT k.id::text, k.conversation_id::text, k.first_seq, k.last_seq, k.turn_seq, k.inbox_id::text, k.at, k.attempts,
        c.agent_id::text, c.contact_id::text, c.language
    FROM update_check k JOIN conversation c ON c.id = k.conversation_id
    WHERE k.id = %s AND k.state = 'waiting' AND k.attempts = %s
"""
CLAIM_SECONDS: Final = 120
"""Longer than a model may take, with its repetitions."""


class CheckSweep:
    """Asked before any workspace is known."""

    def __init__(self, database: Direct) -> None:
        self._database = database

    async def claim(self, limit: int, seconds: int = CLAIM_SECONDS) -> list[tuple[str, str, int]]:
        """(workspace, check, attempt) that nobody else works on for so long."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT * FROM claim_update_checks(%s, %s)", (limit, seconds))
            return [(str(w), str(c), int(a)) for w, c, a in await cursor.fetchall()]


async def get_check(connection: Connection, check_id: str, attempt: int, *, for_update: bool = False) -> Row | None:
    """A check that waits and is still in the hands of this attempt, with its conversation; None: it is not."""
    lock = " FOR UPDATE OF k" if for_update else ""
    cursor = await connection.execute(_CHECK + lock, (check_id, attempt))
    return await cursor.fetchone()


async def messages_of(connection: Connection, check: Row, context: int) -> list[Row]:
    """What the contact wrote in the check, and up to `context` messages before it: {seq, role, text}, oldest first."""
    cursor = await connection.execute(
        "SELECT seq, role, text FROM message WHERE conversation_id = %(id)s AND text <> '' AND role <> 'system'"
        " AND seq <= %(last)s AND seq > %(first)s - 1 - %(context)s ORDER BY seq",
        {"id": check["conversation_id"], "first": check["first_seq"], "last": check["last_seq"], "context": context},
    )
    return await cursor.fetchall()


async def finish_check(
    connection: Connection, check_id: str, state: str, reason: str = "", outcomes: dict[str, str] | None = None
) -> None:
    """What it came to. What the model answered is not kept: the turn that it is about is over."""
    await connection.execute(
        "UPDATE update_check SET state = %s, reason = %s, outcomes = %s, done_at = clock_timestamp(), leased_until = NULL"
        " WHERE id = %s",
        (state, reason[:100], json(outcomes or {}), check_id),
    )
    await connection.execute("UPDATE effect SET result = NULL WHERE effect_key = %s", (effect_key(check_id),))


async def put_off(connection: Connection, check_id: str, seconds: float) -> None:
    """Another attempt later."""
    await connection.execute(
        "UPDATE update_check SET leased_until = NULL, next_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
        (seconds, check_id),
    )


async def try_again(connection: Connection, agent_id: str) -> int:
    """What failed in the last seven days is looked at anew; how many."""
    cursor = await connection.execute(
        "UPDATE update_check k SET state = 'waiting', attempts = 0, reason = '', next_at = now(), done_at = NULL"
        " FROM conversation c WHERE c.id = k.conversation_id AND c.agent_id = %s AND k.state = 'failed'"
        " AND k.at > now() - interval '7 days'",
        (agent_id,),
    )
    return cursor.rowcount


async def failures(connection: Connection, agent_id: str) -> Row:
    """{count, reason} of the last seven days; `reason` of the newest."""
    cursor = await connection.execute(
        "SELECT count(*) AS count, coalesce((array_agg(k.reason ORDER BY k.id DESC))[1], '') AS reason"
        " FROM update_check k JOIN conversation c ON c.id = k.conversation_id"
        " WHERE k.state = 'failed' AND c.agent_id = %s AND k.at > now() - interval '7 days'",
        (agent_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def note_usage(connection: Connection, check: Row, data: dict[str, Any]) -> None:
    """The model's tokens and cost, beside those of turns."""
    await connection.execute(
        "INSERT INTO event (workspace_id, conversation_id, turn_id, at, kind, node_id, data)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, clock_timestamp(), 'model_answered', '', %s)",
        (check["conversation_id"], check["inbox_id"], json(data)),
    )


def effect_key(check_id: str) -> str:
    """Of the one call to a model that a check makes."""
    return f"update_check/{check_id}"


class CheckIsOver(Exception):
    """Somebody else has finished the check meanwhile, and what the model answered is not kept any more."""


class CheckEffects:
    """The journal of a check's one call. Implements `engine.effects.EffectJournal`."""

    def __init__(self, database: Database, workspace_id: str, check: Row) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._check = check

    async def recorded(self, key: str) -> Any | None:
        """The result of a call that is known to have ended. Raises: CheckIsOver."""
        row = await self._row("SELECT result FROM effect WHERE effect_key = %s AND state = 'done'", key)
        if row is not None and row["result"] is None:
            raise CheckIsOver
        return row["result"] if row else None

    async def begin(self, key: str, kind: str, node_id: str) -> None:
        """Note that the call is about to be made."""
        await self._row(
            "INSERT INTO effect (workspace_id, effect_key, conversation_id, turn_seq, kind, node_id)"
            " VALUES (current_setting('app.workspace_id')::uuid, %s, %s, %s, %s, %s)"
            " ON CONFLICT (effect_key) DO NOTHING RETURNING effect_key",
            key, self._check["conversation_id"], self._check["turn_seq"], kind, node_id,
        )  # fmt: skip

    async def begun_at(self, key: str) -> datetime | None:
        """When an earlier attempt began the call."""
        row = await self._row("SELECT begun_at FROM effect WHERE effect_key = %s", key)
        return row["begun_at"] if row else None

    async def finish(self, key: str, result: Any) -> None:
        """Note its result."""
        await self._row(
            "UPDATE effect SET state = 'done', result = %s, done_at = now() WHERE effect_key = %s RETURNING effect_key",
            json(result), key,
        )  # fmt: skip

    async def _row(self, statement: str, *values: Any) -> Row | None:
        async with self._database.workspace(self._workspace_id) as connection:
            return await (await connection.execute(statement, values)).fetchone()
