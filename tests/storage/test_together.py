"""What waits goes together; a group that fails goes one by one; nobody waits behind a lock of somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from graph_runtime.storage.together import FLIGHTS, MOST, Together

ON_THEIR_WAY = tuple(f"b{n}" for n in range(FLIGHTS))
"""Nobody can go with these any more."""


class Database:
    """Answers what it is asked; `gate` holds statements back; `locked` items time out in a group, and wait when alone."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.unlocked = asyncio.Event()
        self.locked: set[str] = set()
        self.is_away = False
        self.statements: list[list[str]] = []
        self.alone: list[str] = []

    async def many(self, items: Sequence[str]) -> list[str]:
        self.statements.append(list(items))
        await self.gate.wait()
        if self.is_away:
            raise psycopg.OperationalError("the connection is closed")
        if self.locked & set(items):
            raise psycopg.errors.LockNotAvailable
        return [f"{item}!" for item in items]

    async def one(self, item: str) -> str:
        self.alone.append(item)
        if item in self.locked:
            await self.unlocked.wait()
        return f"{item}!"


@pytest.fixture
async def database() -> Database:
    return Database()


@pytest.fixture
def together(database: Database) -> Together[str, str]:
    return Together(database.one, database.many, lambda item: item.partition("/")[0])


async def asked(together: Together[str, str], *items: str) -> list[asyncio.Task[str]]:
    tasks = []
    for item in items:
        tasks.append(asyncio.create_task(together.do(item)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_whoever_comes_meanwhile_waits_for_the_next_statement(
    together: Together[str, str], database: Database
) -> None:
    names = [f"n{n}" for n in range(FLIGHTS + MOST + 2)]
    tasks = await asked(together, *names)
    assert database.statements == [[name] for name in names[:FLIGHTS]]
    assert together.waiting == MOST + 2
    database.gate.set()
    assert await asyncio.gather(*tasks) == [f"{name}!" for name in names]
    assert [len(group) for group in database.statements[FLIGHTS:]] == [MOST, 2]
    assert (database.alone, together.waiting) == ([], 0)


async def test_two_of_one_sender_never_go_together_and_keep_their_order(
    together: Together[str, str], database: Database
) -> None:
    tasks = await asked(together, *ON_THEIR_WAY, "x/1", "x/2", "y", "x/3")
    database.gate.set()
    await asyncio.gather(*tasks)
    assert ["x/1", "y"] in database.statements
    said = [item for group in database.statements for item in group if item.startswith("x")]
    assert said == ["x/1", "x/2", "x/3"]


async def test_a_lock_of_somebody_else_holds_up_nobody_but_those_who_need_it(
    together: Together[str, str], database: Database
) -> None:
    database.locked = {"held"}
    tasks = await asked(together, *ON_THEIR_WAY, "held", *"de")
    database.gate.set()
    held = tasks.pop(FLIGHTS)
    assert await asyncio.gather(*tasks) == [*(f"{name}!" for name in ON_THEIR_WAY), "d!", "e!"]
    assert not held.done()
    (later,) = await asked(together, "f")
    assert await later == "f!"
    database.unlocked.set()
    assert await held == "held!"


async def test_when_the_database_is_away_all_are_told_at_once(
    together: Together[str, str], database: Database
) -> None:  # fmt: skip
    tasks = await asked(together, *(f"n{n}" for n in range(3 * MOST)))
    database.is_away = True
    database.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in told} == {psycopg.OperationalError}
    assert len(database.statements) == FLIGHTS
    database.is_away = False
    assert await together.do("again") == "again!"


async def test_what_nobody_would_repeat_is_tried_again_alone(database: Database) -> None:
    together = Together(database.one, database.many, str, tells_all=False)
    tasks = await asked(together, *(f"n{n}" for n in range(2 * MOST)))
    database.is_away = True
    database.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in told[:FLIGHTS]] == [psycopg.OperationalError] * FLIGHTS
    assert told[FLIGHTS:] == [f"n{n}!" for n in range(FLIGHTS, 2 * MOST)]
    assert together.waiting == 0


async def test_whoever_has_gone_is_not_stored(together: Together[str, str], database: Database) -> None:
    tasks = await asked(together, *ON_THEIR_WAY, "gone", "d")
    tasks[FLIGHTS].cancel()
    await asyncio.sleep(0)
    database.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(told[FLIGHTS], asyncio.CancelledError)
    assert ["d"] in database.statements
    assert not any("gone" in group for group in database.statements)
