"""Uvicorn for tests: it ends when it is told to. Its own server looks ten times a second whether it should, and hundreds of
tests would each wait a fifth of a second for that."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn
from wsproto.utilities import LocalProtocolError

LOOK_SECONDS = 0.005
MOMENT_SECONDS = 0.1
"""For connections to end that are not waited for."""


class QuickServer(uvicorn.Server):
    """As orderly as uvicorn's: connections are told, requests end, then the application."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def leave(self) -> None:
        """Begin to end; from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._leaving.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._accept_no_more()
        for listener in sockets or ():
            listener.close()
        for connection in [*self.server_state.connections]:
            with contextlib.suppress(LocalProtocolError):  # the other side has just hung up
                connection.shutdown()
        await self._wait(MOMENT_SECONDS if self.force_exit else self.config.timeout_graceful_shutdown)
        await self._hang_up()
        await self.lifespan.shutdown()

    async def _accept_no_more(self) -> None:
        """asyncio drops a connection that it has accepted and not yet given to its protocol when the server closes, and
        never closes it: there are no such ones when it is listened to no longer for a few turns of the loop."""
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listener in server.sockets:
                loop.remove_reader(listener.fileno())
        for _ in range(4):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    async def _wait(self, seconds: float | None) -> None:
        state = self.server_state
        try:
            async with asyncio.timeout(seconds):
                while state.connections or state.tasks:  # noqa: ASYNC110 (uvicorn has no event for it)
                    await asyncio.sleep(LOOK_SECONDS)
                for server in self.servers:
                    await server.wait_closed()
        except TimeoutError:
            for task in [*state.tasks]:
                task.cancel()

    async def _hang_up(self) -> None:
        """On what has not ended. A connection left open would be warned about, in some other test."""
        for connection in [*self.server_state.connections]:
            if (transport := getattr(connection, "transport", None)) is not None:
                transport.abort()
        await asyncio.sleep(0)
