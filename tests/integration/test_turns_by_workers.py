"""A web process that only accepts, and workers that run: through the database, through Redis, and when Redis is lost."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.messages import Reply
from graph_runtime.contract.models import ModelReply
from graph_runtime.jobs.jobs import HandleTurn, Queue
from graph_runtime.jobs.queue import RedisJobs
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.conversation_side import Part
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.main import work
from tests.conversation_world import Process, process, publish
from tests.engine.small_nodes import flow
from tests.fakes.redis_server import RedisServer, redis_server

Admin = psycopg.Connection[tuple[Any, ...]]
ECHO = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "?", "save_to": "x"}), "a": ("say", {"text": "You said {{ var.x }}"})},
    {"s.next": "q", "q.answered": "a", "a.next": "q"},
)
THINKING = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "?"}), "m": ("think", {"text": "x"})},
    {"s.next": "q", "q.answered": "m", "m.next": "q"},
)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@asynccontextmanager
async def worker(url: str, outside: Outside | None = None, redis_url: str | None = None) -> AsyncIterator[Process]:
    """A worker process, as a task; it has stopped properly when the block ends."""
    stop = asyncio.Event()
    async with process(url, outside, part=Part(shows=True, redis_url=redis_url)) as side:
        running = asyncio.create_task(work(side, stop, redis_url=redis_url, drain_seconds=5))
        try:
            yield side
        finally:
            stop.set()
            await running


def web(url: str, redis_url: str | None = None) -> Any:
    return process(url, part=Part(runs_what_it_accepts=False, redis_url=redis_url))


async def until(holds: Callable[[], bool], seconds: float) -> None:
    """Look again and again."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def asked(w: Process, access: ChannelAccess, conversation: str, text: str) -> float:
    """Say something and wait for its answer; the seconds that took."""
    began = time.perf_counter()
    accepted = await w.conversations.receive(access, conversation, Reply(text=text), dedupe_key=text)
    said = await w.conversations.wait_for_turn(access, conversation, accepted.inbox_id, 20)
    assert said is not None, "no answer in time"
    assert said[0]["text"] == f"You said {text}"
    return time.perf_counter() - began


async def begun(w: Process, access: ChannelAccess) -> str:
    conversation = await w.conversations.start(access, dedupe_key="start")
    assert await w.conversations.wait_until_idle(access, conversation, 20)
    return conversation


async def nothing_is_left(admin: Admin, conversation: str) -> None:
    row = admin.execute(
        "SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE attempts <> 1) FROM inbox"
        " WHERE conversation_id = %s",
        (conversation,),
    ).fetchone()
    assert row == (0, 0)


async def test_what_web_accepts_waits_untouched_when_there_is_no_worker(
    postgres: EmbeddedPostgres, admin: Admin
) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with web(postgres.app_url) as w:
        conversation = await w.conversations.start(access, dedupe_key="k")
        assert not w.runner.running
        await w.conversations.receive(access, conversation, Reply(text="hi"), dedupe_key="1")
        assert not w.runner.running
        rows = admin.execute(
            "SELECT i.state, i.attempts, i.first_run_at, c.lease_owner FROM inbox i JOIN conversation c ON c.id = i.conversation_id"
            " WHERE c.id = %s",
            (conversation,),
        ).fetchall()
        assert rows == [("pending", 0, None, None)] * 2
        async with worker(postgres.app_url):
            assert await w.conversations.wait_until_idle(access, conversation, 20)
        assert await w.texts(access, conversation) == ["> hi", "?", "You said hi", "?"]
    await nothing_is_left(admin, conversation)


async def test_a_call_through_the_database_is_answered_at_once(postgres: EmbeddedPostgres, admin: Admin) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with web(postgres.app_url) as w, worker(postgres.app_url), worker(postgres.app_url):
        conversation = await begun(w, access)
        seconds = [await asked(w, access, conversation, str(n)) for n in range(6)]
        assert sorted(seconds)[2] < 0.5, seconds
        assert (await w.texts(access, conversation)).count("You said 3") == 1
    await nothing_is_left(admin, conversation)


async def test_jobs_travel_through_redis(postgres: EmbeddedPostgres, admin: Admin, redis: RedisServer) -> None:
    redis.flush()
    access = publish(postgres.admin_url, ECHO)
    async with web(postgres.app_url, redis.url) as w, worker(postgres.app_url, redis_url=redis.url):
        conversation = await begun(w, access)
        seconds = [await asked(w, access, conversation, str(n)) for n in range(6)]
        assert sorted(seconds)[2] < 1.0, seconds
        assert redis.client().exists("patchcord:__heartbeats__")
    await nothing_is_left(admin, conversation)
    assert redis.client().llen("patchcord:chat") == 0


async def test_a_flushed_redis_costs_seconds_and_nothing_else(
    postgres: EmbeddedPostgres, admin: Admin, redis: RedisServer
) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with web(postgres.app_url, redis.url) as w:
        conversation = await w.conversations.start(access, dedupe_key="k")
        await w.conversations.receive(access, conversation, Reply(text="hi"), dedupe_key="1")
        await until(lambda: bool(redis.client().llen("patchcord:chat")), 5)
        redis.flush()
        began = time.monotonic()
        async with worker(postgres.app_url, redis_url=redis.url):
            assert await w.conversations.wait_until_idle(access, conversation, 20)
            assert time.monotonic() - began < 6
            # And the queue works again, with its scripts and heartbeats gone.
            assert await asked(w, access, conversation, "second") < 3
    await nothing_is_left(admin, conversation)


async def test_a_killed_redis_stops_nobody(postgres: EmbeddedPostgres, admin: Admin, tmp_path: Path) -> None:
    access = publish(postgres.admin_url, ECHO)
    with redis_server(tmp_path) as own:
        async with web(postgres.app_url, own.url) as w, worker(postgres.app_url, redis_url=own.url):
            conversation = await begun(w, access)
            own.kill()
            for n in range(4):
                began = time.perf_counter()
                accepted = await w.conversations.receive(access, conversation, Reply(text=f"a{n}"), dedupe_key=f"a{n}")
                assert time.perf_counter() - began < 0.5
                assert await w.conversations.wait_for_turn(access, conversation, accepted.inbox_id, 20)
                assert time.perf_counter() - began < 6
            own.start()
            await asyncio.sleep(2.1)  # the pause in which Redis is left in peace
            for n in range(3):
                await asked(w, access, conversation, f"b{n}")
            await until(lambda: bool(own.client().exists("patchcord:__heartbeats__")), 10)
    await nothing_is_left(admin, conversation)


async def test_a_silent_redis_delays_no_sender() -> None:
    class Other:
        def __init__(self) -> None:
            self.jobs: list[HandleTurn] = []

        def send(self, job: HandleTurn, queue: Queue = "chat") -> None:
            self.jobs.append(job)

        async def close(self) -> None: ...

    other = Other()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        jobs = RedisJobs(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", other)
        slowest = 0.0
        for n in range(200):
            began = time.perf_counter()
            jobs.send(HandleTurn("w", str(n)))
            slowest = max(slowest, time.perf_counter() - began)
            await asyncio.sleep(0)
        assert slowest < 0.1
        await until(lambda: len(other.jobs) == 200, 3)
        await jobs.close()
    assert {job.conversation_id for job in other.jobs} == {str(n) for n in range(200)}


class Slow:
    """Streams its answer, and ends when it is let."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def run(self, _request: Any, _models: Any, on_delta: Any = None, _on_reset: Any = None) -> ModelReply:
        on_delta("Hel")
        on_delta("lo")
        await self.may_end.wait()
        return ModelReply("Hello")

    @property
    def outside(self) -> Outside:
        async def models(*_: str) -> list[Any]:
            return []

        return Outside(runner=self, models=models)


async def test_watchers_at_web_see_what_a_worker_is_saying(postgres: EmbeddedPostgres) -> None:
    model = Slow()
    access = publish(postgres.admin_url, THINKING)
    async with web(postgres.app_url) as w, worker(postgres.app_url, model.outside) as elsewhere:
        conversation = await begun(w, access)
        async with w.conversations.watch(access, conversation, after_seq=1) as events:
            await until(lambda: bool(elsewhere.store.news.is_heard), 10)
            accepted = await w.conversations.receive(access, conversation, Reply(text="go"), dedupe_key="1")
            seen: list[dict[str, Any]] = []
            async with asyncio.timeout(10):
                async for event in events:
                    seen.append(event)
                    if event["type"] == "delta":
                        model.may_end.set()
                    if event["type"] == "turn" and event["turn_id"] == accepted.inbox_id:
                        break
    kinds = [e["type"] for e in seen]
    assert "typing" in kinds
    assert "".join(e["text"] for e in seen if e["type"] == "delta") == "Hello"
    said = [e["message"]["text"] for e in seen if e["type"] == "message"]
    assert said[:2] == ["go", "Hello"], "the final text comes before the end of the turn"


async def test_a_draining_worker_hands_over_what_it_cannot_end(postgres: EmbeddedPostgres, admin: Admin) -> None:
    stuck, quick = Slow(), Slow()
    quick.may_end.set()
    access = publish(postgres.admin_url, THINKING)
    member = Principal(access.workspace_id, None, "owner", PERMISSIONS["owner"])
    async with web(postgres.app_url) as w:
        stop = asyncio.Event()
        async with process(postgres.app_url, stuck.outside, part=Part(shows=True)) as old:
            running = asyncio.create_task(work(old, stop, drain_seconds=0.2))
            conversation = await begun(w, access)
            accepted = await w.conversations.receive(access, conversation, Reply(text="go"), dedupe_key="1")
            await until(lambda: bool(old.runner.running), 10)
            async with worker(postgres.app_url, quick.outside):
                await asyncio.sleep(0.2)
                began = time.monotonic()
                stop.set()
                await running
                said = await w.conversations.wait_for_turn(member, conversation, accepted.inbox_id, 10)
                assert said is not None
                assert time.monotonic() - began < 1.9, "the others were not woken, the sweeper found it"
    assert admin.execute("SELECT attempts FROM inbox WHERE id = %s", (accepted.inbox_id,)).fetchone() == (1,)


async def test_whoever_watches_or_waits_is_let_go_when_the_process_ends(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with web(postgres.app_url) as w:
        conversation = await w.conversations.start(access, dedupe_key="k")
        accepted = await w.conversations.receive(access, conversation, Reply(text="hi"), dedupe_key="1")
        waiting = asyncio.create_task(w.conversations.wait_for_turn(access, conversation, accepted.inbox_id, 60))
        async with w.conversations.watch(access, conversation) as events:
            assert (await anext(events))["message"]["text"] == "hi"
            await asyncio.sleep(0)
            await w.drain(0)
            async with asyncio.timeout(5):
                assert [event async for event in events] == []
                assert await waiting is None
