"""One question to the database for all who want to know the same at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")


class AskedOnce(Generic[Found]):
    """Whoever comes while the answer is on its way waits for it, and nobody's going away stops it.

    What is remembered lapses for all at once: without this, every request of that moment would take a connection of its
    own to ask.
    """

    def __init__(self) -> None:
        self._asking: dict[Hashable, asyncio.Task[Found]] = {}

    async def ask(self, key: Hashable, question: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
        """The answer to the question of this key. Raises: what the question raises, to everybody who waits for it."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(question(), name="asked_once")
            task.add_done_callback(lambda done: self._is_answered(key, done))
        return await asyncio.shield(task)

    def _is_answered(self, key: Hashable, task: asyncio.Task[Found]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # seen, even if whoever asked has gone
