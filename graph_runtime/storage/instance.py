"""This process's number in the database: locked for as long as its session lasts, so that others see it is alive."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import psycopg
import structlog
from psycopg.rows import scalar_row, tuple_row

log = structlog.get_logger(__name__)

Connect = Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]
Look = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
"""Called every second with a question: does another living process listen to news?"""
LISTENS = (7106, 1)
"""Locked, shared, by every process that listens to the news of others."""
SENDS = (7106, 2)
"""Locked, shared, by every process that sends messages."""
CALLS: Final = 7107
"""Locked, shared, with the place of one of CALL_STATES by every process that takes calls."""
CALL_STATES: Final = ("", "calls", "processor", "lag")
""" "" lets new calls in, the others say what there is too much of."""


class Instance:
    """`number` owns leases. A conversation leased by a number nobody holds locked may be taken over at once."""

    def __init__(self, connect: Connect) -> None:
        self.number = secrets.randbits(62) + 1
        self._connect = connect
        self._keeper: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._listens = False
        self._sends = False
        self._look: Look | None = None
        self._calls: int | None = None
        self._calls_locked: int | None = None
        self._showing = asyncio.Lock()

    async def open(self, look: Look | None = None) -> None:
        """Take the number. Raises: psycopg.OperationalError when the database cannot be reached."""
        self._look = look
        self._connection = await self._lock()
        self._keeper = asyncio.create_task(self._keep(), name="instance")

    async def listens(self) -> None:
        """Let the others see that this process listens to their news."""
        if not self._listens:
            self._listens = True
            if self._connection is not None:
                with contextlib.suppress(psycopg.OperationalError):  # the next session locks it
                    await self._connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", LISTENS)

    async def senders(self) -> int:
        """How many living processes send messages; from the first question on this one is among them."""
        if self._connection is None:
            return 1
        if not self._sends:
            await self._connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", SENDS)
            self._sends = True
        cursor = self._connection.cursor(row_factory=scalar_row)
        await cursor.execute(HOLDERS, SENDS)
        return int(await cursor.fetchone() or 1)

    async def takes_calls(self, state: str | None) -> None:
        """Let the others see whether this process lets new calls in: one of CALL_STATES, None when it takes none at all."""
        self._calls = None if state is None else CALL_STATES.index(state)
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):  # seen within a second, or with the next session
                await self._show_calls(self._connection)

    async def _show_calls(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """The new state before the former one goes: nobody ever sees none."""
        async with self._showing:
            wanted, locked = self._calls, self._calls_locked
            if wanted == locked:
                return
            if wanted is not None:
                await connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (CALLS, wanted))
            self._calls_locked = wanted
            if locked is not None:
                await connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", (CALLS, locked))

    async def close(self) -> None:
        """Give the number up."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    async def _lock(self) -> psycopg.AsyncConnection[Any]:
        connection = await self._connect()
        await connection.execute("SELECT pg_advisory_lock(%s)", (self.number,))
        if self._listens:
            await connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", LISTENS)
        self._sends = False
        self._calls_locked = None
        await self._show_calls(connection)
        return connection

    async def _others_listen(self) -> bool:
        assert self._connection is not None
        cursor = self._connection.cursor(row_factory=scalar_row)
        await cursor.execute(_OTHERS_LISTEN, LISTENS)
        return bool(await cursor.fetchone())

    async def _keep(self) -> None:
        """Hold the locks for ever; when the session breaks, take them again in a new one."""
        try:
            while True:
                await asyncio.sleep(1.0)
                try:
                    if self._connection is None:
                        self._connection = await self._lock()
                    await self._show_calls(self._connection)
                    if self._look is None:
                        await self._others_listen()
                    else:
                        await self._look(self._others_listen)
                except psycopg.Error as e:
                    log.warning("instance_session_lost", error=type(e).__name__)
                    await self._drop()
        finally:
            await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()


async def call_states(connection: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    """How many living processes stand in each of CALL_STATES."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_CALL_STATES, (CALLS,))
    return {CALL_STATES[state]: int(count) for state, count in await cursor.fetchall() if state < len(CALL_STATES)}


_OTHERS_LISTEN = """
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 AND pid <> pg_backend_pid()
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
_CALL_STATES = """
    SELECT objid::int, count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY objid
"""
HOLDERS = """
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
