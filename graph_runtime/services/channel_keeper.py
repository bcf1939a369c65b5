"""Keeps channels connected: tells vendors where to post, and asks those for events that cannot reach us."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from graph_runtime.contract.channel_links import Polled, PolledEvent
from graph_runtime.contract.errors import (
    BuilderError,
    Conflict,
    CredentialRejected,
    InputInvalid,
    LeaseLost,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TooLarge,
    Unreachable,
)
from graph_runtime.engine.http import is_public
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.intake import Asked, Intake
from graph_runtime.services.open_channels import OpenChannel, OpenChannels
from graph_runtime.storage.channel_links import ClaimedLink, LinkStore
from graph_runtime.storage.receiving import DatabaseAway, or_away
from graph_runtime.telemetry.redaction import redact

log = structlog.get_logger(__name__)
POLL_SECONDS: Final = 25.0
PAUSES: Final = (1.0, 3.0, 10.0, 30.0)
REJECTED_SECONDS: Final = 300.0
NOBODY_SECONDS: Final = 15.0
PLACES: Final = {"links": 2000}
_LOCAL_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home", ".test", ".invalid", ".home.arpa")


def reachable_address(public_url: str) -> str:
    """The address that vendors can post to, or "" when they cannot: they need https and a name of the public internet."""
    parts = urlsplit(public_url)
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or not host or parts.port not in (None, 443, 80, 88, 8443):
        return ""
    if host.replace(".", "").isdecimal() or ":" in host:
        return public_url if is_public(host) else ""
    return "" if "." not in host or host.endswith(_LOCAL_SUFFIXES) else public_url


@dataclass(frozen=True, slots=True)
class LinkTicket:
    """A link that this process looks after."""

    claimed: ClaimedLink


class _Lost(Exception):
    """The link is another process's now, or it is not what it was."""


class ChannelKeeper:
    """One for a process; a `Sender` drives it. A polled link stays with its process until that dies or lets go."""

    def __init__(
        self,
        store: LinkStore,
        channels: OpenChannels,
        intake: Intake,
        *,
        public_url: str,
        doors: ChannelDoors,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._store = store
        self._channels = channels
        self._intake = intake
        self._address = reachable_address(public_url)
        self._doors = doors
        self._poll_seconds = poll_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self.on_again: Callable[[float], None] = lambda _: None

    async def claim(self, queue: str, limit: int) -> list[LinkTicket]:
        """Links that need somebody, now this process's."""
        if self._is_stopping:
            return []
        return [LinkTicket(link) for link in await self._store.claim(self._address, limit)]

    async def look_after(self) -> int:
        """Nothing to take back: a dead process's links are claimed as they are."""
        return 0

    def shares(self, senders: int) -> None:
        """Links have no rates to divide."""

    async def stop(self) -> None:
        """Let go of everything, so that others take over at once."""
        self._is_stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Close idle connections."""
        await self.stop()
        await self._doors.close()

    async def deliver(self, ticket: LinkTicket) -> None:
        """Look after a link until it is told, lost, or fails."""
        task = asyncio.create_task(self._keep(ticket.claimed), name=f"link {ticket.claimed.channel_id}")
        self._tasks.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._tasks.discard(task)
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _keep(self, link: ClaimedLink) -> None:
        told: str | None = None
        try:
            if link.mode == "webhook":
                told = await self._tell(link)
                await self._store.release(link, told=told)
            else:
                await self._poll(link)
        except (_Lost, LeaseLost):
            await self._store.release(link)  # harmless when it is another's
        except asyncio.CancelledError:
            # Shielded: whoever stops us waits for this, and another process can go on at once.
            await asyncio.shield(self._store.release(link))
            raise
        except DatabaseAway:
            log.warning("link_left", channel_id=str(link.channel_id))
        except BuilderError as error:
            await self._failed(link, error)
        except Exception as error:
            log.exception("link_failed", channel_id=str(link.channel_id))
            await self._failed(link, Unreachable(f"The connector failed ({type(error).__name__})."))

    async def _failed(self, link: ClaimedLink, error: BuilderError) -> None:
        again = PAUSES[min(link.failures, len(PAUSES) - 1)]
        if isinstance(error, CredentialRejected | Refused):
            again = REJECTED_SECONDS
        elif isinstance(error, RateLimited):
            again = max(error.retry_after or 0.0, 1.0)
        elif isinstance(error, Conflict):
            again = NOBODY_SECONDS
        code = str(error.params.get("reason") or error.code)
        log.warning("link_problem", connector=link.connector, code=code)
        # Somebody else took the events over: the vendor is told again before the next question.
        told = "" if isinstance(error, Conflict) else None
        await self._store.release(link, told=told, code=code, error=redact(error.message), again=again)
        self.on_again(again)

    async def _open(self, link: ClaimedLink) -> OpenChannel:
        channel = await self._channels.by_id(str(link.workspace_id), str(link.channel_id), link.revision)
        if channel.revision != link.revision or not channel.is_on:
            raise _Lost
        return channel

    async def _tell(self, link: ClaimedLink) -> str:
        channel = await self._open(link)
        settings = channel.current_settings()
        assert channel.offer.subscribe is not None
        address = f"{self._address}/hooks/{link.connector}/{link.public_id}"
        async with asyncio.timeout(30):
            await channel.offer.subscribe(settings, address, self._doors.of(channel.offer, settings))
        return f"{link.revision} {self._address}"

    async def _poll(self, link: ClaimedLink) -> None:
        channel = await self._open(link)
        settings = channel.current_settings()
        http = self._doors.of(channel.offer, settings)
        assert channel.offer.poll is not None
        assert channel.offer.subscribe is not None
        if link.told != "polling":
            async with asyncio.timeout(30):
                await channel.offer.subscribe(settings, "", http)
            if not await self._store.release(link, told="polling"):
                return
            self.on_again(0.0)
            return  # claimed anew at once: what the vendor was told is remembered
        cursor, seconds = link.cursor, 0.0  # the first answer comes at once: it shows whether all is well
        failures = 0
        while True:
            try:
                async with asyncio.timeout(seconds + 20):
                    polled = await channel.offer.poll(settings, cursor, seconds, http)
            except (Unreachable, OutcomeUnknown, TimeoutError):
                # A vendor that does not answer for a moment is nothing to tell anybody; one that stays away is.
                failures += 1
                if failures >= len(PAUSES):
                    raise Unreachable("The vendor cannot be reached. Patchcord goes on trying.") from None
                await asyncio.sleep(PAUSES[failures - 1])
                await self._hold(link, is_ok=False)
                continue
            failures, seconds = 0, self._poll_seconds
            await self._take_all(channel, link, polled)
            cursor = polled.cursor or cursor
            await self._hold(link, is_ok=True)

    async def _hold(self, link: ClaimedLink, *, is_ok: bool) -> None:
        with or_away():
            if not await self._store.renew(link, is_ok=is_ok):
                raise _Lost

    async def _take_all(self, channel: OpenChannel, link: ClaimedLink, polled: Polled) -> None:
        assert channel.offer.parse is not None
        settings = channel.current_settings()
        last = ""
        for event in polled.events:
            if await self._take(channel, link, event, settings):
                last = ""
            else:
                last = event.cursor
        if last:
            with or_away():
                if not await self._store.move(link, last):
                    raise _Lost

    async def _take(self, channel: OpenChannel, link: ClaimedLink, event: PolledEvent, settings: object) -> bool:
        """Take in one event; whether its cursor is stored already."""
        assert channel.offer.parse is not None
        try:
            messages = channel.offer.parse(settings, event.body, {})
        except (InputInvalid, ValueError, KeyError, TypeError):
            log.warning("polled_unreadable", connector=link.connector)
            return False
        body_hash = hashlib.sha256(event.body).hexdigest()
        is_stored = False
        for number, message in enumerate(messages, 1):
            asked = Asked(event.cursor, link.epoch) if number == len(messages) and message.starts_a_turn else None
            try:
                with or_away():
                    await self._intake.take(channel, message, body_hash, self._gone, asked)
            except TooLarge:
                log.warning("polled_too_large", connector=link.connector)
                continue
            is_stored = asked is not None
        return is_stored and messages[-1].reply.option_id == ""

    @staticmethod
    async def _gone() -> OpenChannel:
        raise _Lost
