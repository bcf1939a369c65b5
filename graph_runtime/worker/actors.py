"""Takes jobs from Redis: one bulkhead per queue, each with a number of places of its own; the turns run on our own loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import dramatiq
import structlog
from dramatiq.asyncio import set_event_loop_thread

from graph_runtime.jobs.jobs import QUEUES, Queue
from graph_runtime.jobs.queue import HANDLE_TURN, WakeBroker, broker
from graph_runtime.services.turn_runner import TurnRunner

log = structlog.get_logger(__name__)
T = TypeVar("T")
REDIS_SECONDS: Final = 5.0
CHATS_AT_ONCE: Final = 256
THREADS: Final = 4
"""Of a queue: they begin turns, and do not wait for their end."""
THREAD_SECONDS: Final = 1.0
"""How often an idle thread looks whether it should end; a job wakes it at once."""


@dataclass(frozen=True, slots=True)
class Bulkhead:
    """`at_once`: turns of one worker process. `idle_ms`: how long an idle queue is left alone before the next look."""

    at_once: int
    idle_ms: int


BULKHEADS: Final[dict[Queue, Bulkhead]] = {
    "voice": Bulkhead(8, 100),
    "chat": Bulkhead(CHATS_AT_ONCE, 50),
    "integrations": Bulkhead(6, 500),
    "bulk": Bulkhead(2, 1000),
    "ingest": Bulkhead(1, 1000),
}


class _OurLoop:
    """What async actors run on, in Dramatiq's terms: the loop of this process, where the services live."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run_coroutine(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Actors:
    """A job that is taken twice, or late, finds nothing to do; one that fails is the sweeper's. So nothing is retried
    here: the brokers have no middleware at all."""

    def __init__(self, url: str, runner: TurnRunner, bulkheads: dict[Queue, Bulkhead] | None = None) -> None:
        self._runner = runner
        self._tasks: set[asyncio.Task[None]] = set()
        self._parts = [
            self._part(url, queue, bulkhead) for queue, bulkhead in (bulkheads or BULKHEADS).items() if queue in QUEUES
        ]

    def _part(self, url: str, queue: Queue, bulkhead: Bulkhead) -> dramatiq.Worker:
        """A broker of its own: a queue cannot hold up another one."""
        own: WakeBroker = broker(url, seconds=REDIS_SECONDS)
        own.declare_queue(queue)
        runner, places = self._runner, asyncio.Semaphore(bulkhead.at_once)

        async def handle_turn(workspace_id: str, conversation_id: str) -> None:
            """Begin it. Most turns do nothing but wait, for a model or for the contact's next message: a place costs
            nothing, a thread does."""
            await places.acquire()
            if runner.is_closing:
                places.release()
                return
            task = runner.start(workspace_id, conversation_id)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: places.release())

        threads = min(bulkhead.at_once, THREADS)
        dramatiq.actor(actor_name=HANDLE_TURN, queue_name=queue, broker=own)(handle_turn)
        worker = dramatiq.Worker(own, queues={queue}, worker_threads=threads, worker_timeout=bulkhead.idle_ms)
        # What this process cannot begin at once stays in Redis for a process that can.
        worker.queue_prefetch = threads
        return worker

    def start(self) -> None:
        """Begin to take jobs; a Redis that is away is asked again every few seconds."""
        set_event_loop_thread(_OurLoop(asyncio.get_running_loop()))  # type: ignore[arg-type]  # only its one method
        for worker in self._parts:
            worker.start()
            for thread in worker.workers:
                thread.timeout = THREAD_SECONDS
        log.info("actors_ready", queues=[*BULKHEADS])

    async def stop(self, seconds: float) -> None:
        """Take no more jobs, and wait until those taken have ended."""
        loop = asyncio.get_running_loop()
        stops: list[Awaitable[None]] = [
            loop.run_in_executor(None, worker.stop, int(seconds * 1000)) for worker in self._parts
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + 5):
                await asyncio.gather(*stops, return_exceptions=True)
                if self._tasks:
                    await asyncio.wait([*self._tasks])  # whoever does not wait any more does not end them
