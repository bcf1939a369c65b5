"""Vectors of OpenAI, and of every service with the same address: Ollama, vLLM, LM Studio, text-embeddings-inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connectors._langchain import clients
from connectors._langchain.errors import NO_CONNECTION, SLOW, UNREADABLE, from_status
from graph_runtime.contract.errors import BadAnswer, Unreachable

EMBEDDERS: Final = (
    ("text-embedding-3-small", "text-embedding-3-small: quick and inexpensive, many languages"),
    ("bge-m3", "bge-m3: for a server of your own, many languages"),
)
SECONDS: Final = 60.0
MOST_CHARACTERS: Final = 24_000


class OpenAiEmbedder:
    """POST {address}/embeddings."""

    at_once = 64

    def __init__(self, provider: str, address: str, key: str, model: str) -> None:
        self.name = f"{provider}/{model}"
        self._provider = provider
        self._address = address
        self._key = key
        self._model = model

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        """As the contract says; the vendor makes no difference between texts and queries."""
        import httpx2

        body = {"model": self._model, "input": [t[:MOST_CHARACTERS] for t in texts], "encoding_format": "float"}
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            async with clients.http_client() as client:
                answer = await client.post(f"{self._address}/embeddings", json=body, headers=headers, timeout=SECONDS)
        except httpx2.TimeoutException:
            raise Unreachable(SLOW, vendor=self._provider) from None
        except httpx2.HTTPError:
            raise Unreachable(NO_CONNECTION, vendor=self._provider) from None
        if answer.status_code != 200:
            raise from_status(answer.status_code, answer.text[:2000], answer.headers, vendor=self._provider)
        return self._vectors(answer, len(texts))

    def _vectors(self, answer: Any, count: int) -> list[list[float]]:
        try:
            rows = sorted(answer.json()["data"], key=lambda row: int(row["index"]))
            vectors = [[float(x) for x in row["embedding"]] for row in rows]
        except (ValueError, KeyError, TypeError):
            raise BadAnswer(UNREADABLE, vendor=self._provider) from None
        if len(vectors) != count or len({len(v) for v in vectors}) != 1 or not vectors[0]:
            raise BadAnswer(UNREADABLE, vendor=self._provider)
        return vectors
