"""Hears the calls of web processes through the database, and runs the turns they accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from graph_runtime.storage.calls import TURNS_CHANNEL

AT_ONCE: Final = 256
"""Most turns do nothing but wait, for a model or for the contact's next message."""
MOST_WAITING: Final = 2000

Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class RunsTurns(Protocol):
    """`services.turn_runner.TurnRunner`."""

    @property
    def is_closing(self) -> bool: ...

    def start(self, workspace_id: str, conversation_id: str) -> asyncio.Task[None]: ...

    def task(self, conversation_id: str) -> asyncio.Task[None] | None: ...


class Listener:
    """Every worker hears every call; who leases first runs the turn. What is too much here is left to the others.

    Whoever writes five messages while the first waits for its turn is called for once: the turn finds all of them.
    """

    def __init__(self, runner: RunsTurns, listen: Listen, *, at_once: int = AT_ONCE) -> None:
        self._runner = runner
        self._listen = listen
        self._places = asyncio.Semaphore(at_once)
        self._waiting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For ever."""
        async for _, payload in self._listen(TURNS_CHANNEL):
            workspace_id, _, conversation_id = payload.partition(" ")
            if conversation_id and conversation_id not in self._waiting and len(self._tasks) < MOST_WAITING:
                self._waiting.add(conversation_id)
                task = asyncio.create_task(self._handle(workspace_id, conversation_id), name="call")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _handle(self, workspace_id: str, conversation_id: str) -> None:
        try:
            # Its turn runs here, and goes on with what came meanwhile: only what it has missed is left.
            while (running := self._runner.task(conversation_id)) is not None:
                await asyncio.wait({running})
                await asyncio.sleep(0)  # it is forgotten in a callback
            await self._places.acquire()
        finally:
            # From here on the lease looks at what is stored, so a call that comes now is a call of its own.
            self._waiting.discard(conversation_id)
        try:
            if not self._runner.is_closing:
                await asyncio.wait({self._runner.start(workspace_id, conversation_id)})
        finally:
            self._places.release()
