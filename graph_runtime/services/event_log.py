"""The log of a subscription: which events went out and how, sending them again, and an event to try it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit
from graph_runtime.storage import event_subscriptions as rows
from graph_runtime.storage.database import Connection, Database, Row

TEST: Final = "test"
"""The type of an event that somebody sends by hand to try a subscription; it cannot be subscribed to."""
MOST_AT_ONCE: Final = 10_000
DeliveryState = Literal["pending", "sending", "sent", "failed", "held"]
STATES: Final[tuple[str, ...]] = get_args(DeliveryState)


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """An event and how it went. `key`: its `webhook-id`; `payload`: the body that is sent.

    Of the last attempt: `status` (None: no answer came), `ms` until the answer, `answer` (its first characters),
    `reason` and `error` (a code and a sentence) when it failed, `last_at`. `next_attempt_at` while it waits.
    """

    id: str
    subscription_id: str
    key: str
    type: str
    conversation_id: str | None
    state: DeliveryState
    attempts: int
    status: int | None
    ms: int | None
    answer: str
    reason: str
    error: str
    payload: dict[str, Any]
    created_at: datetime
    last_at: datetime | None
    sent_at: datetime | None
    next_attempt_at: datetime | None
    expires_at: datetime


class EventLog:
    """Read by whoever may see subscriptions, sent again by whoever may manage them."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def list(
        self,
        principal: Principal,
        subscription_id: str,
        *,
        state: str | None = None,
        type: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[EventDelivery]:
        """Newest first; `before` is the id of the last one of the page before.

        Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("event.read")
        if state and state not in STATES:
            raise InputInvalid(f"A state is one of {', '.join(STATES)}.", field="state")
        if before and not is_uuid(before):
            raise InputInvalid("“before” is the id of an event of the log.", field="before")
        filters = {
            "subscription": subscription_id, "state": state or None, "type": type or None, "before": before or None,
            "limit": min(max(limit, 1), 200),
        }  # fmt: skip
        async with self._database.workspace(principal.workspace_id) as connection:
            await _subscription(connection, subscription_id)
            return [EventDelivery(**row) for row in await rows.deliveries(connection, filters)]

    async def get(self, principal: Principal, subscription_id: str, delivery_id: str) -> EventDelivery:
        """Raises: AccessDenied, NotFound."""
        principal.require("event.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await _delivery(connection, subscription_id, delivery_id)

    async def replay(self, principal: Principal, subscription_id: str, delivery_id: str) -> EventDelivery:
        """Send an event again at once, under the id it had; one that was received is then received twice.

        Raises: AccessDenied, NotFound, Conflict while the subscription is off or the event is being sent or held.
        """
        principal.require("event.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            _require_on(await _subscription(connection, subscription_id))
            found = await _delivery(connection, subscription_id, delivery_id)
            if not await rows.send_again(connection, found.id):
                raise Conflict("This event is on its way or held. Wait until its attempt has ended.", reason="busy")
            await rows.wake(connection)
            await self._note(connection, principal, "event.replayed", subscription_id, delivery=found.id)
            return await _delivery(connection, subscription_id, delivery_id)

    async def replay_failed(self, principal: Principal, subscription_id: str, since: datetime) -> int:
        """Send everything that was given up since then again, oldest first; how many, at most 10 000.

        Raises: AccessDenied, NotFound, InputInvalid, Conflict while the subscription is off.
        """
        principal.require("event.manage")
        if since.tzinfo is None:
            raise InputInvalid("Say in which time zone this moment is: 2026-11-21T09:30:00Z.", field="since")
        async with self._database.workspace(principal.workspace_id) as connection:
            _require_on(await _subscription(connection, subscription_id))
            again = await rows.failed_again(connection, subscription_id, since, MOST_AT_ONCE)
            await rows.wake(connection)
            await self._note(connection, principal, "event.failed_replayed", subscription_id)
            return again

    async def send_test(self, principal: Principal, subscription_id: str) -> EventDelivery:
        """Send an event of the type "test" to this subscription alone.

        Raises: AccessDenied, NotFound, Conflict while the subscription is off.
        """
        principal.require("event.manage")
        async with self._database.workspace(principal.workspace_id) as connection:
            _require_on(await _subscription(connection, subscription_id))
            data = {"subscription_id": subscription_id, "text": "Patchcord can reach this address."}
            delivery_id = await rows.add_test(connection, subscription_id, TEST, data)
            await rows.wake(connection)
            return await _delivery(connection, subscription_id, delivery_id)

    async def _note(
        self, connection: Connection, principal: Principal, action: str, subscription_id: str, **ids: str
    ) -> None:
        named = {"event_subscription": subscription_id, **ids}
        await audit.append(connection, principal.actor, action, named, self._clock())


async def _subscription(connection: Connection, subscription_id: str) -> Row:
    row = await rows.get(connection, subscription_id) if is_uuid(subscription_id) else None
    if row is None:
        raise NotFound("There is no such subscription. It may have been deleted; reload the page.")
    return row


async def _delivery(connection: Connection, subscription_id: str, delivery_id: str) -> EventDelivery:
    known = is_uuid(subscription_id) and is_uuid(delivery_id)
    row = await rows.delivery(connection, subscription_id, delivery_id) if known else None
    if row is None:
        raise NotFound("There is no such event in this log. Old ones are deleted; reload the page.")
    return EventDelivery(**row)


def _require_on(subscription: Row) -> None:
    if not subscription["is_on"]:
        raise Conflict("This subscription is switched off. Switch it on first.", reason="subscription_off")
