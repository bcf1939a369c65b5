"""A worker to be killed or frozen in the middle of a send. Run by test_deliveries_killed; argument: database address."""

from __future__ import annotations

import asyncio
import sys

from graph_runtime.worker.main import work
from tests.delivery_world import sending


async def main(url: str) -> None:
    async with sending(url, is_started=False) as side:
        print("ready", flush=True)
        await work(side, asyncio.Event(), deliveries=side.deliveries, events=side.events)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
