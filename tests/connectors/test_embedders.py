"""Embedders over a real socket: what is asked, what comes back, and every way in which it may not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.google_gemini import connector as gemini
from connectors.openai import connector as openai
from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    RateLimited,
    Unreachable,
)


class Vendor:
    """Answers every request with `status` and `answer`; None makes vectors from the lengths of the texts."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = None
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                content = json.dumps(outer.made(body) if outer.answer is None else outer.answer).encode()
                self.send_response(outer.status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def made(self, body: Any) -> Any:
        if "requests" in body:
            return {"embeddings": [{"values": [len(r["content"]["parts"][0]["text"]), 1]} for r in body["requests"]]}
        data = [{"index": n, "embedding": [len(text), 1]} for n, text in enumerate(body["input"])]
        return {"data": data[::-1]}


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def embedder(name: str, url: str) -> Any:
    if name == "gemini":
        return gemini.embedder(gemini.Settings(key=SecretStr("k-1"), base_url=url), "gemini-embedding-001")
    return openai.embedder(openai.Settings(key=SecretStr("k-1"), base_url=url + "/v1"), "text-embedding-3-small")


@pytest.mark.parametrize("name", ["openai", "gemini"])
async def test_texts_become_vectors_in_order(vendor: Vendor, name: str) -> None:
    made = embedder(name, vendor.url)
    assert await made.embed(["four", "eleven char"]) == [[4.0, 1.0], [11.0, 1.0]]
    assert await made.embed(["why?"], is_query=True) == [[4.0, 1.0]]
    (path, headers, texts), (_, _, query) = vendor.asked
    if name == "gemini":
        assert path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
        assert headers["x-goog-api-key"] == "k-1"
        assert [r["taskType"] for r in texts["requests"] + query["requests"]] == [
            "RETRIEVAL_DOCUMENT", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY",
        ]  # fmt: skip
        assert {r["outputDimensionality"] for r in texts["requests"]} == {768}
    else:
        assert (path, headers["authorization"]) == ("/v1/embeddings", "Bearer k-1")


@pytest.mark.parametrize("name", ["openai", "gemini"])
@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (401, {"error": {"message": "Incorrect API key provided"}}, CredentialRejected),
        (429, {"error": {"message": "Rate limit reached"}}, RateLimited),
        (503, {"error": {"message": "Overloaded"}}, ConnectorError),
        (200, {"data": [], "embeddings": []}, BadAnswer),
        (200, {"data": [{"index": 0, "embedding": ["x"]}], "embeddings": [{"values": ["x"]}]}, BadAnswer),
        (200, ["nothing"], BadAnswer),
    ],
)
async def test_every_fault_is_said_in_our_words(
    vendor: Vendor, name: str, status: int, answer: Any, expected: type[ConnectorError]
) -> None:
    vendor.status, vendor.answer = status, answer
    with pytest.raises(expected) as failed:
        await embedder(name, vendor.url).embed(["text"])
    assert "k-1" not in failed.value.message


async def test_nobody_there_is_unreachable(vendor: Vendor) -> None:
    gone = embedder("gemini", "http://127.0.0.1:9")
    with pytest.raises(Unreachable):
        await gone.embed(["text"])
