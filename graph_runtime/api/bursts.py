"""Accepts whole bursts of connections.

libuv accepts one connection in each round of the loop, and a round of a busy process takes a tenth of a second: of a hundred
new connections the last would wait ten seconds, while those that are open already are served.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from typing import Final

import structlog

log = structlog.get_logger(__name__)
AT_ONCE: Final = 200
"""In one round."""


class Bursts:
    """Listens beside the loop's own server on the same sockets; `close` before that server is closed."""

    def __init__(self, make_protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make_protocol
        self._listening: list[socket.socket] = []
        self._beginning: set[asyncio.Task[None]] = set()

    def open(self, fds: Iterable[int]) -> None:
        """Accept on these listening sockets as well."""
        for fd in fds:
            listening = socket.socket(fileno=os.dup(fd))
            listening.setblocking(False)
            self._listening.append(listening)
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def close(self) -> None:
        """Accept nothing more here."""
        for listening in self._listening:
            self._loop.remove_reader(listening.fileno())
            listening.close()
        self._listening.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except OSError:
                return  # nobody else waits, or whoever did has gone; what lacks files is said by the server itself
            accepted.setblocking(False)
            task = asyncio.create_task(self._begin(accepted), name="begin_connection")
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:
            accepted.close()
