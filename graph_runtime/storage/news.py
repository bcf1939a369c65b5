"""Tells other processes which conversations changed: after the commit, many in one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import psycopg
import structlog

log = structlog.get_logger(__name__)
GATHER_SECONDS = 0.005


class Direct(Protocol):
    """`Database.direct`: a pooled connection that commits each statement."""

    def direct(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]: ...


class News:
    """PostgreSQL commits transactions that notify one after another, so a turn's own commit does not.

    While no other process listens (`look` finds out), news is kept for a second and dropped.

    News that is lost with its process costs watchers elsewhere one of their own looks, never a message.
    `owner`: this process's number, so that it can tell its own news.
    """

    def __init__(self, database: Direct, owner: int) -> None:
        self._database = database
        self._owner = owner
        self._seqs: dict[tuple[str, str], int] = {}
        self._telling: asyncio.Task[None] | None = None
        self._is_heard = False

    @property
    def is_heard(self) -> bool:
        """Whether another process listens, as far as is known."""
        return self._is_heard

    def tell(self, workspace_id: str, conversation_id: str, seq: int) -> None:
        """A conversation has messages up to `seq`."""
        self._seqs[workspace_id, conversation_id] = seq
        if self._is_heard:
            self._begin()

    async def look(self, others_listen: Callable[[], Awaitable[bool]]) -> None:
        """Find out whether anybody listens; whoever began to before the question is told what came before it too."""
        before, self._seqs = self._seqs, {}
        try:
            self._is_heard = await others_listen()
        except psycopg.Error:
            self._seqs = before | self._seqs
            raise
        if self._is_heard and (before or self._seqs):
            self._seqs = before | self._seqs
            self._begin()

    def _begin(self) -> None:
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="news")

    async def close(self) -> None:
        """Tell what is left."""
        if self._telling is not None:
            await self._telling

    async def _tell(self) -> None:
        try:
            while self._seqs:
                await asyncio.sleep(GATHER_SECONDS)
                seqs, self._seqs = self._seqs, {}
                payloads = [f"{w} {c} {seq} {self._owner}" for (w, c), seq in seqs.items()]
                async with self._database.direct() as connection:
                    await connection.execute(_TELL, (payloads,))
        except Exception:
            log.exception("news_lost", conversations=len(self._seqs))
        finally:
            self._telling = None


_TELL = "SELECT pg_notify('patchcord_live', p) FROM unnest(%s::text[]) p"
