"""What waits to be done in a workspace, by kind of work: how much, since when, how much lately, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import scalar_row

from graph_runtime.storage.chain_steps import CHAINS_CHANNEL
from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.event_subscriptions import EVENTS_CHANNEL
from graph_runtime.storage.instance import HOLDERS, SENDS
from graph_runtime.storage.knowledge import DOCUMENTS_CHANNEL
from graph_runtime.storage.outbox import OUTBOX_CHANNEL
from graph_runtime.storage.timers import TIMERS_CHANNEL


async def lines(connection: Connection, phone_kinds: Sequence[str]) -> list[Row]:
    """{line, waiting, oldest_at, lately (in the last hour), failed} of every kind; `phone_kinds`: channels that ring."""
    return await (await connection.execute(_LINES, {"phone": [*phone_kinds]})).fetchall()


_LINES = """
    WITH hour AS (SELECT clock_timestamp() - interval '1 hour' AS began,
        -- Rows are made at most a day before they are done; ids begin with the time they were made.
        (lpad(to_hex((extract(epoch FROM clock_timestamp() - interval '1 day') * 1000)::bigint), 12, '0')
         || '00000000000000000000')::uuid AS first_id),
    turns AS (
        SELECT CASE WHEN c.channel_kind = ANY (%(phone)s) THEN 'voice' ELSE 'chat' END AS line, i.state, i.received_at, i.done_at
        FROM inbox i JOIN conversation c ON c.id = i.conversation_id, hour
        WHERE NOT c.is_test AND (i.state = 'pending' OR i.id >= hour.first_id AND i.done_at > hour.began)
    )
    SELECT k.line, coalesce(t.waiting, 0)::int AS waiting, t.oldest_at, coalesce(t.lately, 0)::int AS lately, (
        SELECT count(*)::int FROM dead_letter l WHERE l.source = 'inbox' AND l.resolved_at IS NULL
            AND (l.channel_kind = ANY (%(phone)s)) = (k.line = 'voice')) AS failed
    FROM unnest('{chat,voice}'::text[]) k (line) LEFT JOIN (
        SELECT line, count(*) FILTER (WHERE state = 'pending') AS waiting, min(received_at) FILTER (WHERE state = 'pending') AS oldest_at,
               count(*) FILTER (WHERE state = 'done') AS lately FROM turns GROUP BY line) t ON t.line = k.line
    UNION ALL
    SELECT k.line, (SELECT count(*)::int FROM outbox o WHERE o.queue = k.queue AND o.state IN ('pending', 'sending')),
        (SELECT min(o.next_attempt_at) FROM outbox o WHERE o.queue = k.queue AND o.state IN ('pending', 'sending')),
        (SELECT count(*)::int FROM outbox o, hour WHERE o.queue = k.queue AND o.state = 'sent' AND o.id >= hour.first_id
            AND o.sent_at > hour.began),
        (SELECT count(*)::int FROM dead_letter l JOIN outbox o ON o.id = l.ref
            WHERE l.source = 'outbox' AND l.resolved_at IS NULL AND o.queue = k.queue)
    FROM (VALUES ('outbox', 'chat'), ('bulk', 'bulk')) k (line, queue)
    UNION ALL
    SELECT 'integrations', (SELECT count(*)::int FROM event_delivery WHERE state IN ('pending', 'sending')),
        (SELECT min(next_attempt_at) FROM event_delivery WHERE state IN ('pending', 'sending')),
        (SELECT count(*)::int FROM event_delivery d, hour WHERE d.state = 'sent' AND d.id >= hour.first_id AND d.sent_at > hour.began),
        (SELECT count(*)::int FROM event_delivery WHERE state = 'failed')
    UNION ALL
    SELECT 'ingest', (SELECT count(*)::int FROM knowledge_document WHERE state IN ('waiting', 'reading', 'embedding'))
            + (SELECT count(*)::int FROM contact_import WHERE state = 'waiting'),
        least((SELECT min(queued_at) FROM knowledge_document WHERE state IN ('waiting', 'reading', 'embedding')),
            (SELECT min(created_at) FROM contact_import WHERE state = 'waiting')),
        (SELECT count(*)::int FROM knowledge_document d, hour WHERE d.state = 'ready' AND d.read_at > hour.began)
            + (SELECT count(*)::int FROM contact_import i, hour WHERE i.state = 'done' AND i.finished_at > hour.began),
        (SELECT count(*)::int FROM knowledge_document WHERE state = 'failed')
    UNION ALL
    SELECT 'copies', (SELECT count(*)::int FROM knowledge_copy_change) + (SELECT count(*)::int FROM knowledge_copy WHERE state = 'leaving'),
        least((SELECT min(since) FROM knowledge_copy_change), (SELECT min(leaves_since) FROM knowledge_copy WHERE state = 'leaving')),
        (SELECT coalesce(sum(m.changes), 0)::int FROM knowledge_copied m, hour WHERE m.minute > hour.began),
        (SELECT count(*)::int FROM knowledge_copy WHERE error <> '')
    UNION ALL
    SELECT 'timers', (SELECT count(*)::int FROM enrollment WHERE state = 'active' AND due_at <= clock_timestamp())
            + (SELECT count(*)::int FROM timer WHERE due_at <= clock_timestamp()),
        least((SELECT min(due_at) FROM enrollment WHERE state = 'active' AND due_at <= clock_timestamp()),
            (SELECT min(due_at) FROM timer WHERE due_at <= clock_timestamp())),
        (SELECT count(*)::int FROM chain_log l, hour WHERE l.what IN ('done', 'failed') AND l.id >= hour.first_id AND l.at > hour.began),
        (SELECT count(*)::int FROM enrollment WHERE state = 'failed')
"""


async def paused(connection: Connection) -> dict[str, datetime]:
    """Kinds of work that are stopped, and since when."""
    cursor = await connection.execute("SELECT line, at FROM work_pause")
    return {row["line"]: row["at"] for row in await cursor.fetchall()}


async def workers(connection: Connection) -> int:
    """Living processes that do the work of this installation."""
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(HOLDERS, SENDS)
    return int(await cursor.fetchone() or 0)


async def pause(connection: Connection, line: str, actor: str) -> bool:
    """Stop a kind of work; False when it is stopped already."""
    cursor = await connection.execute(
        "INSERT INTO work_pause (workspace_id, line, actor) VALUES (current_setting('app.workspace_id')::uuid, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (line, actor[:100]),
    )
    return cursor.rowcount == 1


async def resume(connection: Connection, line: str) -> bool:
    """Let it go on, at once; False when it was not stopped."""
    cursor = await connection.execute("DELETE FROM work_pause WHERE line = %s", (line,))
    for channel in _WAKES.get(line, ()):
        await connection.execute("SELECT pg_notify(%s, '')", (channel,))
    return cursor.rowcount == 1


_WAKES = {
    "outbox": (OUTBOX_CHANNEL,), "bulk": (OUTBOX_CHANNEL,), "integrations": (EVENTS_CHANNEL,),
    "timers": (CHAINS_CHANNEL, TIMERS_CHANNEL), "ingest": (DOCUMENTS_CHANNEL,), "copies": (DOCUMENTS_CHANNEL,),
}  # fmt: skip


async def failed(connection: Connection, line: str, phone_kinds: Sequence[str], limit: int) -> list[str]:
    """Ids of what failed: letters, deliveries ("subscription/delivery"), documents, copies or enrollments ("chain/enrollment")."""
    statement = _FAILED.get(line)
    if statement is None:
        return []
    values: dict[str, Any] = {"phone": [*phone_kinds], "limit": limit}
    return [row["id"] for row in await (await connection.execute(statement, values)).fetchall()]


_LETTERS = """
    SELECT l.id::text FROM dead_letter l WHERE l.source = 'inbox' AND l.resolved_at IS NULL
        AND (l.channel_kind = ANY (%(phone)s)) = {is_voice} ORDER BY l.id LIMIT %(limit)s
"""
_MESSAGES = """
    SELECT l.id::text FROM dead_letter l JOIN outbox o ON o.id = l.ref WHERE l.source = 'outbox' AND l.resolved_at IS NULL
        AND o.queue = '{queue}' ORDER BY l.id LIMIT %(limit)s
"""
_FAILED = {
    "chat": _LETTERS.format(is_voice="false"),
    "voice": _LETTERS.format(is_voice="true"),
    "outbox": _MESSAGES.format(queue="chat"),
    "bulk": _MESSAGES.format(queue="bulk"),
    "integrations": "SELECT subscription_id || '/' || id AS id FROM event_delivery WHERE state = 'failed' ORDER BY id LIMIT %(limit)s",
    "ingest": "SELECT id::text FROM knowledge_document WHERE state = 'failed' ORDER BY id LIMIT %(limit)s",
    "copies": "SELECT id::text FROM knowledge_copy WHERE error <> '' ORDER BY id LIMIT %(limit)s",
    "timers": "SELECT chain_id || '/' || id AS id FROM enrollment WHERE state = 'failed' ORDER BY id LIMIT %(limit)s",
}
