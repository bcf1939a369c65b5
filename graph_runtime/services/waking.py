"""The ways to wake workers that a process uses, chosen from its settings."""

from __future__ import annotations

from graph_runtime.jobs.jobs import HandleTurn, Jobs, Queue
from graph_runtime.storage.calls import Calls
from graph_runtime.storage.news import Direct


class NotifyJobs:
    """Through the database itself: every listening worker hears of it, one gets the lease."""

    def __init__(self, database: Direct) -> None:
        self._calls = Calls(database)

    def send(self, job: HandleTurn, queue: Queue = "chat") -> None:
        """Returns at once."""
        self._calls.call(job.workspace_id, job.conversation_id)

    async def close(self) -> None:
        """Send what is left."""
        await self._calls.close()


def way_to_workers(database: Direct, redis_url: str | None) -> Jobs:
    """Redis where there is one, the database where there is none or while Redis is away."""
    notify = NotifyJobs(database)
    if redis_url is None:
        return notify
    from graph_runtime.jobs.queue import RedisJobs

    return RedisJobs(redis_url, notify)
