"""The process's way to PostgreSQL: pooled transactions bound to one workspace, and notifications."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import select
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_dumps
from psycopg.types.string import StrDumperUnknown, TextLoader
from psycopg_pool import AsyncConnectionPool

from graph_runtime.contract.errors import BuilderError, InputInvalid, NotFound
from graph_runtime.storage.objects import FileBytes

Connection = psycopg.AsyncConnection[DictRow]
Row = dict[str, Any]

DATABASE_AWAY: tuple[type[Exception], ...] = (psycopg.OperationalError,)
"""What is raised while the database cannot be reached, is starting, is out of room or is not let in to."""
DISK_FULL: type[Exception] = psycopg.errors.DiskFull

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_RECONNECT_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)


class DatabaseRefused(BuilderError):
    """The database or the role may not be used as it is; the message says what to change."""

    code = "database_refused"


class Database:
    """One per process. Every connection is under a role that row-level security binds."""

    def __init__(self, url: str, *, min_size: int = 2, max_size: int = 12) -> None:
        self._url = url
        self._max_size = max_size
        self.files = FileBytes(self)
        """Bytes of files; the settings may say that they lie elsewhere."""
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=min(min_size, max_size),
            max_size=max_size,
            open=False,
            timeout=20,
            kwargs={"autocommit": True, "row_factory": dict_row},
            configure=_configure,
            name="patchcord",
        )

    async def open(self) -> None:
        """Connect and make sure that row-level security binds this role.

        Raises: DatabaseRefused
        """
        await self._pool.open(wait=True)
        try:
            await self._check_role()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._pool.close()

    @property
    def waiting(self) -> int:
        """How many wait for one of this process's connections."""
        return self._pool.get_stats().get("requests_waiting", 0)

    async def _check_role(self) -> None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT rolname, rolsuper OR rolbypassrls AS bypasses,"
                " EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind = 'r'"
                "         AND c.relnamespace = 'public'::regnamespace) AS owns"
                " FROM pg_roles r WHERE rolname = current_user"
            )
            role = await cursor.fetchone()
        if role is None or role["bypasses"] or role["owns"]:
            name = role["rolname"] if role else "?"
            raise DatabaseRefused(
                f"DATABASE_URL signs in as {name}, a role that can see past the walls between workspaces (a superuser, "
                "BYPASSRLS, or the owner of the tables). Use patchcord_app or a role granted to it for DATABASE_URL, and "
                "the owner only for PATCHCORD_DATABASE_ADMIN_URL.",
                role=name,
            )

    def workspace(self, workspace_id: str) -> Transaction:
        """One transaction that sees and writes the rows of one workspace: `async with`.

        Raises: NotFound when an id is not one, InputInvalid for a NUL; whatever the block raises, after a rollback.
        """
        return Transaction(self._pool, self._max_size, workspace_id)

    def system(self) -> Transaction:
        """One transaction with no workspace: tables look empty, only the look-up functions see rows. `async with`."""
        return Transaction(self._pool, self._max_size, "")

    def direct(self) -> Borrowed:
        """A pooled connection in autocommit with no workspace, for functions that set it themselves: `async with`."""
        return Borrowed(self._pool)

    async def dedicated(self) -> Connection:
        """A new autocommit connection outside the pool (session locks, notifications); the caller closes it."""
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, row_factory=dict_row)
        await _configure(connection)
        return connection

    async def listen(self, *channels: str) -> AsyncIterator[tuple[str, str]]:
        """Notifications as (channel, payload), for ever.

        Once listening, and again after every lost connection, each channel yields an empty payload: something may
        have been said before, look for yourself.
        """
        failures = 0
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                connection = await self.dedicated()
                try:
                    for channel in channels:
                        await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                    failures = 0
                    for channel in channels:
                        yield channel, ""
                    async for note in connection.notifies():
                        yield note.channel, note.payload
                finally:
                    await connection.close()
            await asyncio.sleep(_RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS) - 1)])
            failures += 1


class Borrowed(AbstractAsyncContextManager[Connection]):
    """One borrowing. Connections that died with an earlier server are replaced first, without asking the server."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        self._pool = pool
        self._connection: Connection | None = None

    async def __aenter__(self) -> Connection:
        connection = await _taken(self._pool)
        while not _is_alive(connection):
            try:
                await connection.close()
            finally:
                await self._pool.putconn(connection)
            connection = await _taken(self._pool)
        self._connection = connection
        return connection

    async def __aexit__(self, *_: object) -> None:
        assert self._connection is not None
        await self._pool.putconn(self._connection)


class Transaction(AbstractAsyncContextManager[Connection]):
    """One transaction. It begins and names its workspace in one message to the server, because most of them ask one thing."""

    __slots__ = ("_connection", "_most", "_pool", "_workspace_id")

    def __init__(self, pool: AsyncConnectionPool[Connection], most: int, workspace_id: str) -> None:
        self._pool = pool
        self._most = most
        self._workspace_id = workspace_id
        self._connection: Connection | None = None

    async def __aenter__(self) -> Connection:
        """Connections that died with an earlier server are replaced on the way."""
        for left in range(self._most, -1, -1):
            connection = await _taken(self._pool)  # its time-out says nothing about any connection
            try:
                await self._begin(connection)
            except BaseException as error:
                await self._give_back(connection)
                if not left or not isinstance(error, psycopg.OperationalError):
                    raise
            else:
                self._connection = connection
                return connection
        raise AssertionError("unreachable")

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        try:
            if error is None:
                await connection.commit()
        finally:
            await self._give_back(connection)
        if isinstance(error, psycopg.errors.InvalidTextRepresentation):
            raise NotFound("There is no such thing in this workspace. Go back and open it again.") from error
        if isinstance(error, psycopg.DataError) and error.sqlstate is None:
            # Refused before it was sent: a text with NUL, which PostgreSQL cannot keep.
            raise InputInvalid("A text holds a character that cannot be stored (NUL). Remove it.") from error

    async def _give_back(self, connection: Connection) -> None:
        """What is not committed is rolled back; where that cannot be, the connection is closed, which comes to the same."""
        try:
            await connection.rollback()
        except psycopg.Error:
            await connection.close()
        finally:
            await self._pool.putconn(connection)

    async def _begin(self, connection: Connection) -> None:
        if not self._workspace_id or _UUID.fullmatch(self._workspace_id):
            both = f"BEGIN; SELECT set_config('app.workspace_id', '{self._workspace_id}', true)"
            await connection.execute(both.encode(), prepare=False)
        else:
            await connection.execute(b"BEGIN")
            await connection.execute("SELECT set_config('app.workspace_id', %s, true)", (self._workspace_id,))


async def _taken(pool: AsyncConnectionPool[Connection]) -> Connection:
    """A connection of the pool. Who is cancelled while waiting for one is cancelled: in Python 3.11 the pool, which waits with
    `wait_for`, forgets it when the connection comes at that moment, and what was to end goes on for ever."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    connection = await pool.getconn()
    if task is not None and task.cancelling() > before:
        await pool.putconn(connection)
        raise asyncio.CancelledError
    return connection


def _is_alive(connection: Connection) -> bool:
    """Whether the server has not hung up. It says next to nothing unasked to an idle connection except good-bye."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


class _StorableText(StrDumperUnknown):
    """Text as PostgreSQL can keep it: without NUL, lone surrogates replaced."""

    def dump(self, obj: str) -> Buffer | None:
        try:
            return super().dump(obj)
        except (psycopg.DataError, UnicodeEncodeError):
            return super().dump(_storable(obj))


async def _configure(connection: Connection) -> None:
    connection.adapters.register_loader("uuid", TextLoader)
    connection.adapters.register_dumper(str, _StorableText)
    set_json_dumps(dumps_json, connection)


def dumps_json(value: Any) -> str:
    """JSON that PostgreSQL can keep: it has no place for NUL and lone surrogates, which are left out or replaced."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "\\u0000" in text or (not text.isascii() and _SURROGATE.search(text)):
        text = json.dumps(_storable(value), ensure_ascii=False, separators=(",", ":"))
    return text


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(k): _storable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(v) for v in value]
    return value
