"""How channels hear of events at their vendors: who asks, how far they came, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row, scalar_row

from graph_runtime.contract.errors import Conflict
from graph_runtime.storage.database import Connection, Row
from graph_runtime.storage.news import Direct

LEASE_SECONDS: Final = 60
LINKS_CHANNEL: Final = "patchcord_links"


@dataclass(frozen=True, slots=True)
class ClaimedLink:
    """A link that this process looks after now. `mode`: "webhook" (tell the vendor our address) or "polling"."""

    channel_id: UUID
    workspace_id: UUID
    connector: str
    revision: int
    public_id: str
    mode: str
    told: str
    cursor: str
    epoch: int
    failures: int

    @property
    def id(self) -> UUID:
        """A link is its channel's."""
        return self.channel_id


class LinkStore:
    """`owner`: this process's number; leases die with the process that holds it locked."""

    def __init__(self, database: Direct, owner: int) -> None:
        self._database = database
        self._owner = owner

    async def claim(self, address: str, limit: int, seconds: int = LEASE_SECONDS) -> list[ClaimedLink]:
        """Links that need somebody. `address`: where our webhooks are, "" when vendors cannot reach us."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(ClaimedLink), binary=True)
            await cursor.execute(_CLAIM, (self._owner, address, seconds, limit))
            return await cursor.fetchall()

    async def renew(self, link: ClaimedLink, *, is_ok: bool, seconds: int = LEASE_SECONDS) -> bool:
        """Hold on; False when it is another's now, or was changed or switched off."""
        values = (link.workspace_id, link.channel_id, self._owner, link.epoch, link.revision, seconds, is_ok)
        return bool(await self._value(_RENEW, *values))

    async def release(
        self, link: ClaimedLink, *, told: str | None = None, code: str = "", error: str = "", again: float = 0.0
    ) -> bool:
        """Let go, saying what is wrong and when to try again."""
        values = (link.workspace_id, link.channel_id, self._owner, link.epoch, told, code, error[:500], again)
        return bool(await self._value(_RELEASE, *values))

    async def move(self, link: ClaimedLink, cursor: str) -> bool:
        """Everything up to the cursor is stored; False when the lease is another's."""
        return bool(await self._value(MOVE, link.workspace_id, link.channel_id, link.epoch, cursor))

    async def _value(self, statement: str, *values: object) -> object:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(statement, values)
            return await cursor.fetchone()


async def insert(connection: Connection, channel_id: str, connector: str, account: dict[str, str]) -> None:
    """A new link; `account` has id, name and link. Raises: Conflict when the account serves another channel."""
    try:
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO channel_link (channel_id, workspace_id, connector, account, name, link)"
                " VALUES (%s, current_setting('app.workspace_id')::uuid, %s, %s, %s, %s)"
                " ON CONFLICT (channel_id) DO UPDATE SET account = excluded.account, name = excluded.name,"
                " link = excluded.link, next_try_at = now(), told = '', cursor = CASE WHEN channel_link.account ="
                " excluded.account THEN channel_link.cursor ELSE '' END, error_code = '', error = '', error_at = NULL",
                (channel_id, connector, account["id"], account["name"][:200], account["link"][:500]),
            )
    except psycopg.errors.UniqueViolation:
        raise Conflict(
            f"{account['name']} is connected to an agent already. Disconnect it there first.", reason="account_taken"
        ) from None


async def wake(connection: Connection) -> None:
    """Somebody should look at the links, once this transaction is committed."""
    await connection.execute("SELECT pg_notify(%s, '')", (LINKS_CHANNEL,))


async def retry_now(connection: Connection, channel_id: str) -> None:
    """Try again at once, whatever was wrong."""
    await connection.execute(
        "UPDATE channel_link SET next_try_at = now(), told = CASE WHEN error_code = '' THEN told ELSE '' END"
        " WHERE channel_id = %s",
        (channel_id,),
    )


async def note_event(connection: Connection, channel_id: str) -> None:
    """The vendor posted something just now."""
    await connection.execute(
        "UPDATE channel_link SET last_event_at = clock_timestamp() WHERE channel_id = %s", (channel_id,)
    )


async def note_error(connection: Connection, channel_id: str, code: str, error: str) -> None:
    """Something is wrong with the account itself."""
    await connection.execute(
        "UPDATE channel_link SET error_code = %s, error = %s, error_at = clock_timestamp() WHERE channel_id = %s",
        (code, error[:500], channel_id),
    )


async def of_agent(connection: Connection, agent_id: str) -> list[Row]:
    """The links of an agent's channels."""
    cursor = await connection.execute(
        "SELECT l.channel_id::text, l.name, l.link, l.mode, l.last_event_at, l.last_ok_at, l.error_code, l.error, l.error_at,"
        " l.owner IS NOT NULL OR l.told <> '' AS is_connected"
        " FROM channel_link l JOIN channel c ON c.id = l.channel_id WHERE c.agent_id = %s ORDER BY l.created_at",
        (agent_id,),
    )
    return await cursor.fetchall()


async def set_reachable(connection: Connection, channel_id: str, external_user_id: str, *, is_reachable: bool) -> None:
    """Note that a contact blocked us or wants to hear from us again."""
    await connection.execute(
        "UPDATE contact_identity SET unreachable_since = CASE WHEN %s THEN NULL"
        " ELSE coalesce(unreachable_since, clock_timestamp()) END"
        " WHERE source_id = %s AND external_user_id = %s AND (unreachable_since IS NULL) <> %s",
        (is_reachable, channel_id, external_user_id, is_reachable),
    )


async def move_recipient(connection: Connection, workspace_id: str, channel_id: str, old: str, new: str) -> None:
    """A recipient has another address now."""
    await connection.execute(
        "SELECT move_recipient(%s::uuid, %s::uuid, %s::text, %s::text)", (workspace_id, channel_id, old, new)
    )


async def pressed(connection: Connection, channel_id: str, who: str, conversation_id: str, seq: int) -> Row | None:
    """The message with the button that a contact pressed, when it is theirs; `is_current`: its question still stands."""
    cursor = await connection.execute(_PRESSED, {"channel": channel_id, "who": who, "id": conversation_id, "seq": seq})
    return await cursor.fetchone()


_CLAIM = "SELECT * FROM claim_links(%s::bigint, %s::text, %s::integer, %s::integer)"
_RENEW = "SELECT renew_link(%s::uuid, %s::uuid, %s::bigint, %s::integer, %s::integer, %s::integer, %s::boolean)"
_RELEASE = "SELECT release_link(%s::uuid, %s::uuid, %s::bigint, %s::integer, %s::text, %s::text, %s::text, %s::float8)"
MOVE = "SELECT move_cursor(%s::uuid, %s::uuid, %s::integer, %s::text)"
_PRESSED = """
    SELECT m.parts, c.status <> 'ended' AND NOT EXISTS (
        SELECT FROM message n WHERE n.conversation_id = c.id AND n.seq > m.seq AND n.role = 'agent'
          AND n.parts @> '[{"kind": "choices"}]' AND n.node_id <> m.node_id) AS is_current
    FROM conversation c
    JOIN contact_identity x ON x.contact_id = c.contact_id AND x.source_id = c.channel_id AND x.external_user_id = %(who)s
    JOIN message m ON m.conversation_id = c.id AND m.seq = %(seq)s AND m.role = 'agent'
    WHERE c.id = %(id)s AND c.channel_id = %(channel)s
"""
