"""A program that receives an agent's messages over a real socket, keeps its own books, and fails on request.

In tests: `with receiving() as fake: lane = fake.lane(); lane.fail("reset_after_accept"); fake.url(lane)` is the address.
POST /LANE takes a message in; GET /LANE?key=… says whether one with that key was taken in ({"id": …} or 404).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

FaultKind = Literal[
    "none",  # answered as it should be
    "rate_limited",  # 429 with retry-after; not taken in
    "server_error",  # 500; not taken in
    "bad_request",  # 400; not taken in
    "unauthorized",  # 401; not taken in
    "gone",  # 410; not taken in
    "redirect",  # 307 to another lane; not taken in
    "reset_before_accept",  # the connection breaks; not taken in
    "reset_after_accept",  # taken in, then the connection breaks
    "slow",  # taken in, answered after `seconds`
    "hang",  # taken in, never answered
]
FAULTS: tuple[str, ...] = get_args(FaultKind)
NOT_TAKEN_IN = {
    "rate_limited": 429,
    "server_error": 500,
    "bad_request": 400,
    "unauthorized": 401,
    "gone": 410,
    "redirect": 307,
}


@dataclass
class Fault:
    """Something that goes wrong for the next `times` requests. `seconds`: the pause, or what retry-after says."""

    kind: FaultKind
    times: int = 1
    seconds: float = 1.0


@dataclass(frozen=True)
class Arrived:
    """One request. `accepted`: taken in, whatever the sender got to see of it."""

    lane: str
    key: str
    at: float
    headers: dict[str, str]
    body: bytes
    fault: str
    accepted: bool

    @property
    def data(self) -> dict[str, Any]:
        """The body as JSON; of a Patchcord webhook its `data`."""
        parsed: dict[str, Any] = json.loads(self.body)
        inner = parsed.get("data")
        return inner if isinstance(inner, dict) else parsed

    @property
    def body_hash(self) -> str:
        """Tells a changed body."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass
class Lane:
    """One receiver with its own books and faults."""

    name: str
    journal: list[Arrived] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)

    def fail(self, kind: FaultKind, *, times: int = 1, seconds: float = 1.0) -> None:
        """Let the next requests go wrong."""
        if kind not in FAULTS:
            raise ValueError(f"no such fault: {kind}")
        self.faults.append(Fault(kind, times, seconds))

    @property
    def accepted(self) -> list[Arrived]:
        """What was taken in, repeats too, in order."""
        return [a for a in self.journal if a.accepted]

    @property
    def delivered(self) -> list[Arrived]:
        """What was taken in, repeats of a key folded, in order: what a KEYED receiver acts on."""
        return list({a.key: a for a in reversed(self.accepted)}.values())[::-1]

    @property
    def texts(self) -> list[str]:
        """The words of everything taken in, in order."""
        return [a.data["text"] for a in self.accepted]

    def repeats(self) -> dict[str, int]:
        """Keys that were taken in more than once, and how often."""
        return {key: n for key, n in Counter(a.key for a in self.accepted).items() if n > 1}

    def next_fault(self) -> Fault | None:
        """What goes wrong with the request that is here now."""
        if not self.faults:
            return None
        fault = self.faults[0]
        fault.times -= 1
        if fault.times <= 0:
            self.faults.popleft()
        return fault


class WebhookReceiver:
    """The lanes and the address; runs in a thread of its own."""

    def __init__(self) -> None:
        self.port = 0
        self.lanes: dict[str, Lane] = {}
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="webhook receiver")

    def lane(self, name: str = "") -> Lane:
        """The lane of that name, or a fresh one."""
        name = name or f"l{len(self.lanes) + 1}"
        return self.lanes.setdefault(name, Lane(name))

    def url(self, lane: Lane) -> str:
        """The address that takes messages in."""
        return f"http://127.0.0.1:{self.port}/{lane.name}"

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        """Hang up and end the thread."""
        self._call(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody listens at the address meanwhile."""
        self._call(self._hang_up())
        try:
            yield
        finally:
            self._call(self._listen())

    def arrived(self, lane: Lane, arrived: Arrived) -> None:
        """One request, in the books."""
        lane.journal.append(arrived)

    def refuses(self, lane: Lane, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a request is turned away before it is looked at."""
        return False

    async def told(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """A request to a path that begins with "_" is for the fake itself."""
        return await answer(writer, 404, {})

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in [*self._open]:
            writer.transport.abort()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close in a later turn of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for line in head[1:] if line for k, _, v in [line.partition(":")]}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        url = urlsplit(target)
        if url.path.startswith("/_"):
            return await self.told(url.path, body, writer)
        lane = self.lane(url.path.strip("/"))
        if method == "GET":
            return await self._find(lane, parse_qs(url.query).get("key", [""])[0], writer)
        if self.refuses(lane, headers, body):
            return await answer(writer, 401, {})
        fault = lane.next_fault()
        kind = fault.kind if fault else ""
        accepted = kind not in NOT_TAKEN_IN and kind != "reset_before_accept"
        key = headers.get("webhook-id") or headers.get("x-key", "")
        self.arrived(lane, Arrived(lane.name, key, time.monotonic(), headers, body, kind, accepted))
        if fault is not None and kind.startswith("reset"):
            _reset(writer)
            return False
        if kind == "hang":
            await reader.read()
            return False
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.seconds)
        more = f"retry-after: {fault.seconds:.0f}\r\n" if fault and kind == "rate_limited" else ""
        more += "location: /followed\r\n" if kind == "redirect" else ""
        return await answer(writer, NOT_TAKEN_IN.get(kind, 200), {"id": f"r{len(lane.journal)}"}, more)

    async def _find(self, lane: Lane, key: str, writer: asyncio.StreamWriter) -> bool:
        place = next((n for n, a in enumerate(lane.journal, 1) if a.accepted and a.key == key), 0)
        return await answer(writer, 200 if place else 404, {"id": f"r{place}"})


async def answer(writer: asyncio.StreamWriter, status: int, said: dict[str, Any], more: str = "") -> bool:
    """Answer with JSON; the connection stays open."""
    body = json.dumps(said).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection with a reset instead of a farewell."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def receiving() -> Iterator[WebhookReceiver]:
    """A receiver that listens while the block runs."""
    fake = WebhookReceiver()
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()
