"""Repeatable requests: answered once, and never blocked by a process that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services import idempotency
from graph_runtime.services.idempotency import Answer, Idempotency, KeyReused, StillRunning
from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import Connection, Database
from graph_runtime.storage.idempotency import Claim, claim
from graph_runtime.storage.instance import Instance
from graph_runtime.storage.timers import Sweep

REQUEST = b"POST /x\n{}"


@pytest.fixture
async def program(services: Services, owner: Principal) -> Principal:
    """A program with an API key."""
    row, _ = await services.api_keys.create(owner, "test", ["conversations:read"])
    return replace(owner, role="api", session_id=row.id)


async def acts() -> Answer:
    return Answer(201, {"n": 1})


async def leave_claim(services: Services, program: Principal, owner: int, request: bytes = REQUEST) -> None:
    """As a process does that began a request and did not finish it."""
    assert program.session_id is not None
    wanted = Claim(program.workspace_id, program.session_id, "k", hashlib.sha256(request).digest(), owner)
    async with services.database.workspace(program.workspace_id) as connection:
        assert await claim(connection, wanted)


async def test_what_a_dead_process_began_is_carried_out_at_once(services: Services, program: Principal) -> None:
    await leave_claim(services, program, owner=123_456_789)
    answer = await services.idempotency.once(program, "k", REQUEST, acts)
    assert (answer.status, answer.repeated) == (201, False)
    assert (await services.idempotency.once(program, "k", REQUEST, acts)).repeated


async def test_what_a_living_process_works_on_is_left_to_it(services: Services, program: Principal) -> None:
    other = Instance(services.database.dedicated)
    await other.open()
    try:
        await leave_claim(services, program, other.number)
        with pytest.raises(StillRunning):
            await services.idempotency.once(program, "k", REQUEST, acts)
    finally:
        await other.close()


async def test_a_claim_that_could_not_be_given_up_does_not_block_its_own_process(
    services: Services, program: Principal
) -> None:
    mine = Idempotency(services.database, services.conversation_side.instance.number)
    await leave_claim(services, program, services.conversation_side.instance.number)
    assert (await mine.once(program, "k", REQUEST, acts)).status == 201


async def test_another_request_does_not_take_an_unfinished_claim_over(services: Services, program: Principal) -> None:
    await leave_claim(services, program, owner=123_456_789, request=b"another")
    with pytest.raises(KeyReused):
        await services.idempotency.once(program, "k", REQUEST, acts)


async def test_while_it_runs_the_same_request_waits_and_another_is_refused(
    services: Services, program: Principal
) -> None:
    async def acts_and_is_repeated() -> Answer:
        with pytest.raises(StillRunning):
            await services.idempotency.once(program, "k", REQUEST, acts)
        with pytest.raises(KeyReused):
            await services.idempotency.once(program, "k", b"another", acts)
        return await acts()

    assert (await services.idempotency.once(program, "k", REQUEST, acts_and_is_repeated)).body == {"n": 1}


async def unanswered(services: Services, program: Principal) -> int:
    async with services.database.workspace(program.workspace_id) as connection:
        cursor = await connection.execute("SELECT count(*) AS n FROM idempotency WHERE status IS NULL")
        row = await cursor.fetchone()
    assert row is not None
    return int(row["n"])


async def test_what_a_dead_process_began_and_nobody_repeats_ends(services: Services, program: Principal) -> None:
    await leave_claim(services, program, owner=123_456_789)
    await Sweep(services.database, owner=1).drop_unanswered()
    assert await unanswered(services, program) == 0


async def test_what_a_living_process_works_on_and_what_is_answered_does_not_end(
    services: Services, program: Principal
) -> None:
    sweep = Sweep(services.database, owner=1)
    other = Instance(services.database.dedicated)
    await other.open()
    try:
        await leave_claim(services, program, other.number)
        await sweep.drop_unanswered()
        assert await unanswered(services, program) == 1
    finally:
        await other.close()
    async with asyncio.timeout(10):  # PostgreSQL notices a moment later that the process is gone
        while True:
            with contextlib.suppress(StillRunning):
                assert (await services.idempotency.once(program, "k", REQUEST, acts)).status == 201
                break
            await asyncio.sleep(0.01)
    await sweep.drop_unanswered()
    assert (await services.idempotency.once(program, "k", REQUEST, acts)).repeated


async def test_an_answer_is_kept_though_its_process_was_taken_for_dead(services: Services, program: Principal) -> None:
    async def acts_for_long() -> Answer:
        await Sweep(services.database, owner=1).drop_unanswered()
        assert await unanswered(services, program) == 0
        return await acts()

    await Idempotency(services.database, owner=123_456_789).once(program, "k", REQUEST, acts_for_long)
    assert (await services.idempotency.once(program, "k", REQUEST, acts)).repeated


class Away:
    """The database, away while `is_away`; counts who came meanwhile."""

    def __init__(self, database: Database) -> None:
        self.is_away = False
        self.came = 0
        self._database = database

    @contextlib.asynccontextmanager
    async def workspace(self, workspace_id: str) -> AsyncIterator[Connection]:
        if self.is_away:
            self.came += 1
            raise psycopg.OperationalError("away")
        async with self._database.workspace(workspace_id) as connection:
            yield connection


async def test_a_request_that_met_an_outage_is_given_up_when_the_database_is_back(
    services: Services, program: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "AGAIN_SECONDS", 0.01)
    database: Any = Away(services.database)

    async def meets_an_outage() -> Answer:
        database.is_away = True
        raise psycopg.OperationalError("away")

    mine = Idempotency(database, services.conversation_side.instance.number)
    with pytest.raises(psycopg.OperationalError):
        await mine.once(program, "k", REQUEST, meets_an_outage)
    async with asyncio.timeout(10):
        while database.came < 3:  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(0.01)
        assert await unanswered(services, program) == 1
        database.is_away = False
        while await unanswered(services, program):  # noqa: ASYNC110  # a row tells nobody
            await asyncio.sleep(0.01)


async def test_who_gives_up_late_leaves_a_claim_that_was_taken_over(services: Services, program: Principal) -> None:
    async def is_taken_over() -> Answer:
        await Sweep(services.database, owner=1).drop_unanswered()
        await leave_claim(services, program, owner=123_456_789)
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        await Idempotency(services.database, owner=987_654_321).once(program, "k", REQUEST, is_taken_over)
    assert await unanswered(services, program) == 1
