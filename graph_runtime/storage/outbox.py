"""What is still to be sent: which channels push, claiming messages, how attempts ended, and waking the senders."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from psycopg.rows import class_row, dict_row, scalar_row, tuple_row

from graph_runtime.contract.channel_links import OutboundFile
from graph_runtime.storage import channel_links, files
from graph_runtime.storage.database import Database
from graph_runtime.storage.news import GATHER_SECONDS, Direct

log = structlog.get_logger(__name__)
PULLING_CHANNELS = frozenset({"web_chat", "api", "test", "phone"})
"""These read the `message` table; a message to any other kind of channel is also an outbox row of the same commit."""
OUTBOX_CHANNEL: Final = "patchcord_outbox"
QUEUES: Final = ("chat", "bulk")
SEND_LEASE_SECONDS: Final = 60
"""After this a message being sent may be taken over though its process lives: it must be frozen."""

Queue = Literal["chat", "bulk"]
Outcome = Literal["sent", "part", "retry", "unknown", "failed", "deferred"]


def recipient(channel_kind: str, external_user_id: str | None) -> str | None:
    """To whom the outbox sends; None when the channel pulls."""
    return None if channel_kind in PULLING_CHANNELS else external_user_id


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this process is sending now. `ordinal`: seq in the transcript; `at`: when the claim was made.

    `unknown_since`: begin of an earlier attempt that may have arrived. `done_parts`: requests answered before.
    """

    id: UUID
    workspace_id: UUID
    conversation_id: UUID
    channel_id: UUID
    connector: str
    channel_revision: int
    recipient: str
    ordinal: int
    parts: list[dict[str, Any]]
    vendor_key: str
    attempt: int
    claim_epoch: int
    at: datetime
    first_send_at: datetime
    unknown_since: datetime | None
    possibly_duplicate: bool
    done_parts: int
    at_most_once: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended. `again`: seconds until the next one; `pause`: seconds for the whole channel.

    `reason` and `error` go into the dead letter: a code, and a sentence that is safe to show.
    """

    outcome: Outcome
    vendor_id: str = ""
    possibly_duplicate: bool = False
    reason: str = ""
    error: str = ""
    again: float = 0.0
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Age of the message that waits longest, and how many dead letters wait for somebody."""

    oldest_seconds: float
    open_letters: int


class OutboxStore:
    """`owner`: this process's number; claims die with the process that holds it locked."""

    def __init__(self, database: Database, owner: int) -> None:
        self._database = database
        self._owner = owner

    async def claim(self, queue: Queue, limit: int, each: int, leave_alone: list[str]) -> list[Claimed]:
        """Due messages, now marked as being sent: the first unfinished one of each recipient, or none of theirs.

        At most `each` of one channel, and none of the channels to `leave_alone`.
        """
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(Claimed), binary=True)
            await cursor.execute(_CLAIM, (self._owner, queue, limit, each, leave_alone))
            return await cursor.fetchall()

    async def finish(self, claimed: Claimed, ended: Ended) -> bool:
        """Note how an attempt ended; False when the claim was lost, and then only a pause is noted."""
        values = (
            claimed.workspace_id, claimed.id, claimed.claim_epoch, ended.outcome, ended.vendor_id, ended.possibly_duplicate,
            ended.reason, ended.error[:500], ended.again, ended.pause,
        )  # fmt: skip
        return bool(await self._value(_FINISH, *values))

    async def recover(self, *, seconds: int = SEND_LEASE_SECONDS, limit: int = 200) -> int:
        """Take back what dead and frozen processes were sending; how many."""
        return int(await self._value(_RECOVER, self._owner, seconds, limit))

    async def expire(self, limit: int = 200) -> list[tuple[str, str]]:
        """Give up what is too late; (workspace, conversation) of each."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT * FROM expire_deliveries(%s)", (limit,))
            return [(str(workspace), str(conversation)) for workspace, conversation in await cursor.fetchall()]

    async def confirm(self, workspace_id: str, channel_id: str, key: str, vendor_id: str) -> bool:
        """The vendor says that a message arrived; True when that was not known."""
        return bool(await self._value(_CONFIRM, workspace_id, channel_id, key, vendor_id))

    async def files(self, workspace_id: str, file_ids: list[str]) -> dict[str, OutboundFile]:
        """The stored files of a message that still exist."""
        found: dict[str, OutboundFile] = {}
        for file_id in file_ids:
            async with self._database.workspace(workspace_id) as connection:
                about = await files.about(connection, file_id)
                where = await files.content(connection, file_id)
            content = await self._database.files.read(where)
            if about is not None and content is not None:
                found[file_id] = OutboundFile(about["name"], about["mime"], content)
        return found

    async def move_recipient(self, workspace_id: str, channel_id: str, old: str, new: str) -> None:
        """The recipient has another address now."""
        async with self._database.workspace(workspace_id) as connection:
            await channel_links.move_recipient(connection, workspace_id, channel_id, old, new)

    async def note_unreachable(self, workspace_id: str, channel_id: str, recipient: str) -> None:
        """The contact does not want to hear from us."""
        async with self._database.workspace(workspace_id) as connection:
            await channel_links.set_reachable(connection, channel_id, recipient, is_reachable=False)

    async def note_account_error(self, workspace_id: str, channel_id: str, code: str, error: str) -> None:
        """The vendor does not know the account any more."""
        async with self._database.workspace(workspace_id) as connection:
            await channel_links.note_error(connection, channel_id, code, error)

    async def figures(self) -> Figures:
        """For the metrics."""
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute("SELECT * FROM delivery_figures()")
            row = await cursor.fetchone() or {"oldest_seconds": 0.0, "open_letters": 0}
            return Figures(**row)

    async def _value(self, statement: str, *values: Any) -> Any:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(statement, values)
            return await cursor.fetchone()


class OutboxNews:
    """Wakes the senders after a commit, once for many commits: PostgreSQL lets one notifier commit at a time.

    A wake-up that is lost costs two seconds: senders also look by themselves.
    """

    def __init__(self, database: Direct) -> None:
        self._database = database
        self._has_news = False
        self._telling: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """There is something to send."""
        self._has_news = True
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="outbox news")

    async def close(self) -> None:
        """Tell what is left."""
        if self._telling is not None:
            await self._telling

    async def _tell(self) -> None:
        try:
            while self._has_news:
                await asyncio.sleep(GATHER_SECONDS)
                self._has_news = False
                async with self._database.direct() as connection:
                    await connection.execute("SELECT pg_notify(%s, '')", (OUTBOX_CHANNEL,))
        except Exception:
            log.exception("outbox_news_lost")
        finally:
            self._telling = None


_CLAIM = "SELECT * FROM claim_deliveries(%s::bigint, %s::text, %s::integer, %s::integer, %s::uuid[])"
_FINISH = (
    "SELECT finish_delivery(%s::uuid, %s::uuid, %s::integer, %s::text, %s::text, %s::boolean, %s::text, %s::text, "
    "%s::float8, %s::float8)"
)
_RECOVER = "SELECT recover_deliveries(%s::bigint, %s::integer, %s::integer)"
_CONFIRM = "SELECT confirm_delivery(%s::uuid, %s::uuid, %s::text, %s::text)"
