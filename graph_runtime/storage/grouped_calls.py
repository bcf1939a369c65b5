"""A function of the database that many call at once: one statement and one commit for all who wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg.rows import tuple_row

from graph_runtime.storage.database import Connection
from graph_runtime.storage.news import Direct
from graph_runtime.storage.together import Together

LOCK_MS: Final = 200
"""So long a statement of many waits for a row that somebody holds; then each of them goes alone, which may wait."""
Values = tuple[Any, ...]


class GroupedCalls:
    """`columns`: of what the function returns. `place`: index of the value that says what a call is about; calls are made in
    its order everywhere, so that two processes never wait for each other, and of two with the same only one goes with a
    statement. `tells_all`: as in `Together`."""

    def __init__(
        self,
        database: Direct,
        function: str,
        columns: str,
        types: Sequence[str],
        *,
        place: int,
        tells_all: bool = True,
    ) -> None:
        self._database = database
        self._place = place
        self._one_of = f"SELECT {columns} FROM {function}({', '.join(f'%s::{kind}' for kind in types)})"  # noqa: S608  # of constants
        names = [f"v{n}" for n in range(len(types))]
        # The last value depends on the setting, so that it is set before the first call is made.
        self._many_of = (
            f"SELECT u.n, {columns} FROM (SELECT set_config('lock_timeout', '{LOCK_MS}ms', true) AS done) s,"  # noqa: S608
            f" unnest({', '.join(f'%s::{kind}[]' for kind in types)}) WITH ORDINALITY u({', '.join(names)}, n),"
            f" LATERAL {function}({', '.join(f'u.{name}' for name in names[:-1])},"
            f" CASE WHEN s.done <> '' THEN u.{names[-1]} END)"
        )
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

    def _about(self, values: Values) -> str:
        return str(values[self._place])

    async def _alone(self, values: Values) -> Values | None:
        async with self._database.direct() as connection:
            return await self.within(connection, values)

    async def _many(self, calls: Sequence[Values]) -> Sequence[Values | None]:
        if len(calls) == 1:
            return [await self._alone(calls[0])]
        order = sorted(range(len(calls)), key=lambda n: self._about(calls[n]))
        columns = zip(*(calls[n] for n in order), strict=True)
        async with self._database.direct() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            await cursor.execute(self._many_of, [*map(list, columns)])
            rows = {int(row[0]): row[1:] for row in await cursor.fetchall()}
        found: list[Values | None] = [None] * len(calls)
        for position, n in enumerate(order, start=1):
            found[n] = rows.get(position)
        return found
