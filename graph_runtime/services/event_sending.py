"""Event sending: one signed attempt to bring one claimed event to its subscription, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from graph_runtime.contract import signatures
from graph_runtime.contract.channels import HttpAnswer, retry_after
from graph_runtime.contract.errors import BuilderError, OutcomeUnknown
from graph_runtime.engine.breaker import Breakers
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.open_subscriptions import OpenSubscription, OpenSubscriptions
from graph_runtime.services.send_rules import Jitter
from graph_runtime.storage.event_outbox import ClaimedEvent, EventEnded, EventStore
from graph_runtime.telemetry.metrics import EVENTS_SENT

log = structlog.get_logger(__name__)
BACK_OFF: Final = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0)
ANSWER_SECONDS: Final = 15.0
LONGEST_SEND_SECONDS: Final = 20.0
LEASE_SECONDS: Final = 60
PER_SUBSCRIPTION: Final = 8
OFF_AFTER_DAYS: Final = 5.0
KEPT_OF_ANSWER: Final = 1000


@dataclass(frozen=True, slots=True)
class EventRules:
    """What tests replace: the jitter of the retry clock, the lease, the patience, how long an answer may take."""

    jitter: Jitter = random.uniform
    lease_seconds: int = LEASE_SECONDS
    off_after_days: float = OFF_AFTER_DAYS
    answer_seconds: float = ANSWER_SECONDS


@dataclass(frozen=True, slots=True)
class EventTicket:
    """A claimed event, and when its claim was asked for (monotonic): a process that was frozen since may not send."""

    claimed: ClaimedEvent
    began: float


def back_off(attempt: int, jitter: Jitter = random.uniform) -> float:
    """Seconds until the next attempt: the upper half of the step is random. `attempt` counts from 1."""
    longest = BACK_OFF[min(max(attempt, 1), len(BACK_OFF)) - 1]
    return jitter(longest / 2, longest)


def body_of(claimed: ClaimedEvent) -> str:
    """The same bytes in every attempt."""
    return json.dumps(claimed.payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def judge(claimed: ClaimedEvent, answer: HttpAnswer, at: datetime, jitter: Jitter = random.uniform) -> EventEnded:
    """What an answer means: 2xx received, 410 nobody wants events here any more, everything else: again later."""
    status = answer.status
    if 200 <= status < 300:
        return EventEnded("sent", status)
    if status == 410:
        return EventEnded("gone", status, reason="gone", error="The receiver answered 410: it wants no more events.")
    again = back_off(claimed.attempt, jitter)
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        asked = retry_after(answer, at)
        pause = max(1.0, again if asked is None else asked)
        error = "The receiver asks for a pause."
        return EventEnded("retry", status, reason="rate_limited", error=error, again=pause, pause=pause)
    if 300 <= status < 400:
        error = "The receiver answered with a redirect, which is not followed. Subscribe the address it leads to."
        return EventEnded("retry", status, reason="redirect", error=error, again=again)
    error = f"The receiver answered with status {status}. Check its own log."
    return EventEnded("retry", status, reason="rejected" if status < 500 else "server_error", error=error, again=again)


class EventSending:
    """One for a process. `on_again(seconds)`: something is due again after so long."""

    def __init__(
        self,
        store: EventStore,
        subscriptions: OpenSubscriptions,
        *,
        doors: ChannelDoors | None = None,
        rules: EventRules | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._doors = doors or ChannelDoors()
        self._rules = rules or EventRules()
        self._breakers = Breakers(clock)
        self._clock = clock
        self._held_until: dict[str, float] = {}
        self._on_their_way: Counter[str] = Counter()
        self.on_again: Callable[[float], None] = lambda _: None

    async def close(self) -> None:
        """Close idle connections."""
        await self._doors.close()

    async def claim(self, queue: str, limit: int) -> list[EventTicket]:
        """Events that are due, now marked as being sent by this process; each must go to `deliver`. One queue only."""
        now = self._clock()
        self._held_until = {key: until for key, until in self._held_until.items() if until > now}
        full = [key for key, count in self._on_their_way.items() if count >= PER_SUBSCRIPTION]
        began = self._clock()
        claimed = await self._store.claim(limit, PER_SUBSCRIPTION, [*self._held_until, *full])
        self._on_their_way.update(str(c.subscription_id) for c in claimed)
        return [EventTicket(c, began) for c in claimed]

    async def look_after(self) -> int:
        """Take back what dead processes were sending, and give up what is too late; how many."""
        recovered = await self._store.recover(seconds=self._rules.lease_seconds)
        return recovered + await self._store.expire()

    def shares(self, senders: int) -> None:
        """Nothing is divided among senders: a subscription's own pace is what it answers with."""

    async def deliver(self, ticket: EventTicket) -> None:
        """One attempt. Never raises for a failing one; a lost claim is noted nowhere but in the log."""
        claimed, key = ticket.claimed, str(ticket.claimed.subscription_id)
        try:
            ended = await self._attempt(claimed, ticket.began)
            if ended is None:
                return
            if ended.pause > 0:
                self._hold(key, ended.pause)
            noted = await self._store.finish(claimed, ended, off_after_days=self._rules.off_after_days)
            if not noted:
                log.warning("event_claim_lost", delivery_id=str(claimed.id), outcome=ended.outcome)
                return
            if ended.outcome != "deferred":
                EVENTS_SENT.labels(ended.outcome).inc()
            if noted == "off":
                log.warning("event_subscription_off", subscription_id=key, reason=ended.reason)
            if ended.outcome in ("retry", "deferred"):
                self.on_again(ended.again)
        finally:
            self._on_their_way[key] -= 1
            if not self._on_their_way[key]:
                del self._on_their_way[key]

    async def _attempt(self, claimed: ClaimedEvent, began: float) -> EventEnded | None:
        workspace_id, key = str(claimed.workspace_id), str(claimed.subscription_id)
        try:
            subscription = await self._subscriptions.get(workspace_id, key, claimed.subscription_revision)
            headers = signatures.signed_headers(
                subscription.secrets(), claimed.key, claimed.at, body_of(claimed).encode()
            )
        except BuilderError as error:
            # Nothing can be signed with a secret that cannot be opened; somebody may repair it before the event expires.
            return EventEnded(
                "retry", reason=error.code, error=error.message, again=back_off(claimed.attempt, self._rules.jitter)
            )
        breaker = ("events", key)
        if not self._breakers.admits(breaker):
            return EventEnded("deferred", again=self._breakers.seconds_left(breaker) or 1.0)
        if self._clock() - began > self._rules.lease_seconds / 2:
            # This process was frozen since the claim; another one may be sending by now.
            self._breakers.released(breaker)
            return None
        sent = time.monotonic()
        try:
            ended = await self._send(claimed, subscription, headers)
        except asyncio.CancelledError:
            self._breakers.released(breaker)
            raise
        if ended.outcome == "sent":
            self._breakers.succeeded(breaker)
        elif ended.outcome == "gone" or ended.pause > 0:
            self._breakers.released(breaker)
        else:
            self._breakers.failed(breaker)
            self._hold(key, self._breakers.seconds_left(breaker))
        if ended.outcome != "sent":
            log.warning("event_failed", type=claimed.type, code=ended.reason, attempt=claimed.attempt)
        return replace(ended, ms=round((time.monotonic() - sent) * 1000))

    async def _send(
        self, claimed: ClaimedEvent, subscription: OpenSubscription, headers: dict[str, str]
    ) -> EventEnded:  # fmt: skip
        headers = headers | {"Content-Type": "application/json", "User-Agent": "Patchcord"}
        door = self._doors.to(subscription.private_host)
        again = back_off(claimed.attempt, self._rules.jitter)
        try:
            async with asyncio.timeout(LONGEST_SEND_SECONDS):
                answer = await door.request(
                    "POST", subscription.url, headers=headers, body=body_of(claimed), seconds=self._rules.answer_seconds
                )
        except TimeoutError:
            error: BuilderError = OutcomeUnknown("The receiver did not answer in time.")
        except BuilderError as failed:
            error = failed
        except Exception as failed:
            log.exception("event_failed", delivery_id=str(claimed.id))
            error = OutcomeUnknown(f"Sending failed ({type(failed).__name__}).")
        else:
            ended = judge(claimed, answer, claimed.at, self._rules.jitter)
            text = answer.body[: KEPT_OF_ANSWER * 4].decode("utf-8", "replace").replace("\0", "")[:KEPT_OF_ANSWER]
            return replace(ended, answer=text)
        return EventEnded("retry", reason=error.code, error=error.message, again=again)

    def _hold(self, key: str, seconds: float) -> None:
        if seconds > 0:
            self._held_until[key] = max(self._held_until.get(key, 0.0), self._clock() + seconds)
