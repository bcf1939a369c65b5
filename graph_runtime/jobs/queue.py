"""Jobs over Redis: handed to a thread of their own, which gives up quickly and then takes the other way."""

from __future__ import annotations

import asyncio
import threading
import time
from queue import SimpleQueue
from typing import Any, Final

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from graph_runtime.jobs.jobs import HandleTurn, Jobs, Queue
from graph_runtime.telemetry.metrics import WAKE_UPS

log = structlog.get_logger(__name__)
NAMESPACE: Final = "patchcord"
HANDLE_TURN: Final = "handle_turn"
SECONDS: Final = 0.1
"""How long Redis may take for anything."""
PAUSE_SECONDS: Final = 2.0
"""After a failure it is left in peace for so long."""
MOST_WAITING: Final = 10_000


class WakeBroker(RedisBroker):
    """Without Dramatiq's queues of delayed messages: time is a row in the database."""

    def declare_queue(self, queue_name: str) -> None:
        """Once per name."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def broker(url: str, *, seconds: float, middleware: list[dramatiq.Middleware] | None = None) -> WakeBroker:
    """A broker whose every call ends within about `seconds`. No middleware retries: the database does."""
    client: Any = redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 1),  # once: the connection may be of a Redis that was restarted
        health_check_interval=0,
    )
    return WakeBroker(  # type: ignore[no-untyped-call]
        client=client, namespace=NAMESPACE, middleware=middleware or []
    )


class RedisJobs:
    """`otherwise` takes the jobs while Redis is away."""

    def __init__(self, url: str, otherwise: Jobs, *, seconds: float = SECONDS, pause: float = PAUSE_SECONDS) -> None:
        self._broker = broker(url, seconds=seconds)
        self._otherwise = otherwise
        self._pause = pause
        self._away_until = 0.0
        self._is_away = False
        self._queue: SimpleQueue[tuple[HandleTurn, Queue] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def send(self, job: HandleTurn, queue: Queue = "chat") -> None:
        """Never waits for Redis."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
            self._thread.start()
        if time.monotonic() < self._away_until or self._queue.qsize() > MOST_WAITING:
            self._otherwise.send(job, queue)
        else:
            self._queue.put((job, queue))

    async def close(self) -> None:
        """Send what is left, or give it to the other way."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, 2.0)
            self._thread = None
        await asyncio.sleep(0)  # what the thread handed over last
        await self._otherwise.close()
        self._broker.client.close()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if time.monotonic() < self._away_until or not self._enqueue(*item):
                self._divert(*item)

    def _enqueue(self, job: HandleTurn, queue: Queue) -> bool:
        message: dramatiq.Message[Any] = dramatiq.Message(
            queue_name=queue,
            actor_name=HANDLE_TURN,
            args=(job.workspace_id, job.conversation_id),
            kwargs={},
            options={},
        )
        try:
            self._broker.enqueue(message)
        except (redis.RedisError, OSError) as error:
            self._away_until = time.monotonic() + self._pause
            if not self._is_away:
                self._is_away = True
                log.warning("redis_away", error=type(error).__name__)
            return False
        if self._is_away:
            self._is_away = False
            log.info("redis_back")
        WAKE_UPS.labels("redis").inc()
        return True

    def _divert(self, job: HandleTurn, queue: Queue) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._otherwise.send, job, queue)
