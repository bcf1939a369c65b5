"""What happened to a contact and what they wait for; everything that is stored about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from graph_runtime.storage.database import Connection, Row

_PAST: Final = """
    SELECT * FROM (
        (SELECT c.created_at AS at, 'conversation' AS kind, c.id::text AS ref, jsonb_build_object(
            'agent', a.name, 'channel', c.channel_kind, 'status', c.status, 'result', c.result, 'preview', c.preview) AS data, c.id AS nr
         FROM conversation c JOIN agent a ON a.id = c.agent_id
         WHERE c.contact_id = %(id)s AND NOT c.is_test AND c.created_at < %(before)s ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT c.ended_at, 'conversation_ended', c.id::text, jsonb_build_object(
            'agent', a.name, 'channel', c.channel_kind, 'result', c.result), c.id
         FROM conversation c JOIN agent a ON a.id = c.agent_id
         WHERE c.contact_id = %(id)s AND NOT c.is_test AND c.ended_at < %(before)s ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT p.started_at, 'call', c.id::text, jsonb_build_object(
            'direction', p.direction, 'from', p.from_number, 'to', p.did, 'state', p.state, 'result', p.result), p.id
         FROM conversation c JOIN phone_call p ON p.conversation_id = c.id
         WHERE c.contact_id = %(id)s AND p.started_at < %(before)s ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT o.created_at, 'delivery', c.id::text, jsonb_build_object(
            'channel', c.channel_kind, 'state', o.state, 'reason', o.error_class), o.id
         FROM conversation c JOIN outbox o ON o.conversation_id = c.id
         WHERE c.contact_id = %(id)s AND o.created_at < %(before)s AND o.state IN ('failed', 'unknown')
         ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT u.created_at, 'rule_' || CASE WHEN u.state IN ('applied', 'undone') AND u.applied_by LIKE 'rule:%%'
                THEN 'applied' WHEN u.state = 'noted' THEN 'noted' ELSE 'proposed' END, u.conversation_id::text, jsonb_build_object(
            'field', u.field, 'label', u.label, 'before', u.before, 'after', u.after, 'sentence', u.sentence), u.id
         FROM update_change u WHERE u.contact_id = %(id)s AND u.created_at < %(before)s ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT u.applied_at, 'rule_accepted', u.conversation_id::text, jsonb_build_object(
            'field', u.field, 'label', u.label, 'before', u.before, 'after', u.after, 'actor', u.applied_by), u.id
         FROM update_change u WHERE u.contact_id = %(id)s AND u.applied_at < %(before)s AND u.applied_by NOT LIKE 'rule:%%'
         ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT u.closed_at, 'rule_' || u.state, u.conversation_id::text, jsonb_build_object(
            'field', u.field, 'label', u.label, 'before', u.after, 'after', CASE u.state WHEN 'undone' THEN u.before END, 'actor', u.closed_by), u.id
         FROM update_change u WHERE u.contact_id = %(id)s AND u.closed_at < %(before)s AND u.state IN ('undone', 'rejected')
         ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT l.at, 'chain_' || l.what || CASE l.what WHEN 'done' THEN '_' || l.kind ELSE '' END, l.conversation_id::text,
                jsonb_build_object('chain', h.name, 'reason', l.reason), l.id
         FROM chain_log l JOIN chain h ON h.id = l.chain_id WHERE l.contact_id = %(id)s AND l.at < %(before)s
         AND l.what IN ('enrolled', 'done', 'skipped', 'failed', 'stopped', 'finished') ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT r.done_at, 'trigger_fired', r.conversation_id::text, jsonb_build_object('trigger', t.name), r.id
         FROM trigger_run r JOIN agent_trigger t ON t.id = r.trigger_id
         WHERE r.contact_id = %(id)s AND r.state = 'fired' AND r.done_at < %(before)s ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
        UNION ALL
        (SELECT h.at, h.kind, NULL, h.data || jsonb_build_object('actor', h.actor), h.id
         FROM contact_change h WHERE h.contact_id = %(id)s AND h.at < %(before)s ORDER BY 1 DESC FETCH FIRST %(limit)s ROWS WITH TIES)
    ) everything ORDER BY at DESC FETCH FIRST %(limit)s ROWS WITH TIES
"""
_TIMERS: Final = """
    SELECT t.due_at AS at, 'timer' AS kind, c.id::text AS ref, jsonb_build_object(
        'agent', a.name, 'channel', c.channel_kind, 'node_id', c.node_id, 'waits', c.waits) AS data
    FROM conversation c JOIN timer t ON t.conversation_id = c.id JOIN agent a ON a.id = c.agent_id
    WHERE c.contact_id = %(id)s AND NOT c.is_test AND t.due_at <> 'infinity' ORDER BY t.due_at LIMIT %(limit)s
"""
_CHAIN_STEPS: Final = """
    SELECT e.due_at AS at, 'chain_next' AS kind, NULL AS ref, jsonb_build_object('chain', h.name, 'reason', e.note) AS data
    FROM enrollment e JOIN chain h ON h.id = e.chain_id
    WHERE e.contact_id = %(id)s AND e.state = 'active' ORDER BY e.due_at LIMIT %(limit)s
"""
_ABOUT_THEM: Final = {
    "conversations": """
        SELECT c.id::text, c.agent_id::text, c.channel_kind, c.language, c.status, c.result, c.goal_value, c.tags,
            c.created_at, c.updated_at, c.ended_at FROM conversation c WHERE c.contact_id = %(id)s ORDER BY c.id
    """,
    "messages": """
        SELECT m.conversation_id::text, m.seq, m.role, m.parts, m.text, m.flags, m.created_at
        FROM conversation c JOIN message m ON m.conversation_id = c.id
        WHERE c.contact_id = %(id)s ORDER BY m.conversation_id, m.seq
    """,
    "approvals": """
        SELECT h.conversation_id::text, h.seq, h.text, h.parts, h.state, h.decided_by, h.decided_at, h.sent_text, h.created_at
        FROM conversation c JOIN held_message h ON h.conversation_id = c.id
        WHERE c.contact_id = %(id)s ORDER BY h.conversation_id, h.place
    """,
    "calls": """
        SELECT p.id::text, p.conversation_id::text, p.direction, p.from_number, p.did, p.result, p.started_at, p.ended_at
        FROM conversation c JOIN phone_call p ON p.conversation_id = c.id WHERE c.contact_id = %(id)s ORDER BY p.id
    """,
    "feedback": """
        SELECT f.conversation_id::text, f.seq, f.is_helpful, f.at
        FROM conversation c JOIN knowledge_feedback f ON f.conversation_id = c.id WHERE c.contact_id = %(id)s ORDER BY f.at
    """,
    "events": """
        SELECT e.conversation_id::text, e.at, e.kind, e.data FROM conversation c JOIN event e ON e.conversation_id = c.id
        WHERE c.contact_id = %(id)s ORDER BY e.id
    """,
    "timers": """
        SELECT t.conversation_id::text, t.due_at FROM conversation c JOIN timer t ON t.conversation_id = c.id
        WHERE c.contact_id = %(id)s ORDER BY t.due_at
    """,
    "changes": """
        SELECT at, kind, actor, data FROM contact_change WHERE contact_id = %(id)s ORDER BY id
    """,
    "rule_changes": """
        SELECT u.id::text, u.conversation_id::text, u.label, u.before, u.after, u.sentence, u.confidence, u.state,
            u.created_at, u.applied_at, u.applied_by, u.closed_at, u.closed_by
        FROM update_change u WHERE u.contact_id = %(id)s ORDER BY u.id
    """,
    "follow_ups": """
        SELECT e.id::text, h.name AS chain, e.state, e.reason, e.step_id, e.due_at, e.source, e.enrolled_at, e.ended_at
        FROM enrollment e JOIN chain h ON h.id = e.chain_id WHERE e.contact_id = %(id)s ORDER BY e.id
    """,
    "follow_up_steps": """
        SELECT l.enrollment_id::text, l.at, l.what, l.step_id, l.kind, l.reason, l.wording, l.conversation_id::text
        FROM chain_log l WHERE l.contact_id = %(id)s ORDER BY l.id
    """,
    "notes": """
        SELECT n.text, n.created_at, n.done_at FROM chain_note n WHERE n.contact_id = %(id)s ORDER BY n.id
    """,
    "triggers": """
        SELECT t.name AS trigger, r.at, r.state, r.reason, r.data, r.did, r.done_at
        FROM trigger_run r JOIN agent_trigger t ON t.id = r.trigger_id WHERE r.contact_id = %(id)s ORDER BY r.id
    """,
    "crm_writes": """
        SELECT w.at, w.state, w.write, w.error, w.done_at FROM crm_write w WHERE w.contact_id = %(id)s
            OR w.conversation_id IN (SELECT c.id FROM conversation c WHERE c.contact_id = %(id)s) ORDER BY w.id
    """,
}
_FILES: Final = """
    SELECT f.id::text, f.name, f.mime, f.content, f.place FROM conversation c
    JOIN file f ON f.workspace_id = c.workspace_id AND f.conversation_id = c.id WHERE c.contact_id = %(id)s ORDER BY f.id
"""


async def past(connection: Connection, contact_id: str, before: datetime, limit: int) -> list[Row]:
    """Older than `before`: {at, kind, ref (a conversation or None), data, nr (its order among its kind)}.

    Newest first. More than `limit` come when the last of them shares its moment with others: whoever goes on
    before that moment misses none.
    """
    values = {"id": contact_id, "before": before, "limit": limit}
    return await (await connection.execute(_PAST, values)).fetchall()


async def timers(connection: Connection, contact_id: str, limit: int) -> list[Row]:
    """When conversations of theirs go on by themselves, soonest first; rows as of `past`."""
    return await (await connection.execute(_TIMERS, {"id": contact_id, "limit": limit})).fetchall()


async def chain_steps(connection: Connection, contact_id: str, limit: int) -> list[Row]:
    """What comes next in each chain that they are in, soonest first; rows as of `past`."""
    return await (await connection.execute(_CHAIN_STEPS, {"id": contact_id, "limit": limit})).fetchall()


async def everything(connection: Connection, contact_id: str) -> dict[str, list[Row]]:
    """All rows about them, by kind, without the contact's own."""
    return {
        kind: await (await connection.execute(statement, {"id": contact_id})).fetchall()
        for kind, statement in _ABOUT_THEM.items()
    }


async def files(connection: Connection, contact_id: str) -> AsyncIterator[dict[str, Any]]:
    """What they sent, one by one: {id, name, mime, content, place}."""
    cursor = await connection.execute(_FILES, {"id": contact_id})
    async for row in cursor:
        yield row
