"""A function of the database that many call at once: one statement and one commit for all who wait."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from graph_runtime.storage.database import Connection
from graph_runtime.storage.news import Direct
from graph_runtime.storage.together import MOST, Together

LOCK_MS: Final = 200
"""So long a statement of many waits for a row that somebody holds; then each of them goes alone, which may wait."""
_SIZES: Final = tuple(2**n for n in range(1, (MOST - 1).bit_length() + 1))
"""Of the statements: each connection prepares each of them, so there are few."""
Values = tuple[Any, ...]


class GroupedCalls:
    """`columns`: of what the function returns. `place`: indexes of the values that say what a call is about; calls are made
    in their order everywhere, so that two processes never wait for each other, and of two with the same only one goes with
    a statement. The first value of a call is never None. `tells_all`: as in `Together`."""

    def __init__(
        self,
        database: Direct,
        function: str,
        columns: str,
        types: tuple[str, ...],
        *,
        place: tuple[int, ...],
        tells_all: bool = True,
    ) -> None:
        self._database = database
        self._place = place
        self._function = (function, columns, types)
        self._one_of = f"SELECT {columns} FROM {function}({', '.join(f'%s::{kind}' for kind in types)})"  # noqa: S608  # of constants
        self._together = Together(self._alone, self._many, self._about, tells_all=tells_all)

    @property
    def waiting(self) -> int:
        """How many calls are not on their way yet."""
        return self._together.waiting

    async def call(self, values: Values) -> Values | None:
        """What the function gives, with others who call it now. Raises: psycopg.Error, its own only."""
        return await self._together.do(values)

    async def within(self, connection: Connection, values: Values) -> Values | None:
        """The same as a part of a transaction."""
        cursor = connection.cursor(row_factory=tuple_row, binary=True)
        await cursor.execute(self._one_of, values)
        return await cursor.fetchone()

    def _about(self, values: Values) -> tuple[str, ...]:
        return tuple(str(values[place]) for place in self._place)

    async def _alone(self, values: Values) -> Values | None:
        async with self._database.direct() as connection:
            return await self.within(connection, values)

    async def _many(self, calls: Sequence[Values]) -> Sequence[Values | None]:
        if len(calls) == 1:
            return [await self._alone(calls[0])]
        order = sorted(range(len(calls)), key=lambda n: self._about(calls[n]))
        async with self._database.direct() as connection:
            cursor = psycopg.AsyncRawCursor(connection, row_factory=tuple_row)
            size = next(size for size in _SIZES if size >= len(calls))
            flat = [value for n in order for value in calls[n]]
            flat += [None] * ((size - len(calls)) * len(calls[0]))
            await cursor.execute(_many_of(*self._function, size), flat, binary=True, prepare=True)
            rows = {int(row[0]): row[1:] for row in await cursor.fetchall()}
        found: list[Values | None] = [None] * len(calls)
        for position, n in enumerate(order):
            found[n] = rows.get(position)
        return found


@cache
def _many_of(function: str, columns: str, types: tuple[str, ...], calls: int) -> str:
    """One statement for each size, which the server keeps prepared. Arrays of their values would be one statement for all,
    but psycopg turns an array into a parameter element by element, in Python.

    Rows whose first value is NULL fill it up and are not called. The last value depends on the setting, so that it is set
    before the first call is made.
    """
    width = len(types)
    rows = (
        f"({n}, {', '.join(f'${n * width + place}::{kind}' for place, kind in enumerate(types, start=1))})"
        for n in range(calls)
    )
    names = [f"v{place}" for place in range(width)]
    return (
        f"SELECT u.n, {columns} FROM (SELECT set_config('lock_timeout', '{LOCK_MS}ms', true) AS done) s,"  # noqa: S608  # of constants
        f" (VALUES {', '.join(rows)}) u(n, {', '.join(names)}),"
        f" LATERAL {function}({', '.join(f'u.{name}' for name in names[:-1])},"
        f" CASE WHEN s.done <> '' THEN u.{names[-1]} END) WHERE u.{names[0]} IS NOT NULL"
    )
