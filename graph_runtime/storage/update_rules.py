"""Rows of update rules, and of every change that they made or propose with the sentence that caused it."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from graph_runtime.storage.database import Connection, Row, dumps_json

# Rules --------------------------------------------------------------------------------------------------------------------

_RULE = """
    SELECT r.id::text, r.agent_id::text, r.is_on, r.document, r.created_at, r.updated_at,
        (SELECT count(*) FROM update_change c WHERE c.rule_id = r.id AND c.applied_at > now() - interval '30 days') AS applied,
        (SELECT max(c.applied_at) FROM update_change c WHERE c.rule_id = r.id) AS applied_at
    FROM update_rule r
"""


async def get(connection: Connection, rule_id: str, *, for_update: bool = False) -> Row | None:
    """One rule; `applied`: changes of the last 30 days."""
    lock = " FOR UPDATE OF r" if for_update else ""
    return await (await connection.execute(_RULE + " WHERE r.id = %s" + lock, (rule_id,))).fetchone()


async def listed(connection: Connection, agent_id: str, *, only_on: bool = False) -> list[Row]:
    """Those of an agent, oldest first."""
    cursor = await connection.execute(
        _RULE + " WHERE r.agent_id = %s AND (r.is_on OR NOT %s) ORDER BY r.id LIMIT 500", (agent_id, only_on)
    )
    return await cursor.fetchall()


async def agent_exists(connection: Connection, agent_id: str) -> bool:
    """Whether the workspace has such an agent."""
    return await (await connection.execute("SELECT FROM agent WHERE id = %s", (agent_id,))).fetchone() is not None


async def insert(connection: Connection, agent_id: str, document: dict[str, Any]) -> str:
    """A new rule, switched on; its id."""
    cursor = await connection.execute(
        "INSERT INTO update_rule (workspace_id, agent_id, is_on, document)"
        " VALUES (current_setting('app.workspace_id')::uuid, %s, true, %s) RETURNING id::text",
        (agent_id, json(document)),
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def change(
    connection: Connection, rule_id: str, *, document: dict[str, Any] | None = None, is_on: bool | None = None
) -> None:
    """Change what is given."""
    await connection.execute(
        "UPDATE update_rule SET document = coalesce(%s, document), is_on = coalesce(%s, is_on), updated_at = now() WHERE id = %s",
        (None if document is None else json(document), is_on, rule_id),
    )


async def delete(connection: Connection, rule_id: str) -> None:
    """Forget a rule; what it changed stays in the history."""
    await connection.execute("DELETE FROM update_rule WHERE id = %s", (rule_id,))


# Changes ------------------------------------------------------------------------------------------------------------------

_CHANGE = """
    SELECT u.id::text, u.agent_id::text, u.contact_id::text, u.rule_id::text, u.conversation_id::text, u.message_seq, u.rule,
        u.field, u.label, u.before, u.after, u.sentence, u.confidence, u.by_model, u.state, u.created_at, u.applied_at,
        u.applied_by, u.closed_at, u.closed_by, w.crm_state, w.crm_error,
        (SELECT k.inbox_id::text FROM update_check k WHERE k.id = u.check_id) AS turn_id,
        coalesce(nullif(k.name, ''), nullif(k.phone, ''), nullif(k.email, ''), '') AS contact, coalesce(m.name, '') AS member
    FROM update_change u JOIN contact k ON k.id = u.contact_id
    LEFT JOIN member m ON 'member:' || m.id = coalesce(nullif(u.closed_by, ''), u.applied_by)
    LEFT JOIN LATERAL (SELECT w.state AS crm_state, w.error AS crm_error FROM crm_write w WHERE w.change_id = u.id
        ORDER BY w.id DESC LIMIT 1) w ON true
"""


async def get_change(connection: Connection, change_id: str, *, for_update: bool = False) -> Row | None:
    """One change; `member`: who decided last, by name."""
    lock = " FOR UPDATE OF u" if for_update else ""
    return await (await connection.execute(_CHANGE + " WHERE u.id = %s" + lock, (change_id,))).fetchone()


async def changes(connection: Connection, wanted: dict[str, Any]) -> list[Row]:
    """Newest first. `wanted`: agent, contact, states (None: all but replaced), before (an id), limit."""
    return await (await connection.execute(_CHANGES, wanted)).fetchall()


_CHANGES = f"""
    {_CHANGE} WHERE (%(agent)s::uuid IS NULL OR u.agent_id = %(agent)s::uuid)
      AND (%(contact)s::uuid IS NULL OR u.contact_id = %(contact)s::uuid)
      AND (%(states)s::text[] IS NULL AND u.state <> 'replaced' OR u.state = ANY (%(states)s::text[]))
      AND (%(before)s::uuid IS NULL OR u.id < %(before)s::uuid)
    ORDER BY u.id DESC LIMIT %(limit)s
"""


async def add_change(connection: Connection, values: dict[str, Any]) -> str | None:
    """A change of a rule in a check, its id; None when that check has one of this rule already."""
    row = values | {"rule": json(values["rule"]), "before": json(values["before"]), "after": json(values["after"])}
    added = await (await connection.execute(_ADD_CHANGE, row)).fetchone()
    return None if added is None else str(added["id"])


_ADD_CHANGE = """
    INSERT INTO update_change (workspace_id, agent_id, contact_id, rule_id, check_id, conversation_id, message_seq, rule, field,
        label, before, after, sentence, confidence, by_model, state, applied_at, applied_by)
    VALUES (current_setting('app.workspace_id')::uuid, %(agent_id)s, %(contact_id)s, %(rule_id)s::text::uuid, %(check_id)s,
        %(conversation_id)s, %(message_seq)s, %(rule)s, %(field)s, %(label)s, %(before)s, %(after)s, %(sentence)s,
        %(confidence)s, %(by_model)s, %(state)s::text, CASE WHEN %(state)s = 'applied' THEN clock_timestamp() END,
        CASE WHEN %(state)s = 'applied' THEN 'rule:' || %(rule_id)s::text ELSE '' END)
    ON CONFLICT (rule_id, check_id) DO NOTHING RETURNING id
"""


async def apply_change(connection: Connection, change_id: str, actor: str, before: Any, after: Any) -> None:
    """A proposal was accepted; `before`: what stood there until now."""
    await connection.execute(
        "UPDATE update_change SET state = 'applied', before = %s, after = %s, applied_at = clock_timestamp(), applied_by = %s"
        " WHERE id = %s",
        (json(before), json(after), actor, change_id),
    )


async def close_change(connection: Connection, change_id: str, state: str, actor: str) -> None:
    """It was undone, or a proposal was rejected."""
    await connection.execute(
        "UPDATE update_change SET state = %s, closed_at = clock_timestamp(), closed_by = %s WHERE id = %s",
        (state, actor, change_id),
    )


async def waiting_proposals(connection: Connection, contact_id: str, rule_id: str, field: str) -> list[Row]:
    """What this rule has already proposed for the field: {id, after}."""
    cursor = await connection.execute(
        "SELECT id::text, after FROM update_change WHERE contact_id = %s AND rule_id = %s AND field = %s AND state = 'proposed'",
        (contact_id, rule_id, field),
    )
    return await cursor.fetchall()


async def replace_proposals(connection: Connection, contact_id: str, rule_id: str, field: str) -> None:
    """A newer proposal takes their place."""
    await connection.execute(
        "UPDATE update_change SET state = 'replaced', closed_at = clock_timestamp(), closed_by = 'rule:' || %(rule)s::text"
        " WHERE contact_id = %(contact)s AND rule_id = %(rule)s::text::uuid AND field = %(field)s AND state = 'proposed'",
        {"contact": contact_id, "rule": rule_id, "field": field},
    )


def json(value: Any) -> Jsonb | None:
    """As PostgreSQL can keep it; None is no value at all."""
    return None if value is None else Jsonb(value, dumps=dumps_json)
