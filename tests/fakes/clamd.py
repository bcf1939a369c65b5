"""A local stand-in for ClamAV's daemon: the commands' framing, chunks and limits as clamd checks them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

HARMFUL = b"pretended-virus-%d" % 7
"""A file that contains this is harmful."""
FOUND = "Patchcord.Test-1"


@dataclass
class Clamd:
    """`fault`: "", "error", "hang up", "hang" or "babble". `largest`: its StreamMaxLength in bytes."""

    address: str
    largest: int = 100_000_000
    fault: str = ""
    scanned: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one command."""
        try:
            writer.write(await self._answer(reader) + b"\0")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        if await reader.readuntil(b"\0") != b"zINSTREAM\0":
            return b"UNKNOWN COMMAND"
        content = b""
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            if len(content) + size > self.largest:
                return b"INSTREAM size limit exceeded. ERROR"
            content += await reader.readexactly(size)
        self.scanned.append(content)
        if self.fault == "hang up":
            raise ConnectionResetError
        if self.fault == "hang":
            await reader.read()
        if self.fault == "error":
            return b"stream: Can't allocate memory ERROR"
        if self.fault == "babble":
            return b"x" * 20_000
        return f"stream: {FOUND} FOUND".encode() if HARMFUL in content else b"stream: OK"


@contextlib.asynccontextmanager
async def clamd(folder: Path | None = None) -> AsyncIterator[Clamd]:
    """One that listens on a free port, or on a socket in `folder`."""
    if folder is not None:
        found = Clamd(f"unix://{folder / 'clamd.ctl'}")
        server = await asyncio.start_unix_server(found.serve, folder / "clamd.ctl")
    else:
        listening = socket.create_server(("127.0.0.1", 0))
        found = Clamd(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        server = await asyncio.start_server(found.serve, sock=listening)
    async with server:
        yield found
