"""Waits for the answer to one message, made here or by another process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from graph_runtime.services.live import Live
from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.storage.conversations import ConversationReader

SECOND_LOOK_SECONDS = 1.0


class Answers:
    """Looks at the inbox, and looks again whenever something happens in the conversation."""

    def __init__(self, reader: ConversationReader, live: Live, runner: TurnRunner) -> None:
        self._reader = reader
        self._runner = runner
        self._live = live
        self._is_stopping = False

    def stop(self) -> None:
        """End all waiting without an answer."""
        self._is_stopping = True

    async def of_turn(
        self, workspace_id: str, conversation_id: str, inbox_id: str, seconds: float
    ) -> list[dict[str, Any]] | None:
        """What the agent said in the turn of a trigger; None when it is not ready in time."""
        running = self._runner.task(conversation_id)
        if running is not None and self._runner.answer(conversation_id, inbox_id) is None:
            # Nearly always the turn runs here: then there is nothing to watch and nobody to ask.
            began = asyncio.get_running_loop().time()
            await asyncio.wait({running}, timeout=seconds)
            seconds = max(0.0, seconds - (asyncio.get_running_loop().time() - began))
        answer = self._runner.answer(conversation_id, inbox_id)
        if answer is not None:
            return answer.messages

        async def is_done() -> bool:
            return (
                self._runner.answer(conversation_id, inbox_id) is not None
                or await self._reader.inbox_state(workspace_id, inbox_id) != "pending"
            )

        if not await self._until(conversation_id, is_done, seconds):
            return None
        answer = self._runner.answer(conversation_id, inbox_id)
        return (
            answer.messages
            if answer is not None
            else await self._reader.messages_of_turn(workspace_id, conversation_id, inbox_id)
        )

    async def idle(self, workspace_id: str, conversation_id: str, seconds: float) -> bool:
        """Until no trigger waits and no turn runs; False when that takes longer."""

        async def is_idle() -> bool:
            head = await self._reader.head(workspace_id, conversation_id)
            return head is None or not head["is_running"]

        return await self._until(conversation_id, is_idle, seconds)

    async def _until(self, conversation_id: str, is_true: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        with contextlib.suppress(TimeoutError), self._live.pulse(conversation_id) as beat:
            async with asyncio.timeout(seconds):
                running = self._runner.task(conversation_id)
                if running is not None:
                    await asyncio.wait({running})
                while True:
                    beat.clear()
                    if await is_true():
                        return True
                    if self._is_stopping:
                        return False
                    # News of another process may be lost with its connection, hence the second look.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(SECOND_LOOK_SECONDS):
                            await beat.wait()
        return False
