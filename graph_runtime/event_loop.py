"""The event loop of our processes: uvloop, where it is made for the system, and no long pauses in it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Final

LOOKS_AFTER: Final = (10_000, 3, 3)
"""New objects, and looks at younger ones, before the garbage collector looks: at everything after ninety thousand."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main function to its end."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for Windows
        return None
    return uvloop.new_event_loop


def is_uvloop(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this loop is uvloop's."""
    return type(loop).__module__.partition(".")[0] == "uvloop"


def keep_what_stands(*, collects: bool = True) -> None:
    """Once a process is ready: what it is made of stays, and the garbage collector need not look through it again.

    It is a quarter of a million objects, and looking through them stops everything for more than a tenth of a second, just
    when many new objects come at once. What comes then is looked through seldom: with thirty turns on their way, each of the
    usual looks, after 700 objects, goes through thousands that are still used.

    `collects` False: at once, where somebody is waiting already; what is garbage by now stays.
    """
    if collects:
        gc.collect()
    gc.freeze()
    gc.set_threshold(*LOOKS_AFTER)
