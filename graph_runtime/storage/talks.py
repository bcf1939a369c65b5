"""Rows of talks: calls without a line, which a member of the workspace holds to try an agent."""

from __future__ import annotations

from typing import Final

from graph_runtime.storage.database import Database, Row

TICKET_SECONDS: Final = 60


class TalkRows:
    """Each method is one transaction; the caller has authorised. A talk is a row of `phone_call` with a member."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, workspace_id: str, values: Row) -> bool:
        """A talk: id, agent_id, conversation_id, member_id, ticket (its hash), most, seconds (the longest). False: the
        workspace has as many as it may have. The member's talk before it is over."""
        async with self._database.workspace(workspace_id) as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('talks:' || current_setting('app.workspace_id'), 0))"
            )
            await connection.execute(_FORGET, values)
            cursor = await connection.execute(_BEGIN, values | {"ticket_seconds": TICKET_SECONDS})
            return await cursor.fetchone() is not None

    async def admit(self, workspace_id: str, member_id: str, ticket: str) -> Row | None:
        """The talk of this ticket, once; None when it was used, is too old or somebody else's."""
        return await self._row(workspace_id, _ADMIT, {"member": member_id, "ticket": ticket})

    async def get(self, workspace_id: str, member_id: str, talk_id: str) -> Row | None:
        """One talk of a member."""
        found = "SELECT * FROM phone_call WHERE id = %(id)s AND member_id = %(member)s"
        return await self._row(workspace_id, found, {"id": talk_id, "member": member_id})

    async def end_of(self, workspace_id: str, conversation_id: str) -> None:
        """The talks of a conversation are over."""
        await self._row(workspace_id, _END_OF, {"conversation": conversation_id})

    async def _row(self, workspace_id: str, statement: str, values: Row) -> Row | None:
        async with self._database.workspace(workspace_id) as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchone()


_FORGET = """
    UPDATE phone_call SET state = 'ended', ended_at = now()
    WHERE member_id IS NOT NULL AND state <> 'ended' AND (
        member_id = %(member_id)s OR state = 'dialing' AND dial_until < now()
        OR started_at < now() - make_interval(secs => %(seconds)s))
"""
_BEGIN = """
    INSERT INTO phone_call (id, workspace_id, agent_id, conversation_id, member_id, state, request_key, dial_until)
    SELECT %(id)s, current_setting('app.workspace_id')::uuid, %(agent_id)s, %(conversation_id)s, %(member_id)s, 'dialing',
           %(ticket)s, now() + make_interval(secs => %(ticket_seconds)s)
    WHERE (SELECT count(*) FROM phone_call WHERE member_id IS NOT NULL AND state <> 'ended') < %(most)s RETURNING id
"""
_ADMIT = """
    UPDATE phone_call SET state = 'announced', dial_until = NULL
    WHERE request_key = %(ticket)s AND member_id = %(member)s AND state = 'dialing' AND dial_until >= now() RETURNING *
"""
_END_OF = """
    UPDATE phone_call SET state = 'ended', ended_at = coalesce(ended_at, now())
    WHERE conversation_id = %(conversation)s AND member_id IS NOT NULL AND state <> 'ended' RETURNING id
"""
