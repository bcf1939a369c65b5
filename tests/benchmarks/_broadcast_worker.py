"""A worker that runs steps of chains and sends, until it is killed: what the broadcast of `bench time` goes out by."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime

import uvloop

from graph_runtime.contract.channels import Rate
from graph_runtime.worker.main import give_way
from tests.chain_world import chaining
from tests.delivery_world import CONNECTORS
from tests.fakes.push_channels import BLIND


async def work(url: str, rate: Rate) -> None:
    """For ever. `rate`: what the vendor allows."""
    assert BLIND.channel is not None
    CONNECTORS[BLIND.id] = replace(BLIND, channel=replace(BLIND.channel, channel_rate=rate))
    async with chaining(url, datetime.now(UTC)) as side:
        print("ready", flush=True)
        give_way()
        await side.by_the_database().run()


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1], Rate(float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
