"""A load generator in a process of its own: raw HTTP/1.1 over kept connections, several requests in flight.

Reads one JSON object from standard input: {"port", "in_flight", "seconds" or "requests", "path", "keys": [...],
"texts": [...], "begin": path or ""}. With `begin`, each connection begins a conversation there and talks in it; `{id}` in the path is its
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


class Span:
    """What is counted: requests after the warm-up, until the time is over or so many were sent."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.began = time.perf_counter()
        self._seconds = float(plan.get("seconds", 0))
        self._left = int(plan.get("requests", 0))
        self.counted_from = self.began + 0.25 * self._seconds

    def goes_on(self, now: float) -> bool:
        """Whether one more request is to be sent."""
        if self._seconds:
            return now < self.counted_from + self._seconds
        self._left -= 1
        return self._left >= 0


async def talk(plan: dict[str, Any], number: int, span: Span, found: list[float], failed: list[int]) -> None:
    """One connection's requests."""
    first = number % len(plan["keys"])
    line = Line(plan["port"], plan["keys"][first:] + plan["keys"][:first])
    await line.open()
    path = plan["path"]
    if plan["begin"]:
        status, answer = await line.post(plan["begin"], b"{}")
        assert status == 201, answer
        path = path.replace("{id}", json.loads(answer)["conversation_id"])
    bodies = itertools.cycle([json.dumps({"text": text}).encode() for text in plan["texts"]])
    while span.goes_on(now := time.perf_counter()):
        status, _ = await line.post(path, next(bodies))
        if status >= 300:
            failed.append(status)
        elif now >= span.counted_from:
            found.append((time.perf_counter() - now) * 1000)


async def measure(plan: dict[str, Any]) -> dict[str, float]:
    """Requests per second, p50 and p95 in milliseconds, and how many failed."""
    span = Span(plan)
    found: list[float] = []
    failed: list[int] = []
    await asyncio.gather(*(talk(plan, n, span, found, failed) for n in range(plan["in_flight"])))
    cuts = statistics.quantiles(found, n=100)
    return {
        "per_s": len(found) / (plan.get("seconds") or time.perf_counter() - span.began),
        "p50_ms": statistics.median(found),
        "p95_ms": cuts[94],
        "p99_ms": cuts[98],
        "failed": float(len(failed)),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(json.load(sys.stdin)))))
