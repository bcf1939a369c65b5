"""Calls of a workspace as a list, and its phone lines with what happens on them now."""

from __future__ import annotations

from typing import Any

from graph_runtime.storage.database import Database, Row


class CallLogRows:
    """Read only; the caller has authorised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, workspace_id: str, filters: dict[str, Any]) -> list[Row]:
        """Newest first. `agent`, `line`, `kind`, `number` (a pattern) and `before_at` with `before_id` may be None."""
        async with self._database.workspace(workspace_id) as connection:
            return await (await connection.execute(_LISTED, filters)).fetchall()

    async def lines(self, workspace_id: str, connectors: list[str]) -> list[Row]:
        """Every phone line, by agent and age; `live`: calls on it now, `today`: those that began in 24 hours."""
        async with self._database.workspace(workspace_id) as connection:
            return await (await connection.execute(_LINES, {"connectors": connectors})).fetchall()


_LISTED = """
    SELECT p.id, p.agent_id, a.name AS agent_name, p.channel_id, coalesce(c.label, '') AS line_label, p.conversation_id,
           p.direction, p.from_number, p.did, p.state, p.result, p.moves, p.transfer_to, p.transfer_result, p.cause,
           p.started_at, p.answered_at, p.ended_at, p.started_at AS updated_at,
           (SELECT coalesce(sum(r.samples), 0)::bigint FROM call_recording_part r WHERE r.recording_id = p.id) AS recorded
    FROM phone_call p JOIN agent a ON a.id = p.agent_id LEFT JOIN channel c ON c.id = p.channel_id
    WHERE p.member_id IS NULL AND (%(agent)s::uuid IS NULL OR p.agent_id = %(agent)s)
      AND (%(line)s::uuid IS NULL OR p.channel_id = %(line)s)
      AND (%(number)s::text IS NULL OR regexp_replace(p.from_number || ' ' || p.did, '[^0-9 ]', '', 'g') LIKE %(number)s)
      AND CASE %(kind)s::text WHEN 'in' THEN p.direction = 'in' WHEN 'out' THEN p.direction = 'out'
          WHEN 'live' THEN p.state <> 'ended' WHEN 'missed' THEN p.state = 'ended' AND p.answered_at IS NULL
          WHEN 'recorded' THEN EXISTS (SELECT 1 FROM call_recording r WHERE r.id = p.id) ELSE true END
      AND (%(before_at)s::timestamptz IS NULL OR (p.started_at, p.id) < (%(before_at)s, %(before_id)s::uuid))
    ORDER BY p.started_at DESC, p.id DESC LIMIT %(limit)s
"""
_LINES = """
    SELECT c.id, c.agent_id, a.name AS agent_name, c.label, c.is_on, c.connector, c.created_at,
           count(p.id) FILTER (WHERE p.state <> 'ended')::int AS live,
           count(p.id) FILTER (WHERE p.started_at > now() - interval '24 hours')::int AS today,
           (SELECT array_agg(DISTINCT n.did ORDER BY n.did) FROM (
                SELECT did FROM phone_call WHERE channel_id = c.id AND direction = 'in' AND did <> ''
                ORDER BY started_at DESC LIMIT 200) n) AS numbers
    FROM channel c JOIN agent a ON a.id = c.agent_id
    LEFT JOIN phone_call p ON p.channel_id = c.id AND (p.state <> 'ended' OR p.started_at > now() - interval '24 hours')
    WHERE c.connector = ANY (%(connectors)s) GROUP BY c.id, a.name ORDER BY a.name, c.id
"""
