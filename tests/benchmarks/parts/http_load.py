"""A load generator in a process of its own: raw HTTP/1.1 over kept connections, several requests in flight.

Reads one JSON object from standard input: {"port", "in_flight", "seconds", "paths": [...], "keys": [...], "texts": [...],
"begin": path or ""}. With `begin`, each connection begins a conversation there and talks in it; `{id}` in the path is its
id. Writes one JSON object: requests per second and milliseconds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from typing import Any

import uvloop


class Line:
    """One connection; one request at a time."""

    def __init__(self, port: int, keys: list[str]) -> None:
        self._port = port
        # A key may send so many requests a minute; they take turns.
        self._heads = itertools.cycle(
            f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n" for key in keys
        )
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """(status, body) of the answer."""
        head = f"POST {path} HTTP/1.1\r\n{next(self._heads)}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line[:15].lower() == b"content-length:")
        return int(lines[0].split()[1]), await self._reader.readexactly(length)


async def talk(plan: dict[str, Any], number: int, until: list[float], found: list[float], failed: list[int]) -> None:
    """One connection's requests until the time is over; the first part of the time is not counted."""
    first = number % len(plan["keys"])
    line = Line(plan["port"], plan["keys"][first:] + plan["keys"][:first])
    await line.open()
    path = plan["path"]
    if plan["begin"]:
        status, answer = await line.post(plan["begin"], b"{}")
        assert status == 201, answer
        path = path.replace("{id}", json.loads(answer)["conversation_id"])
    bodies = itertools.cycle([json.dumps({"text": text}).encode() for text in plan["texts"]])
    while (now := time.perf_counter()) < until[1]:
        status, _ = await line.post(path, next(bodies))
        if status >= 300:
            failed.append(status)
        elif now >= until[0]:
            found.append((time.perf_counter() - now) * 1000)


async def measure(plan: dict[str, Any]) -> dict[str, float]:
    """Requests per second, p50 and p95 in milliseconds, and how many failed."""
    began = time.perf_counter()
    warm = 0.25 * plan["seconds"]
    until = [began + warm, began + warm + plan["seconds"]]
    found: list[float] = []
    failed: list[int] = []
    await asyncio.gather(*(talk(plan, n, until, found, failed) for n in range(plan["in_flight"])))
    cuts = statistics.quantiles(found, n=100)
    return {
        "per_s": len(found) / plan["seconds"],
        "p50_ms": statistics.median(found),
        "p95_ms": cuts[94],
        "p99_ms": cuts[98],
        "failed": float(len(failed)),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(json.load(sys.stdin)))))
