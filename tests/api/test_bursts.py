"""Connections that come at once are accepted at once, also by a loop whose rounds are long."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import ExitStack
from typing import cast

import pytest

from graph_runtime import event_loop
from graph_runtime.api.bursts import Bursts

MANY = 100
ROUNDS = 20


class Counted(asyncio.Protocol):
    made = lost = 0

    def connection_lost(self, exc: Exception | None) -> None:
        Counted.lost += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Counted.made += 1
        cast(asyncio.Transport, transport).write(b"hello")
        transport.close()


async def _burst(*, has_bursts: bool) -> int:
    """How many of many connections are served within a few rounds of the loop."""
    Counted.made = Counted.lost = 0
    loop = asyncio.get_running_loop()
    assert event_loop.is_uvloop(loop)
    server = await loop.create_server(Counted, "127.0.0.1", 0, backlog=2 * MANY)
    bursts = Bursts(Counted)
    with ExitStack() as open_ones:
        try:
            if has_bursts:
                bursts.open(s.fileno() for s in server.sockets)
            clients = [open_ones.enter_context(socket.socket()) for _ in range(MANY)]
            for client in clients:
                client.connect(server.sockets[0].getsockname())
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            made = Counted.made
            async with asyncio.timeout(10):
                while Counted.lost < MANY:  # noqa: ASYNC110  # rounds are what is counted here
                    await asyncio.sleep(0)
            assert {client.recv(5) for client in clients} == {b"hello"}
        finally:
            bursts.close()
            server.close()
            await server.wait_closed()
    return made


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not made for it")
def test_a_burst_is_accepted_in_a_few_rounds_of_the_loop() -> None:
    import uvloop

    assert uvloop.run(_burst(has_bursts=True)) == MANY
    assert uvloop.run(_burst(has_bursts=False)) <= 2 * ROUNDS, "then this is not needed any more"
