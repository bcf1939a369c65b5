"""How fast one worker takes over what a dead process leaves."""

from __future__ import annotations

import asyncio
from typing import Any

from graph_runtime.worker.sweeper import AT_ONCE, Sweeper


class Left:
    """So many conversations wait; what was handed out does not come again. Counts how often it was asked."""

    def __init__(self, count: int) -> None:
        self.waiting = [("w", str(n), True) for n in range(count)]
        self.asked = 0

    async def drop_unanswered(self) -> None:
        """No requests here."""

    async def left_behind(self, limit: int = 50) -> list[tuple[str, str, bool]]:
        self.asked += 1
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken


class Runner:
    """Each turn takes a moment."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running: list[asyncio.Task[None]] = []
        self.most = 0
        self.kept_apart: frozenset[str] = frozenset()

    def start(self, workspace_id: str, conversation_id: str, *, is_steal: bool = False, is_left: bool = False) -> None:
        task = asyncio.ensure_future(asyncio.sleep(0.01))
        self.running.append(task)
        task.add_done_callback(self.running.remove)
        self.most = max(self.most, len(self.running))
        self.started.append(conversation_id)


async def sweep_until(left: Left, runner: Runner, count: int, busy_seconds: float) -> None:
    fakes: Any = (left, runner)
    sweeping = asyncio.create_task(Sweeper(*fakes, seconds=3600.0, busy_seconds=busy_seconds).run())
    try:
        async with asyncio.timeout(10):
            while len(runner.started) < count or runner.running:  # noqa: ASYNC110  # fakes tell nobody
                await asyncio.sleep(0.01)
    finally:
        sweeping.cancel()


async def test_hundreds_are_taken_over_without_the_pause_between_looks() -> None:
    left, runner = Left(200), Runner()
    await sweep_until(left, runner, 200, busy_seconds=0.02)
    assert sorted(map(int, runner.started)) == list(range(200))
    assert runner.most <= AT_ONCE


async def test_a_look_that_finds_little_is_followed_by_the_pause() -> None:
    left, runner = Left(AT_ONCE - 1), Runner()
    await sweep_until(left, runner, AT_ONCE - 1, busy_seconds=0.0)
    assert left.asked == 1
