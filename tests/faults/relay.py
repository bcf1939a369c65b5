"""A relay of ours between two parties, on TCP ports or socket files, that can be cut, reset, held and slowed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, Protocol

Place = Path | int
"""A socket file, or a port of this machine."""
Mode = Literal["pass", "hold", "refuse"]
CHUNK = 65_536


class Ear(Protocol):
    """Hears one connection. What it returns is passed on; None cuts the connection, the bytes do not arrive."""

    def upward(self, data: bytes) -> bytes | None: ...

    def downward(self, data: bytes) -> bytes | None: ...


class Relay:
    """`hold` keeps everything back, as a network without a route does; `refuse` hangs up on newcomers."""

    def __init__(self, listen: Place, upstream: Place, *, ear: Callable[[], Ear] | None = None) -> None:
        self.listen = listen
        self.upstream = upstream
        self.delay_seconds = 0.0
        self._ear = ear
        self._mode: Mode = "pass"
        self._may_pass = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def mode(self) -> Mode:
        """What it does now."""
        return self._mode

    async def start(self) -> None:
        """Listen."""
        self._may_pass.set()
        if isinstance(self.listen, Path):
            self.listen.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._accept, self.listen)
            self.listen.chmod(0o777)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.listen)

    async def switch(self, mode: Mode) -> None:
        """Do something else from now on."""
        self._mode = mode
        if mode == "pass":
            self._may_pass.set()
        else:
            self._may_pass.clear()

    async def cut(self, *, reset: bool = False) -> None:
        """Break every connection; `reset`: as a crash does, not as a polite end."""
        for writer in [*self._writers]:
            if reset and (raw := writer.get_extra_info("socket")) is not None and raw.family != socket.AF_UNIX:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def stop(self) -> None:
        """Listen no more and break everything."""
        if self._server is not None:
            self._server.close()
        await self.cut()
        for task in [*self._links]:
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self._writers.add(writer)
        above: asyncio.StreamWriter | None = None
        try:
            if self._mode == "refuse":
                return
            up_reader, above = await self._connect()
            self._writers.add(above)
            ear = self._ear() if self._ear else None
            ways = [
                asyncio.ensure_future(self._pump(reader, above, ear.upward if ear else None)),
                asyncio.ensure_future(self._pump(up_reader, writer, ear.downward if ear else None)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(task)
            for end in (writer, above):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection("127.0.0.1", self.upstream)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, hear: Callable[[bytes], bytes | None] | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                if not self._may_pass.is_set():
                    await self._may_pass.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                passed = hear(data) if hear else data
                if passed is None:
                    return
                sink.write(passed)
                await sink.drain()


class Switchboard:
    """Relays in a thread of their own, so that they work while the harness is busy."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._relays: list[Relay] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()

    def add(self, relay: Relay) -> Relay:
        """Start a relay."""
        self.do(relay.start())
        self._relays.append(relay)
        return relay

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the thread and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        """Stop all relays."""
        for relay in self._relays:
            self.do(relay.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
