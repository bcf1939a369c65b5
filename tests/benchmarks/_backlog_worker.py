"""A worker that fires timers and runs their turns, until it is killed: what the backlog of `bench time` is drained by."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from graph_runtime.contract.catalog import load_catalog
from graph_runtime.worker.main import give_way
from graph_runtime.worker.timers import Timers
from tests.conversation_world import process


async def work(url: str) -> None:
    """For ever."""
    async with process(url, catalog=load_catalog(("nodes",))) as side:
        print("ready", flush=True)
        give_way()
        await asyncio.to_thread(sys.stdin.readline)
        await Timers(side.sweep, side.runner, side.database.listen).run()


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1]))
