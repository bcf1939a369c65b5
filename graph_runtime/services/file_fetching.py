"""Fetching: the files of a message come from its vendor to us at once, for vendors' addresses expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from graph_runtime.contract.channel_links import MAX_FILE_BYTES, InboundFile
from graph_runtime.contract.errors import (
    BuilderError,
    ConnectorError,
    InputInvalid,
    RateLimited,
    Refused,
    TooLarge,
)
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.file_kinds import kind_of
from graph_runtime.services.files import MAX_BYTES_OF_CONVERSATION
from graph_runtime.services.live import Live
from graph_runtime.services.open_channels import OpenChannels
from graph_runtime.storage import files
from graph_runtime.storage.database import Database
from graph_runtime.storage.file_fetches import ClaimedFetch, FetchStore

log = structlog.get_logger(__name__)
PLACES: Final = {"files": 4}
PAUSES: Final = (2.0, 10.0, 60.0, 300.0, 900.0)
SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class FetchTicket:
    """A file that this process fetches."""

    claimed: ClaimedFetch


class FileFetching:
    """One for a process; a `Sender` drives it. Few at a time: each may hold 20 MB in memory."""

    def __init__(
        self, store: FetchStore, channels: OpenChannels, database: Database, live: Live, doors: ChannelDoors
    ) -> None:
        self._store = store
        self._channels = channels
        self._database = database
        self._live = live
        self._doors = doors
        self.on_again: Callable[[float], None] = lambda _: None

    async def close(self) -> None:
        """Close idle connections."""
        await self._doors.close()

    async def claim(self, queue: str, limit: int) -> list[FetchTicket]:
        """Files that are due, now this process's."""
        return [FetchTicket(claimed) for claimed in await self._store.claim(limit)]

    async def look_after(self) -> int:
        """Take back what dead processes were fetching; how many."""
        return await self._store.recover()

    def shares(self, senders: int) -> None:
        """Files have no rates to divide."""

    async def deliver(self, ticket: FetchTicket) -> None:
        """One attempt. What fails for good is marked at its message; the rest is tried again within half an hour."""
        claimed = ticket.claimed
        try:
            content = await self._fetch(claimed)
            kind = kind_of(content) if content else None
            if kind is None:
                raise InputInvalid("This kind of file is not accepted.", field="file")
            kept = await self._database.files.keep(str(claimed.workspace_id), content)
            await self._store.finish(claimed, mime=kind.mime, kept=kept)
        except (BuilderError, TimeoutError) as error:
            await self._failed(claimed, error)
        self._live.changed(str(claimed.workspace_id), str(claimed.conversation_id))

    async def _failed(self, claimed: ClaimedFetch, error: BuilderError | TimeoutError) -> None:
        code = error.code if isinstance(error, BuilderError) else "too_slow"
        may_again = isinstance(error, TimeoutError) or (
            isinstance(error, ConnectorError) and (error.retryable or error.code == "outcome_unknown")
        )
        again = PAUSES[claimed.attempt - 1] if may_again and claimed.attempt <= len(PAUSES) else None
        if again is not None and isinstance(error, RateLimited):
            again = max(again, error.retry_after or 0.0)
        log.warning("file_not_fetched", error=code, attempt=claimed.attempt, is_given_up=again is None)
        await self._store.finish(claimed, error=code, again=again)
        if again is not None:
            self.on_again(again)

    async def _fetch(self, claimed: ClaimedFetch) -> bytes:
        file = InboundFile(**claimed.about)
        workspace_id = str(claimed.workspace_id)
        if file.size > MAX_FILE_BYTES:
            raise TooLarge("This file is larger than 20 MB.", limit=MAX_FILE_BYTES)
        async with self._database.workspace(workspace_id) as connection:
            used = await files.used_bytes(connection, str(claimed.conversation_id))
        channel = await self._channels.by_id(workspace_id, str(claimed.channel_id), claimed.channel_revision)
        if channel.offer.fetch is None:
            raise Refused("Files of this channel cannot be fetched.")
        settings = channel.current_settings()
        async with asyncio.timeout(SECONDS):
            content = await channel.offer.fetch(settings, file, self._doors.of(channel.offer, settings))
        if len(content) > MAX_FILE_BYTES or used + len(content) > MAX_BYTES_OF_CONVERSATION:
            raise TooLarge("This conversation has no room for the file.", limit=MAX_FILE_BYTES)
        return content
