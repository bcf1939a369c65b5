"""Calls that a worker hears: each conversation is run once for all that came before it began, and nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from graph_runtime.worker.listener import Listener


class Runner:
    """Turns that last until they are let go."""

    def __init__(self) -> None:
        self.is_closing = False
        self.began: list[str] = []
        self._running: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    def start(self, workspace_id: str, conversation_id: str) -> asyncio.Task[None]:
        assert workspace_id == "w"
        self.began.append(conversation_id)
        end = asyncio.Event()
        task = asyncio.create_task(self._turn(end))
        self._running[conversation_id] = (task, end)
        task.add_done_callback(lambda _: self._running.pop(conversation_id))
        return task

    async def _turn(self, end: asyncio.Event) -> None:
        await end.wait()

    def task(self, conversation_id: str) -> asyncio.Task[None] | None:
        return self._running[conversation_id][0] if conversation_id in self._running else None

    async def end(self, conversation_id: str) -> None:
        self._running[conversation_id][1].set()
        await settled()


async def settled() -> None:
    """Whatever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextmanager
def heard(runner: Runner, *, at_once: int) -> Iterator[asyncio.Queue[str]]:
    """A listener, and the queue of what it hears."""
    said: asyncio.Queue[str] = asyncio.Queue()

    async def listen(*_: str) -> AsyncIterator[tuple[str, str]]:
        yield "turns", ""
        while True:
            yield "turns", f"w {await said.get()}"

    listening = asyncio.create_task(Listener(runner, listen, at_once=at_once).run())
    try:
        yield said
    finally:
        listening.cancel()


async def test_many_messages_of_one_contact_are_one_call_until_its_turn_begins() -> None:
    runner = Runner()
    with heard(runner, at_once=1) as said:
        for conversation in ("a", "b", "b", "c", "b"):
            said.put_nowait(conversation)
        await settled()
        assert runner.began == ["a"]
        await runner.end("a")
        assert runner.began == ["a", "b"]
        await runner.end("b")
        await runner.end("c")
        assert runner.began == ["a", "b", "c"], "the second and third message of b were there when its turn began"


async def test_what_comes_while_a_turn_runs_is_looked_for_once_after_it() -> None:
    runner = Runner()
    with heard(runner, at_once=4) as said:
        said.put_nowait("a")
        await settled()
        for _ in range(3):
            said.put_nowait("a")
        await settled()
        assert runner.began == ["a"], "its turn runs here and goes on with what came"
        await runner.end("a")
        assert runner.began == ["a", "a"]
        said.put_nowait("a")
        await settled()
        await runner.end("a")
        assert runner.began == ["a", "a", "a"], "a call that came after the turn had begun is not lost"


async def test_a_conversation_whose_turn_lasts_takes_no_second_place() -> None:
    runner = Runner()
    with heard(runner, at_once=2) as said:
        for conversation in ("a", "a", "b"):
            said.put_nowait(conversation)
            await settled()
        assert runner.began == ["a", "b"]


async def test_a_worker_that_ends_begins_nothing_more() -> None:
    runner = Runner()
    with heard(runner, at_once=1) as said:
        said.put_nowait("a")
        said.put_nowait("b")
        await settled()
        runner.is_closing = True
        await runner.end("a")
        assert runner.began == ["a"]
