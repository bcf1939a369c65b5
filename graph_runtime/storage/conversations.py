"""Reading conversations: messages, lists, one conversation with its turns, the version it is pinned to."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row

_HASTEN = """
    UPDATE timer t SET due_at = now(), payload = CASE WHEN %(happens)s
            THEN t.payload || jsonb_build_object('happened', jsonb_build_object('type', t.awaits)) ELSE t.payload END
    FROM conversation c
    WHERE c.id = t.conversation_id AND c.id = %(id)s AND c.is_test AND (t.awaits <> '' OR NOT %(happens)s) RETURNING pg_notify('patchcord_timers', '')
"""


class Workspaces(Protocol):
    """`Database.workspace`: one transaction that sees one workspace."""

    def workspace(self, workspace_id: str) -> AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]: ...


class ConversationReader:
    """Plain queries; the caller has authorised. Ids are text; an id that is no UUID finds nothing."""

    def __init__(self, database: Workspaces) -> None:
        self._database = database

    async def _rows(self, workspace_id: str, statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        async with self._database.workspace(workspace_id) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, values)
            return await cursor.fetchall()

    async def hasten(self, workspace_id: str, conversation_id: str, *, happens: bool = False) -> bool:
        """Let the time that a test conversation waits for be over now, or (`happens`) what would end the wait happen.

        False when it waits for neither.
        """
        return bool(await self._rows(workspace_id, _HASTEN, {"id": conversation_id, "happens": happens}))

    async def messages(
        self, workspace_id: str, conversation_id: str, *, after_seq: int = 0, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Messages after a seq, in order."""
        return await self._rows(workspace_id, _MESSAGES, {"id": conversation_id, "after": after_seq, "limit": limit})

    async def messages_of_turn(self, workspace_id: str, conversation_id: str, turn_id: str) -> list[dict[str, Any]]:
        """What the agent said in one turn."""
        return await self._rows(workspace_id, _OF_TURN, {"id": conversation_id, "turn": turn_id})

    async def head(self, workspace_id: str, conversation_id: str) -> dict[str, Any] | None:
        """One conversation without its messages."""
        rows = await self._rows(workspace_id, _HEAD, {"id": conversation_id})
        return rows[0] if rows else None

    async def inbox_state(self, workspace_id: str, inbox_id: str) -> str | None:
        """ "pending", "done", "dead"; None: no such trigger."""
        rows = await self._rows(workspace_id, _INBOX_STATE, {"id": inbox_id})
        return rows[0]["state"] if rows else None

    async def turns(self, workspace_id: str, conversation_id: str) -> list[dict[str, Any]]:
        """The turns of a conversation with the steps each went through."""
        return await self._rows(workspace_id, _TURNS, {"id": conversation_id})

    async def files(self, workspace_id: str, conversation_id: str) -> list[dict[str, Any]]:
        """Its files: id, mime, size in bytes, state ("here", "coming" from a vendor, or "failed" with an error's code)."""
        return await self._rows(workspace_id, _FILES, {"id": conversation_id})

    async def current(self, workspace_id: str, source_id: str, external_user_id: str) -> str | None:
        """The contact's newest conversation at a place that is not over."""
        rows = await self._rows(workspace_id, _CURRENT, {"source": source_id, "external": external_user_id})
        return rows[0]["id"] if rows else None

    async def owner_of(self, workspace_id: str, conversation_id: str, external_user_id: str, source_id: str) -> bool:
        """Whether the conversation is that contact's at that place."""
        values = {"id": conversation_id, "source": source_id, "external": external_user_id}
        return bool(await self._rows(workspace_id, _OWNER, values))

    async def listed(self, workspace_id: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
        """Newest first. `filters`: agent, status, search, is_test, before_at, before_id, limit; None does not filter."""
        return await self._rows(workspace_id, _LIST, filters)

    async def version(self, workspace_id: str, version_id: str) -> dict[str, Any] | None:
        """A pinned version: document, bundle and number."""
        rows = await self._rows(workspace_id, _VERSION, {"id": version_id})
        return rows[0] if rows else None

    async def channel_of(self, workspace_id: str, agent_id: str, connector: str) -> str | None:
        """The agent's channel of a kind, if it has one."""
        rows = await self._rows(workspace_id, _CHANNEL, {"agent": agent_id, "kind": connector})
        return rows[0]["id"] if rows else None


_MESSAGES = """
    SELECT seq, role, key, parts, text, node_id, turn_id::text, created_at, client_id, flags FROM message
    WHERE conversation_id = %(id)s AND seq > %(after)s ORDER BY seq LIMIT %(limit)s
"""
_OF_TURN = """
    SELECT seq, role, key, parts, text, node_id, turn_id::text, created_at, client_id, flags FROM message
    WHERE conversation_id = %(id)s AND turn_id = coalesce((SELECT merged_into FROM inbox WHERE id = %(turn)s), %(turn)s) AND role <> 'contact' ORDER BY seq
"""
# A message that was folded into an earlier one is answered with that.
_INBOX_STATE = "SELECT coalesce(f.state, i.state) AS state FROM inbox i LEFT JOIN inbox f ON f.id = i.merged_into WHERE i.id = %(id)s"
_CHANNEL = "SELECT id::text FROM channel WHERE agent_id = %(agent)s AND connector = %(kind)s ORDER BY id LIMIT 1"
_COLUMNS = """
    c.id::text, c.agent_id::text, c.channel_id::text, c.channel_kind, c.contact_id::text, c.version_id::text, c.is_test,
    c.status, c.waits, c.node_id, c.language, c.result, c.goal_value, c.tags, c.message_seq, c.turn_seq, c.preview,
    c.created_at, c.updated_at, c.ended_at, c.pending_since IS NOT NULL AS is_running, k.fields AS contact, a.name AS agent_name
"""
_FROM = "FROM conversation c JOIN contact k ON k.id = c.contact_id JOIN agent a ON a.id = c.agent_id"
_HEAD = f"SELECT {_COLUMNS} {_FROM} WHERE c.id = %(id)s"  # constants of this module
_TURNS = """
    SELECT seq, inbox_id::text AS turn_id, trigger, started_at, ended_at, ms, attempts, error, steps
    FROM turn WHERE conversation_id = %(id)s ORDER BY seq
"""
_FILES = """
    SELECT id::text, mime, size, 'here' AS state, '' AS error FROM file WHERE conversation_id = %(id)s
    UNION ALL
    SELECT id::text, about ->> 'mime', coalesce((about ->> 'size')::bigint, 0),
           CASE state WHEN 'failed' THEN 'failed' ELSE 'coming' END, error
    FROM file_fetch WHERE conversation_id = %(id)s
"""
_CURRENT = """
    SELECT c.id::text FROM contact_identity x JOIN conversation c ON c.contact_id = x.contact_id
    WHERE x.source_id = %(source)s AND x.external_user_id = %(external)s AND c.status <> 'ended'
      AND coalesce(c.channel_id, c.agent_id) = x.source_id
    ORDER BY c.id DESC LIMIT 1
"""
_OWNER = """
    SELECT 1 FROM conversation c JOIN contact_identity x ON x.contact_id = c.contact_id
    WHERE c.id = %(id)s AND x.source_id = %(source)s AND x.external_user_id = %(external)s
      AND coalesce(c.channel_id, c.agent_id) = x.source_id
"""
_LIST = f"""
    SELECT {_COLUMNS} {_FROM}
    WHERE (%(agent)s::uuid IS NULL OR c.agent_id = %(agent)s)
      AND (%(status)s::text IS NULL OR c.status = %(status)s)
      AND c.is_test = %(is_test)s
      AND (%(search)s::text IS NULL OR c.preview ILIKE %(search)s OR k.fields::text ILIKE %(search)s
           OR EXISTS (SELECT 1 FROM message m WHERE m.conversation_id = c.id AND m.text ILIKE %(search)s))
      AND (%(before_at)s::timestamptz IS NULL OR (c.updated_at, c.id) < (%(before_at)s, %(before_id)s::uuid))
    ORDER BY c.updated_at DESC, c.id DESC LIMIT %(limit)s
"""  # noqa: S608  # constants of this module  # constants of this module
_VERSION = """
    SELECT v.document, v.bundle, v.number FROM version v WHERE v.id = %(id)s
"""
