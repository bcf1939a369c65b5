"""Events on their way to subscriptions: claiming them, how attempts ended, taking back what dead processes left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row, scalar_row

from graph_runtime.storage.news import Direct


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """An event that this process is sending now. `at`: when the claim was made; `attempt` counts from 1."""

    id: UUID
    workspace_id: UUID
    subscription_id: UUID
    subscription_revision: int
    event_id: UUID
    type: str
    payload: dict[str, Any]
    attempt: int
    claim_epoch: int
    at: datetime

    @property
    def key(self) -> str:
        """`webhook-id`: the same in every attempt, and for every subscription."""
        return f"evt_{self.event_id}"


@dataclass(frozen=True, slots=True)
class EventEnded:
    """How an attempt ended. `again`: seconds until the next one; `pause`: seconds for the whole subscription.

    `answer`: the beginning of the body; `reason` and `error`: a code and a sentence that is safe to show.
    """

    outcome: Literal["sent", "retry", "gone", "deferred"]
    status: int | None = None
    ms: int | None = None
    answer: str = ""
    reason: str = ""
    error: str = ""
    again: float = 0.0
    pause: float = 0.0


class EventStore:
    """`owner`: this process's number; claims die with the process that holds it locked."""

    def __init__(self, database: Direct, owner: int) -> None:
        self._database = database
        self._owner = owner

    async def claim(self, limit: int, each: int, leave_alone: list[str]) -> list[ClaimedEvent]:
        """Due events, now marked as being sent: of a conversation the first that is not finished.

        At most `each` of one subscription, and none of those to `leave_alone`.
        """
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=class_row(ClaimedEvent), binary=True)
            await cursor.execute(_CLAIM, (self._owner, limit, each, leave_alone))
            return await cursor.fetchall()

    async def finish(self, claimed: ClaimedEvent, ended: EventEnded, *, off_after_days: float) -> str:
        """Note how an attempt ended: "" when the claim was lost, "off" when that switched the subscription off."""
        values = (
            claimed.workspace_id, claimed.id, claimed.claim_epoch, ended.outcome, ended.status, ended.ms, ended.answer,
            ended.reason, ended.error[:500], ended.again, ended.pause, off_after_days,
        )  # fmt: skip
        return str(await self._value(_FINISH, *values))

    async def recover(self, *, seconds: int, limit: int = 200) -> int:
        """Take back what dead and frozen processes were sending; how many."""
        return int(await self._value(_RECOVER, self._owner, seconds, limit))

    async def expire(self, limit: int = 1000) -> int:
        """Give up what is too late; how many."""
        return int(await self._value("SELECT expire_events(%s::integer)", limit))

    async def _value(self, statement: str, *values: Any) -> Any:
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(statement, values)
            return await cursor.fetchone()


_CLAIM = "SELECT * FROM claim_events(%s::bigint, %s::integer, %s::integer, %s::uuid[])"
_FINISH = (
    "SELECT finish_event(%s::uuid, %s::uuid, %s::integer, %s::text, %s::integer, %s::integer, %s::text, %s::text, "
    "%s::text, %s::float8, %s::float8, %s::float8)"
)
_RECOVER = "SELECT recover_events(%s::bigint, %s::integer, %s::integer)"
