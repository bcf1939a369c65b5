"""What the fakes of stores share: rows in spaces, cosine, faults, a journal, and a server on a port of its own.

A fake derives from `FakeStore` and answers `(method, path, query, headers, body)`; whatever a request has that the vendor would not
accept is answered as the vendor does. `with serving(QdrantFake()) as fake: fake.url`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

KEY = "vs-4711-secret"
Fault = Literal["", "refuses_key", "busy", "down", "hangs_up", "hangs", "nonsense", "unanswered"]
"""`unanswered`: it is carried out, and nobody is told."""
Made = TypeVar("Made", bound="FakeStore")


class Wrong(Exception):
    """The vendor would refuse this request with this status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass
class Space:
    """A collection, class or namespace. `rows`: id → (vector, fields)."""

    dims: int | None
    rows: dict[str, tuple[Any, dict[str, Any]]] = field(default_factory=dict)

    def put(self, row_id: str, vector: Any, fields: Mapping[str, Any]) -> None:
        """Add or overwrite. Raises: Wrong for another length."""
        if not isinstance(vector, list) or not vector or not all(type(v) in (int, float) for v in vector):
            raise Wrong(400, "a vector is a list of numbers")
        if self.dims is None:
            self.dims = len(vector)
        if len(vector) != self.dims:
            raise Wrong(400, f"expected dim: {self.dims}, got {len(vector)}")
        self.rows[row_id] = (np.array(vector, dtype=np.float32), dict(fields))

    def matching(self, holds: Callable[[str, dict[str, Any]], bool]) -> list[str]:
        """Ids of the rows for which `holds(id, fields)`."""
        return [i for i, (_, fields) in self.rows.items() if holds(i, fields)]

    def nearest(self, vector: Any, limit: int, ids: Sequence[str]) -> list[tuple[str, float]]:
        """Those of `ids` by cosine similarity. Raises: Wrong for another length."""
        if not isinstance(vector, list) or (self.dims is not None and len(vector) != self.dims):
            raise Wrong(400, f"expected dim: {self.dims}, got {len(vector)}")
        asked = np.array(vector, dtype=np.float32)
        scored = [(i, _cosine(self.rows[i][0], asked)) for i in ids]
        return sorted(scored, key=lambda s: (-s[1], s[0]))[:limit]


def _cosine(one: Any, other: Any) -> float:
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length else 0.0


@dataclass
class FakeStore:
    """`asked`: (method, path, body) of the requests that were right. `before`: called with each request first."""

    url: str = ""
    key: str = KEY
    fault: Fault = ""
    spaces: dict[str, Space] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    before: Callable[[str, str], object] | None = None
    goes_on: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def is_authorised(self, headers: Mapping[str, str]) -> bool:
        """Whether the key came where the vendor looks for it. `headers` in lower case."""
        raise NotImplementedError

    def handle(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """The answer to a right request. Raises: Wrong."""
        raise NotImplementedError

    def ids(self) -> set[str]:
        """Of all rows, wherever they lie."""
        return {i for space in self.spaces.values() for i in space.rows}

    def fields(self) -> list[dict[str, Any]]:
        """Of all rows."""
        return [fields for space in self.spaces.values() for _, fields in space.rows.values()]

    def answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, bytes]:
        """Status and body."""
        parts = urlsplit(target)
        if not self.is_authorised(headers) or self.fault == "refuses_key":
            return 401, b'{"error": "Invalid API key"}'
        if self.fault == "busy":
            return 429, b'{"error": "Too many requests"}'
        if self.fault == "down":
            return 503, b"upstream connect error"
        if self.fault == "nonsense":
            return 200, b"<html>Welcome</html>"
        try:
            body = json.loads(raw) if raw else None
            if raw and "json" not in headers.get("content-type", ""):
                raise Wrong(415, "content-type")
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            with self.lock:
                found = self.handle(method, unquote(parts.path), query, body)
                self.asked.append((method, unquote(parts.path), body))
        except Wrong as wrong:
            return wrong.status, json.dumps({"status": {"error": wrong.why}, "error": wrong.why}).encode()
        return 200, json.dumps(found).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeStore

    def do_GET(self) -> None:
        self.any_method()

    def do_POST(self) -> None:
        self.any_method()

    def do_PUT(self) -> None:
        self.any_method()

    def do_DELETE(self) -> None:
        self.any_method()

    def any_method(self) -> None:
        """Read, fail as told, answer."""
        fake = self.fake
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if fake.before is not None:
            fake.before(self.command, self.path)
        if fake.fault == "hangs":
            fake.goes_on.wait(30)
        answer = None
        if fake.fault != "hangs_up":
            answer = fake.answer(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
        if answer is None or fake.fault == "unanswered":
            self.close_connection = True
        else:
            self._say(*answer)

    def _say(self, status: int, content: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            if status == 429:
                self.send_header("retry-after", "7")
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # nobody waits any more
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(fake: Made) -> Iterator[Made]:
    """A running one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def only(body: Any, required: set[str], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A JSON object with these keys and no others. Raises: Wrong."""
    if not isinstance(body, dict) or not required <= body.keys() <= required | optional:
        raise Wrong(422, f"expected {sorted(required)}, got {sorted(body) if isinstance(body, dict) else body}")
    return body
