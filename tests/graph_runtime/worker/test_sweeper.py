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
    """Each turn takes a moment, or until `may_end` where that is cleared."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running: list[asyncio.Task[None]] = []
        self.most = 0
        self.kept_apart: frozenset[str] = frozenset()
        self.may_end = asyncio.Event()
        self.may_end.set()

    def start(
        self, workspace_id: str, conversation_id: str, *, is_steal: bool = False, is_left: bool = False
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._turn())
        self.running.append(task)
        task.add_done_callback(self.running.remove)
        # A task that is done leaves the list one step of the loop later.
        self.most = max(self.most, sum(not running.done() for running in self.running))
        self.started.append(conversation_id)
        return task

    async def _turn(self) -> None:
        await asyncio.sleep(0.01)
        await self.may_end.wait()


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


async def test_a_worker_busy_with_what_comes_now_takes_up_what_was_left_behind() -> None:
    left, runner = Left(3), Runner()
    runner.may_end.clear()
    for n in range(AT_ONCE * 2):
        runner.start("w", f"new {n}")
    fakes: Any = (left, runner)
    assert await Sweeper(*fakes).once() == 3
    assert runner.started[-3:] == ["0", "1", "2"]
    runner.may_end.set()
    await asyncio.wait(runner.running)


async def test_what_has_not_begun_yet_is_taken_up_once_and_counts() -> None:
    left, runner = Left(0), Runner()
    runner.may_end.clear()
    fakes: Any = (left, runner)
    sweeper = Sweeper(*fakes)
    waiting = [("w", str(n), True) for n in range(AT_ONCE + 5)]
    for taken in (AT_ONCE, 0):
        left.waiting = [*waiting]  # nobody has the lease of any of them yet
        assert await sweeper.once() == taken
    runner.kept_apart = frozenset({"0", "1"})  # wait to run alone, and take no place
    left.waiting = [*waiting]
    assert await sweeper.once() == 2
    assert runner.started == [str(n) for n in range(AT_ONCE + 2)]
    runner.may_end.set()
    await asyncio.wait(runner.running)
    left.waiting = waiting[-3:]
    assert await sweeper.once() == 3
    await asyncio.wait(runner.running)
