"""Hears the calls of web processes through the database, and runs the turns they accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.storage.calls import TURNS_CHANNEL

AT_ONCE: Final = 32
MOST_WAITING: Final = 2000

Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class Listener:
    """Every worker hears every call; who leases first runs the turn. What is too much here is left to the others."""

    def __init__(self, runner: TurnRunner, listen: Listen, *, at_once: int = AT_ONCE) -> None:
        self._runner = runner
        self._listen = listen
        self._places = asyncio.Semaphore(at_once)
        self._waiting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For ever."""
        async for _, payload in self._listen(TURNS_CHANNEL):
            workspace_id, _, conversation_id = payload.partition(" ")
            if conversation_id and len(self._waiting) < MOST_WAITING:
                task = asyncio.create_task(self._handle(workspace_id, conversation_id), name="call")
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)

    async def _handle(self, workspace_id: str, conversation_id: str) -> None:
        async with self._places:
            if not self._runner.is_closing:
                await asyncio.wait({self._runner.start(workspace_id, conversation_id)})
