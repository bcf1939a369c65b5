"""Vectors of OpenAI, and of every service with the same address: Ollama, vLLM, LM Studio, text-embeddings-inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connectors._langchain.vectors import MOST_CHARACTERS, ask_for_vectors

EMBEDDERS: Final = (
    ("text-embedding-3-small", "text-embedding-3-small: quick and inexpensive, many languages"),
    ("bge-m3", "bge-m3: for a server of your own, many languages"),
)


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
        body = {"model": self._model, "input": [t[:MOST_CHARACTERS] for t in texts], "encoding_format": "float"}
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        url = f"{self._address}/embeddings"
        return await ask_for_vectors(url, body, headers, _vectors, vendor=self._provider, count=len(texts))

    def unrelated(self, query: str) -> float:
        """Nobody measured it."""
        return 0.0

    async def aclose(self) -> None:
        """Nothing is held."""


def _vectors(answer: Any) -> list[list[Any]]:
    return [row["embedding"] for row in sorted(answer["data"], key=lambda row: int(row["index"]))]
