"""A reranker over a real socket: strict about what it is asked, scores by words that a test names, fails on request.

`with reranker() as fake: fake.likes = "roses"; fake.url` is the address. A text that has the liked word scores 0.9, others less.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

KEY = "rk-4711"
MODEL = "reranker-small"
Fault = Literal["", "down", "busy", "hangs", "doubles", "misses", "no_numbers", "no_json"]


@dataclass
class Reranker:
    """`asked`: the bodies of the requests that were right."""

    url: str = ""
    likes: str = ""
    fault: Fault = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    goes_on: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, authorization: str, body: Any) -> tuple[int, bytes]:
        """Status and body."""
        if authorization != f"Bearer {KEY}":
            return 401, b'{"detail": "bad key"}'
        texts: Any = body.get("documents") if isinstance(body, dict) else None
        if path != "/v1/rerank" or not isinstance(texts, list) or not texts or {*map(type, texts)} != {str}:
            return 422, b'{"detail": "documents"}'
        if body.keys() != {"model", "query", "documents", "top_n"} or body["model"] != MODEL:
            return 422, b'{"detail": "not a request for this model"}'
        if type(body["query"]) is not str or not 1 <= body["top_n"] <= len(texts):
            return 422, b'{"detail": "query or top_n"}'
        self.asked.append(body)
        if self.fault in ("down", "busy"):
            return (503 if self.fault == "down" else 429), b"{}"
        if self.fault == "hangs":
            self.goes_on.wait(30)
        rows: list[dict[str, Any]] = [
            {"index": n, "relevance_score": 0.9 if self.likes in t else 0.5 / (n + 2)} for n, t in enumerate(texts)
        ]
        rows.sort(key=lambda row: -row["relevance_score"])
        if self.fault == "doubles":
            rows[-1]["index"] = rows[0]["index"]
        elif self.fault == "misses":
            rows.pop()
        elif self.fault == "no_numbers":
            rows[0]["relevance_score"] = "very"
        return 200, b"<html>" if self.fault == "no_json" else json.dumps({"results": rows[: body["top_n"]]}).encode()


@contextmanager
def reranker() -> Iterator[Reranker]:
    """A running one."""
    fake = Reranker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, content = fake.answer(self.path, self.headers.get("authorization", ""), body)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:  # nobody waits any more
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
