"""HTTP/1.1 as lean as a driver of thousands needs it: connections that are kept, whole answers, one timeout for all of it.

A general client costs more of the machine than the product that is tested.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

NO_ANSWER = (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError)
"""What a request raises when nobody answered it."""
IDLE_SECONDS = 15.0
"""What was idle for longer is not used again, as every client does: the other side may be closing it."""
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole one."""

    status: int
    body: bytes
    retry_after: float = 0.0
    """Seconds, when it says so."""

    def json(self) -> Any:
        """Its body."""
        return orjson.loads(self.body)


class Connections:
    """Any number of requests at once, each on a connection of its own; a free one is used again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._free: dict[str, list[tuple[Pair, float]]] = defaultdict(list)

    async def request(
        self, method: str, address: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Raises: NO_ANSWER."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {address.partition('//')[2]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        sent = "\r\n".join([*lines, "", ""]).encode() + (body or b"")
        async with asyncio.timeout(self._seconds):
            pair = self._take(address) or await _connect(address)
            try:
                pair[1].write(sent)
                answer, is_kept = await _read(pair[0])
            except BaseException:
                pair[1].transport.abort()
                raise
        if is_kept:
            self._free[address].append((pair, time.monotonic()))
        else:
            pair[1].close()
        return answer

    def close(self) -> None:
        """Hang up everywhere."""
        for pair in (pair for pairs in self._free.values() for pair, _ in pairs):
            pair[1].transport.abort()
        self._free.clear()

    def _take(self, address: str) -> Pair | None:
        free = self._free[address]
        while free:
            (reader, writer), since = free.pop()
            if not reader.at_eof() and not writer.is_closing() and time.monotonic() - since < IDLE_SECONDS:
                return reader, writer
            writer.close()
        return None


async def _connect(address: str) -> Pair:
    place = urlsplit(address)
    return await asyncio.open_connection(place.hostname, place.port)


async def _read(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    _, found, rest = head.partition("\r\ncontent-length:")
    if not found and status not in (204, 304):
        raise ValueError("an answer without a length")
    length = int(rest.split("\r\n", 1)[0]) if found else 0
    body = await reader.readexactly(length)
    asked = re.search(r"\r\nretry-after: (\d+)", head)
    return Answer(status, body, float(asked[1]) if asked else 0.0), "\r\nconnection: close" not in head
