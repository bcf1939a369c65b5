"""Bulkheads: a queue that is full holds up no other queue, and never runs more at once than it may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest

from graph_runtime.jobs.jobs import HandleTurn, NoJobs
from graph_runtime.jobs.queue import RedisJobs
from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.worker.actors import Actors, Bulkhead
from tests.fakes.redis_server import RedisServer, redis_server


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Runner:
    """Notes what it is given; conversations called "slow" last until they are let go."""

    is_closing = False

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = asyncio.Event()
        self.changed = asyncio.Event()

    def start(self, _workspace_id: str, conversation_id: str) -> asyncio.Task[None]:
        self.begun.append(conversation_id)
        self.changed.set()
        return asyncio.create_task(self._run(conversation_id))

    async def _run(self, conversation_id: str) -> None:
        if conversation_id.startswith("slow"):
            await self.may_end.wait()

    async def until(self, *conversations: str) -> None:
        async with asyncio.timeout(10):
            while not set(conversations) <= set(self.begun):
                self.changed.clear()
                await self.changed.wait()


async def test_a_full_queue_holds_up_no_other(redis: RedisServer) -> None:
    runner = Runner()
    actors = Actors(redis.url, cast(TurnRunner, runner), {"bulk": Bulkhead(1, 20), "chat": Bulkhead(2, 20)})
    jobs = RedisJobs(redis.url, NoJobs(), seconds=2)
    for n in range(3):
        jobs.send(HandleTurn("w", f"slow {n}"), "bulk")
    actors.start()
    await runner.until("slow 0")
    jobs.send(HandleTurn("w", "quick"), "chat")
    await runner.until("quick")
    assert runner.begun == ["slow 0", "quick"], "more at once than the bulkhead allows"
    runner.may_end.set()
    await runner.until("slow 0", "slow 1", "slow 2")
    await jobs.close()
    await actors.stop(5)
    client: Any = redis.client()
    assert client.llen("patchcord:bulk") == client.llen("patchcord:chat") == 0
    assert client.hlen("patchcord:bulk.msgs") == 0, "what was done was not acknowledged"


async def test_turns_that_only_wait_leave_room_for_many_more(redis: RedisServer) -> None:
    runner = Runner()
    actors = Actors(redis.url, cast(TurnRunner, runner), {"chat": Bulkhead(51, 20)})
    jobs = RedisJobs(redis.url, NoJobs(), seconds=2)
    actors.start()
    waiting = [f"slow {n}" for n in range(50)]
    for name in waiting:
        jobs.send(HandleTurn("w", name), "chat")
    await runner.until(*waiting)
    jobs.send(HandleTurn("w", "quick"), "chat")
    await runner.until("quick")
    runner.may_end.set()
    await jobs.close()
    await actors.stop(5)
    assert not actors._tasks


async def test_a_stopping_worker_leaves_what_it_did_not_begin_to_others(redis: RedisServer) -> None:
    first, second = Runner(), Runner()
    jobs = RedisJobs(redis.url, NoJobs(), seconds=2)
    for n in range(3):
        jobs.send(HandleTurn("w", f"slow {n}"), "bulk")
    old = Actors(redis.url, cast(TurnRunner, first), {"bulk": Bulkhead(1, 20)})
    old.start()
    await first.until("slow 0")
    stopping = asyncio.create_task(old.stop(5))
    first.may_end.set()
    await stopping
    second.may_end.set()
    new = Actors(redis.url, cast(TurnRunner, second), {"bulk": Bulkhead(1, 20)})
    new.start()
    await second.until(*({"slow 0", "slow 1", "slow 2"} - set(first.begun)))
    await new.stop(5)
    await jobs.close()
    assert sorted(first.begun + second.begun) == ["slow 0", "slow 1", "slow 2"]
