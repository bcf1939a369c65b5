"""Deliveries: one attempt to send one claimed message, and what becomes of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from pydantic import TypeAdapter

from graph_runtime.contract.capabilities import degrade
from graph_runtime.contract.channel_links import OutboundFile
from graph_runtime.contract.channels import ChannelHttp, OutboundMessage
from graph_runtime.contract.errors import (
    BuilderError,
    ContactUnreachable,
    CredentialRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientMoved,
    Refused,
)
from graph_runtime.contract.messages import Media, Part
from graph_runtime.services.buttons import Buttons
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.live import Live
from graph_runtime.services.open_channels import OpenChannel, OpenChannels
from graph_runtime.services.send_limits import SendLimits
from graph_runtime.services.send_rules import Jitter, after_error, back_off, before_sending
from graph_runtime.storage.news import News
from graph_runtime.storage.outbox import SEND_LEASE_SECONDS, Claimed, Ended, OutboxStore, Queue
from graph_runtime.telemetry.metrics import POSSIBLY_DUPLICATE, RATE_LIMITED

log = structlog.get_logger(__name__)
LONGEST_SEND_SECONDS: Final = 25.0
PER_CHANNEL: Final[Mapping[Queue, int]] = {"chat": 16, "bulk": 12}
"""How many of a queue's places one channel may have."""
SHORT_WAIT: Final = 0.6
"""Seconds for which a claimed message waits for its turn where it is: putting it back would cost two writes."""
_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])


@dataclass(frozen=True, slots=True)
class SendRules:
    """What tests replace: the jitter of the retry clock, the limits, and seconds after which a claim may be taken over."""

    limits: SendLimits = field(default_factory=SendLimits)
    jitter: Jitter | None = None
    lease_seconds: int = SEND_LEASE_SECONDS


@dataclass(frozen=True, slots=True)
class Ticket:
    """A claimed message, and when its claim was asked for (monotonic): a process that was frozen since may not send."""

    claimed: Claimed
    began: float
    queue: Queue = "chat"


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A claimed message with all that sending it needs. `is_duplicate`: an earlier attempt may have arrived."""

    claimed: Claimed
    channel: OpenChannel
    http: ChannelHttp
    is_duplicate: bool = False

    def message(
        self, parts: Sequence[Part], files: Mapping[str, OutboundFile], part: int | None = None
    ) -> OutboundMessage:  # fmt: skip
        claimed = self.claimed
        return OutboundMessage(
            key=claimed.vendor_key if part is None else f"{claimed.vendor_key}_{part}",
            recipient=claimed.recipient,
            parts=tuple(parts),
            conversation_id=str(claimed.conversation_id),
            seq=claimed.ordinal,
            attempt=claimed.attempt,
            at=claimed.at,
            files=files,
        )


class Deliveries:
    """One for a process. `on_again(seconds)`: something is due again after so long."""

    def __init__(
        self,
        store: OutboxStore,
        channels: OpenChannels,
        live: Live,
        news: News,
        *,
        doors: ChannelDoors | None = None,
        rules: SendRules | None = None,
        buttons: Buttons | None = None,
    ) -> None:
        self._store = store
        self._channels = channels
        self._live = live
        self._news = news
        self._doors = doors or ChannelDoors()
        self._rules = rules or SendRules()
        self._buttons = buttons
        self._on_their_way: Counter[tuple[Queue, str]] = Counter()
        self.on_again: Callable[[float], None] = lambda _: None

    async def close(self) -> None:
        """Close idle connections."""
        await self._doors.close()

    async def claim(self, queue: Queue, limit: int) -> list[Ticket]:
        """Messages that are due, now marked as being sent by this process; each must go to `deliver`.

        A receiver that is slow gets no more than PER_CHANNEL at once, so that it holds up nobody else.
        """
        most = PER_CHANNEL[queue]
        full = [channel for (of, channel), count in self._on_their_way.items() if of == queue and count >= most]
        began = time.monotonic()
        claimed = await self._store.claim(queue, limit, most, [*self._rules.limits.leave_alone(queue), *full])
        self._on_their_way.update((queue, str(c.channel_id)) for c in claimed)
        return [Ticket(c, began, queue) for c in claimed]

    async def look_after(self) -> int:
        """Take back what dead processes were sending, and give up what is too late; how many."""
        recovered = await self._store.recover(seconds=self._rules.lease_seconds)
        expired = await self._store.expire()
        for workspace_id, conversation_id in expired:
            self._live.changed(workspace_id, conversation_id)
            self._news.tell(workspace_id, conversation_id, 0)
        return recovered + len(expired)

    def shares(self, senders: int) -> None:
        """How many senders live, this one included: rates are divided by it."""
        self._rules.limits.share = 1.0 / max(senders, 1)

    async def deliver(self, ticket: Ticket) -> None:
        """One attempt. Never raises for a failing one; a lost claim is noted nowhere but in the log."""
        place = ticket.queue, str(ticket.claimed.channel_id)
        try:
            ended = await self._attempt(ticket)
            if ended is not None:
                await self._note(ticket.claimed, ended)
        finally:
            self._on_their_way[place] -= 1
            if not self._on_their_way[place]:
                del self._on_their_way[place]

    async def _note(self, claimed: Claimed, ended: Ended) -> None:
        if ended.pause > 0:
            self._rules.limits.hold(str(claimed.channel_id), ended.pause)
        if not await self._store.finish(claimed, ended):
            log.warning("claim_lost", outbox_id=str(claimed.id), outcome=ended.outcome)
            return
        if ended.possibly_duplicate:
            POSSIBLY_DUPLICATE.inc()
        if ended.outcome in ("retry", "unknown", "deferred"):
            self.on_again(ended.again)
        if ended.outcome == "failed" or ended.possibly_duplicate or claimed.possibly_duplicate:
            self._live.changed(str(claimed.workspace_id), str(claimed.conversation_id))
            self._news.tell(str(claimed.workspace_id), str(claimed.conversation_id), claimed.ordinal)

    async def _attempt(self, ticket: Ticket) -> Ended | None:
        claimed, began = ticket.claimed, ticket.began
        limits, channel_id = self._rules.limits, str(claimed.channel_id)
        try:
            channel = await self._channels.by_id(str(claimed.workspace_id), channel_id, claimed.channel_revision)
            settings = channel.current_settings()
        except BuilderError as error:
            # Nothing can be sent with a channel that cannot be opened; somebody may repair it before the message expires.
            return Ended("retry", reason="channel_broken", error=error.message, again=back_off(claimed.attempt))
        go = before_sending(channel.offer, claimed)
        if isinstance(go, Ended):
            return go
        wait = await self._turn(ticket, channel)
        if wait > 0:
            return Ended("deferred", again=wait)
        if time.monotonic() - began > self._rules.lease_seconds / 2:
            # This process was frozen since the claim; another one may be sending by now.
            limits.released(channel_id)
            return None
        attempt = _Attempt(claimed, channel, self._doors.of(channel.offer, settings), is_duplicate=go == "duplicate")
        try:
            return await self._send(attempt, settings, look_first=go == "find")
        except asyncio.CancelledError:
            limits.released(channel_id)
            raise
        except TimeoutError:
            return self._failed(attempt, OutcomeUnknown("The receiver did not answer in time."))
        except BuilderError as error:
            return self._failed(attempt, await self._learned(attempt, error))
        except Exception as error:
            log.exception("send_failed", connector=claimed.connector, outbox_id=str(claimed.id))
            # A connector that raises anything else leaves open how far it came.
            return self._failed(attempt, OutcomeUnknown(f"The connector failed ({type(error).__name__})."))

    async def _turn(self, ticket: Ticket, channel: OpenChannel) -> float:
        """Wait for the turn of a message; seconds that are still left when that takes too long for staying here."""
        # One that must not arrive twice goes back: if this process died here, it would be in doubt and given up.
        left = 0.0 if ticket.claimed.at_most_once else SHORT_WAIT
        while True:
            wait = self._rules.limits.wait(
                channel.offer, channel.workspace_id, channel.id, ticket.claimed.recipient, ticket.queue, patience=left
            )
            if wait <= 0 or wait > left:
                return wait
            await asyncio.sleep(wait)
            left -= wait

    async def _send(self, attempt: _Attempt, settings: object, *, look_first: bool) -> Ended:
        claimed, offer = attempt.claimed, attempt.channel.offer
        if offer.send is None:
            raise Refused("Nothing can be sent over this kind of channel.")
        said: Sequence[Part] = _PARTS.validate_python(claimed.parts)
        if offer.signs_buttons and self._buttons is not None:
            said = self._buttons.sign(str(claimed.channel_id), str(claimed.conversation_id), claimed.ordinal, said)
        parts = degrade(said, offer.capabilities)
        files = await self._files_of(str(claimed.workspace_id), parts)
        if not parts:
            self._rules.limits.released(attempt.channel.id)
            return Ended("sent")
        by_part = offer.one_part_per_request
        requests = (
            [attempt.message([p], files, n) for n, p in enumerate(parts)]
            if by_part
            else [attempt.message(parts, files)]
        )
        vendor_id = ""
        is_duplicate = attempt.is_duplicate
        for place, message in enumerate(requests[claimed.done_parts :], claimed.done_parts):
            async with asyncio.timeout(LONGEST_SEND_SECONDS):
                found = None
                if look_first and offer.find is not None:
                    found = await offer.find(settings, message, attempt.http)
                vendor_id = await offer.send(settings, message, attempt.http) if found is None else found
            self._rules.limits.succeeded(attempt.channel.id)
            look_first = False
            if place < len(requests) - 1:
                part = Ended("part", vendor_id, possibly_duplicate=is_duplicate)
                if not await self._store.finish(claimed, part):
                    raise Refused("Another process took this message over.")
                is_duplicate = False
        return Ended("sent", vendor_id, possibly_duplicate=is_duplicate)

    async def _files_of(self, workspace_id: str, parts: Sequence[Part]) -> dict[str, OutboundFile]:
        ids = [part.file_id for part in parts if isinstance(part, Media) and part.file_id]
        return await self._store.files(workspace_id, ids) if ids else {}

    async def _learned(self, attempt: _Attempt, error: BuilderError) -> BuilderError:
        """What a failure says about the recipient or the account is noted for everybody."""
        claimed, channel = attempt.claimed, attempt.channel
        place = (channel.workspace_id, channel.id)
        if isinstance(error, RecipientMoved):
            await self._store.move_recipient(*place, claimed.recipient, error.to)
        elif isinstance(error, ContactUnreachable):
            await self._store.note_unreachable(*place, claimed.recipient)
        elif isinstance(error, CredentialRejected) and channel.offer.identify is not None:
            await self._store.note_account_error(*place, error.code, error.message)
        return error

    def _failed(self, attempt: _Attempt, error: BuilderError) -> Ended:
        limits, channel_id = self._rules.limits, attempt.channel.id
        if isinstance(error, RateLimited):
            RATE_LIMITED.labels("channel").inc()
        if isinstance(error, RateLimited | Refused | CredentialRejected):
            limits.released(channel_id)
        else:
            limits.failed(channel_id)
        log.warning(
            "send_failed", connector=attempt.claimed.connector, code=error.code, attempt=attempt.claimed.attempt
        )
        if self._rules.jitter is None:
            return after_error(attempt.channel.offer, attempt.claimed, error)
        return after_error(attempt.channel.offer, attempt.claimed, error, self._rules.jitter)
