"""The sender: claims what is due and delivers it, each queue with places of its own; one for messages, one for events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog

from graph_runtime.storage.outbox import OUTBOX_CHANNEL, Queue

log = structlog.get_logger(__name__)
SECONDS: Final = 2.0
PLACES: Final[Mapping[Queue, int]] = {"chat": 64, "bulk": 24}
"""How many messages are on their way at once; a broadcast takes no place from replies."""

GATHER_SECONDS: Final[Mapping[str, float]] = {"bulk": 0.04}
"""How long finished places of a queue are gathered before the next claim, which costs as much for one message as for eight."""

EVENT_PLACES: Final[Mapping[str, int]] = {"events": 32}
EVENT_SECONDS: Final = 1.0
"""Turns do not announce their events: a notification would make commits wait for each other."""

Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class _Ticket(Protocol):
    @property
    def claimed(self) -> Any: ...


T = TypeVar("T", bound=_Ticket)
Q = TypeVar("Q", bound=str)
Q_contra = TypeVar("Q_contra", bound=str, contravariant=True)


class Sends(Protocol[Q_contra, T]):
    """What a sender drives: `services.deliveries.Deliveries`, `services.event_sending.EventSending`."""

    on_again: Callable[[float], None]

    async def claim(self, queue: Q_contra, limit: int) -> list[T]: ...

    async def deliver(self, ticket: T) -> None: ...

    async def look_after(self) -> int: ...

    def shares(self, senders: int) -> None: ...


class Sender(Generic[Q, T]):
    """Woken by commits, by its own finished messages and retries, and every two seconds by itself.

    `count`: how many senders live, this one included; each keeps its part of every rate. `channel`: the notification
    that something is to be sent.
    """

    def __init__(
        self,
        deliveries: Sends[Q, T],
        listen: Listen,
        places: Mapping[Q, int],
        *,
        count: Callable[[], Awaitable[int]] | None = None,
        seconds: float = SECONDS,
        channel: str = OUTBOX_CHANNEL,
    ) -> None:
        self._deliveries = deliveries
        self._listen = listen
        self._count = count
        self._seconds = seconds
        self._places = places
        self._channel = channel
        self._wakes = {queue: asyncio.Event() for queue in places}
        self._tasks: dict[Q, set[asyncio.Task[None]]] = {queue: set() for queue in places}
        deliveries.on_again = self._again

    async def run(self) -> None:
        """For ever; a database that is away is asked again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            group.create_task(self._look_after())
            for queue in self._places:
                group.create_task(self._send(queue))

    async def close(self, seconds: float = 10.0) -> None:
        """Let messages on their way arrive; what takes longer is left to other processes as unknown."""
        tasks = [task for of_queue in self._tasks.values() for task in of_queue]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def once(self, queue: Q | None = None) -> int:
        """Claim and deliver what is due now; how many attempts. `queue` None: the first."""
        queue = queue or next(iter(self._places))
        tickets = await self._deliveries.claim(queue, self._places[queue])
        await asyncio.gather(*map(self._deliveries.deliver, tickets))
        return len(tickets)

    def _wake(self) -> None:
        for event in self._wakes.values():
            event.set()

    def _again(self, seconds: float) -> None:
        if seconds < self._seconds:
            asyncio.get_running_loop().call_later(seconds + 0.005, self._wake)

    async def _hear(self) -> None:
        async for _ in self._listen(self._channel):
            self._wake()

    async def _look_after(self) -> None:
        while True:
            try:
                if self._count is not None:
                    self._deliveries.shares(await self._count())
                if await self._deliveries.look_after():
                    self._wake()
            except Exception:
                log.exception("look_after_failed")
            await asyncio.sleep(self._seconds)

    async def _send(self, queue: Q) -> None:
        wake, tasks, places = self._wakes[queue], self._tasks[queue], self._places[queue]
        while True:
            wake.clear()
            try:
                if len(tasks) < places:
                    for ticket in await self._deliveries.claim(queue, places - len(tasks)):
                        task = asyncio.create_task(self._deliver(ticket), name=f"send {ticket.claimed.id}")
                        tasks.add(task)
                        task.add_done_callback(partial(self._done, queue))
            except Exception:
                log.exception("claim_failed", queue=queue)
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the event being set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await wake.wait()
                    await asyncio.sleep(GATHER_SECONDS.get(queue, 0.0))

    def _done(self, queue: Q, task: asyncio.Task[None]) -> None:
        self._tasks[queue].discard(task)
        self._wakes[queue].set()

    async def _deliver(self, ticket: T) -> None:
        try:
            await self._deliveries.deliver(ticket)
        except Exception:
            # The claim lapses by itself, at once when this process dies.
            log.exception("deliver_failed", id=str(ticket.claimed.id))
