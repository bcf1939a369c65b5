"""Statements of many that go to the database together: whoever comes while others are on their way waits for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Final, Generic, TypeVar

import psycopg

Item = TypeVar("Item")
Found = TypeVar("Found")

MOST: Final = 8
"""In one statement. Larger ones cost nothing less, and all who are in one wait for all of it."""
FLIGHTS: Final = 2
"""Statements on their way at once; as long as fewer are, nobody waits for anybody. More of them only compete with this
process for the processor, where the database has the same machine."""


class Together(Generic[Item, Found]):
    """Calls `many` with all that waited meanwhile, often with one: one statement and one commit for all of it.

    `many` answers in the order in which it was asked, and must not wait for long: when it fails by an error of the
    database, such as a lock that somebody holds, each goes alone by `one`, which may wait, and nobody waits for it. `key`:
    of two with the same, the second goes with a later statement. When the database is away, those on their way are told,
    and so are all who wait; without `tells_all` each of those tries it by itself.
    """

    def __init__(
        self,
        one: Callable[[Item], Awaitable[Found]],
        many: Callable[[Sequence[Item]], Awaitable[Sequence[Found]]],
        key: Callable[[Item], Hashable],
        *,
        tells_all: bool = True,
    ) -> None:
        self._tells_all = tells_all
        self._one = one
        self._many = many
        self._key = key
        self._waiting: deque[tuple[Item, asyncio.Future[Found]]] = deque()
        self._flights = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many are not on their way yet."""
        return len(self._waiting)

    async def do(self, item: Item) -> Found:
        """What became of it. Raises: what `one` raises."""
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flights < FLIGHTS:
            self._flights += 1
            self._begin(self._fly())
        return await future

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self) -> None:
        try:
            while self._waiting:
                await self._go(self._next())
        finally:
            self._flights -= 1

    def _next(self) -> list[tuple[Item, asyncio.Future[Found]]]:
        group: dict[Hashable, tuple[Item, asyncio.Future[Found]]] = {}
        later = []
        while self._waiting and len(group) < MOST:
            entry = self._waiting.popleft()
            if entry[1].done():
                continue  # whoever asked has gone
            if (key := self._key(entry[0])) in group:
                later.append(entry)
            else:
                group[key] = entry
        self._waiting.extendleft(reversed(later))
        return list(group.values())

    async def _go(self, group: list[tuple[Item, asyncio.Future[Found]]]) -> None:
        if not group:
            return
        try:
            found = await self._many([item for item, _ in group])
        except psycopg.Error as error:
            self._undone(group, error)
        except BaseException as error:
            self._tell(group, error)
            if not isinstance(error, Exception):
                raise
        else:
            for (_, future), answer in zip(group, found, strict=True):
                if not future.done():
                    future.set_result(answer)

    def _undone(self, group: list[tuple[Item, asyncio.Future[Found]]], error: psycopg.Error) -> None:
        is_away = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        alone: Iterable[tuple[Item, asyncio.Future[Found]]] = group
        if is_away:
            waiting, self._waiting = self._waiting, deque()
            self._tell([*group, *waiting] if self._tells_all else group, error)
            alone = () if self._tells_all else waiting
        for entry in alone:
            self._begin(self._alone(entry))

    async def _alone(self, entry: tuple[Item, asyncio.Future[Found]]) -> None:
        item, future = entry
        try:
            answer = await self._one(item)
        except BaseException as error:
            self._tell([entry], error)
            if not isinstance(error, Exception):
                raise
        else:
            if not future.done():
                future.set_result(answer)

    @staticmethod
    def _tell(entries: Iterable[tuple[Item, asyncio.Future[Found]]], error: BaseException) -> None:
        for _, future in entries:
            if future.done():
                continue
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
