"""What the parts of one call wait with. asyncio's own hold 0.8 kB of queue each for those who wait, mostly for nobody."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Signal:
    """As `asyncio.Event`."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def set(self) -> None:
        """Wake all who wait, and whoever comes until `clear`."""
        self._is_set = True
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def clear(self) -> None:
        """Let them wait again."""
        self._is_set = False

    async def wait(self) -> None:
        """Until it is set."""
        if self._is_set:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting = (*self._waiting, future)
        try:
            await future
        finally:
            self._waiting = tuple(other for other in self._waiting if other is not future)


class Mailbox(Generic[Item]):
    """As an unbounded `asyncio.Queue` with one reader."""

    __slots__ = ("_came", "_items")

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._came = Signal()

    @property
    def is_empty(self) -> bool:
        """Whether `get` would wait."""
        return not self._items

    def put(self, item: Item) -> None:
        """Behind all others."""
        self._items.append(item)
        self._came.set()

    async def get(self) -> Item:
        """The first one, as soon as there is one."""
        while not self._items:
            self._came.clear()
            await self._came.wait()
        return self._items.pop(0)
