"""Calls as `bench calls` plays them: what they count, and what they leave behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from tests.benchmarks._call_load import Caller, Load, _line
from tests.benchmarks._call_server import Media, Steps
from voice.call import Call
from voice.dialogue import Dialogue
from voice.latency import TurnLatency
from voice.playout import Playout, Utterance
from voice.speaker import Piece, Speaker

SECONDS = 10
"""A turn that is heard to its end, and one that is interrupted."""

OF_A_TURN = (Piece, Speaker, TurnLatency, Utterance, asyncio.Task)


@asynccontextmanager
async def played(calls: int) -> AsyncIterator[Media]:
    """So many, on sockets, in time that passes when everything is done."""
    steps = Steps()
    media = Media("whole", lambda: steps.at)
    port = await media.open()
    load = Load(lambda _: None)
    frames, begins, ends = _line(talks=True)
    for number in range(calls):
        load.add(Caller(port, load.now, frames, number * 7, begins, ends))
    until = load.now() + SECONDS
    while load.now() < until:
        load.turn()
        await steps.to(load.now(), media.clock)
    try:
        yield media
    finally:
        for caller in load.callers:
            caller.sock.close()
        await media.server.close()
        assert media.calls is not None
        for call in list(media.calls._on):
            await call.finished()
        assert media.detector is not None
        media.detector.stop()


@contextmanager
def uncollected() -> Iterator[None]:
    """The garbage collector looks only when it is told to."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_what_calls_counted_stays_counted_when_they_are_over() -> None:
    async with played(2) as media:
        assert media.calls is not None
        next(iter(media.calls._on)).counts.false_interruptions += 3
        before = media.calls.figures()
    assert not media.calls._on
    assert before["interruptions"] >= 2
    assert before["false_interruptions"] >= 3
    assert media.calls.figures() == before


async def test_a_call_that_is_over_is_forgotten_at_once() -> None:
    """Not when the garbage collector looks: it looks seldom, and calls end all the time."""
    with uncollected():
        async with played(2) as media:
            assert media.calls is not None
            parts = [
                weakref.ref(part)
                for call in media.calls._on
                for part in (call, call._dialogue, call._playout)
                if part is not None
            ]
            assert [type(part()) for part in parts[:3]] == [Call, Dialogue, Playout]
        async with asyncio.timeout(5):
            while any(part() is not None for part in parts):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)


async def test_a_turn_leaves_nothing_to_the_garbage_collector() -> None:
    """What it finds it finds late: turns of many minutes would lie in memory."""
    with uncollected():
        async with played(1) as media:
            assert media.calls is not None
            assert media.calls.figures()["answers"] >= 3
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [type(o).__name__ for o in gc.garbage if isinstance(o, OF_A_TURN)]
    assert left == []
