"""Repeatable requests: answered once, and never blocked by a process that is gone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services.idempotency import Answer, Idempotency, KeyReused, StillRunning
from graph_runtime.services.principal import Principal
from graph_runtime.storage.idempotency import Claim, claim
from graph_runtime.storage.instance import Instance

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
