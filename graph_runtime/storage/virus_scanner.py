"""Looks into files that strangers send, with a ClamAV daemon of the installation's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn
from urllib.parse import urlsplit

import structlog

from graph_runtime.contract.errors import FileHarmful, ScannerAway

log = structlog.get_logger(__name__)
SECONDS: Final = 60.0
CHUNK_BYTES: Final = 256 * 1024
LONGEST_ANSWER: Final = 4096

Scan = Callable[[bytes], Awaitable[None]]
"""Raises: FileHarmful, ScannerAway."""


class Clamd:
    """clamd's own protocol: `INSTREAM`, a connection for each file. Nothing is taken in unseen while it is away."""

    def __init__(self, address: str, seconds: float = SECONDS) -> None:
        """`address`: tcp://HOST:PORT or unix:///PATH, which the settings have checked."""
        parts = urlsplit(address)
        self._path = parts.path if parts.scheme == "unix" else ""
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._seconds = seconds

    async def scan(self, content: bytes) -> None:
        """Raises: FileHarmful with what it found, ScannerAway when it cannot be told."""
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._ask(content)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:  # a TimeoutError is an OSError
            _cannot_tell(type(error).__name__)
        said = answer.rstrip(b"\0\n").decode("utf-8", "replace").removeprefix("stream: ")
        if said == "OK":
            return
        if not said.endswith(" FOUND"):
            _cannot_tell(said)
        name = said.removesuffix(" FOUND")
        log.warning("file_harmful", found=name, size=len(content))
        raise FileHarmful("This file was not taken in: the virus scanner found something harmful in it.", found=name)

    async def _ask(self, content: bytes) -> bytes:
        if self._path:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=LONGEST_ANSWER)
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=LONGEST_ANSWER)
        try:
            try:
                writer.write(b"zINSTREAM\0")
                for start in range(0, len(content), CHUNK_BYTES):
                    chunk = content[start : start + CHUNK_BYTES]
                    writer.write(len(chunk).to_bytes(4, "big") + chunk)
                    await writer.drain()
                writer.write(bytes(4))
                await writer.drain()
            except ConnectionError:
                pass  # it may have answered before it hung up, as for a stream that is too long
            return await reader.readuntil(b"\0")
        finally:
            writer.close()


def _cannot_tell(why: str) -> NoReturn:
    log.warning("virus_scanner_away", why=why[:200])
    raise ScannerAway("Files cannot be checked for viruses at the moment. Try again in a few minutes.") from None
