"""Vectors of Google's Gemini API, which tells questions from documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connectors._langchain.vectors import MOST_CHARACTERS, ask_for_vectors

EMBEDDERS: Final = (("gemini-embedding-001", "gemini-embedding-001: more than a hundred languages"),)
DIMENSIONS: Final = 768
"""The model makes 3072 by itself; 768 lose little and are searched through an index."""


class GeminiEmbedder:
    """POST {address}/{version}/models/{model}:batchEmbedContents."""

    at_once = 64

    def __init__(self, provider: str, address: str, key: str, model: str) -> None:
        self.name = f"{provider}/{model}"
        self._provider = provider
        self._url = f"{address}/models/{model}:batchEmbedContents"
        self._key = key
        self._model = model

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        """As the contract says."""
        about = {
            "model": f"models/{self._model}", "outputDimensionality": DIMENSIONS,
            "taskType": "RETRIEVAL_QUERY" if is_query else "RETRIEVAL_DOCUMENT",
        }  # fmt: skip
        requests = [about | {"content": {"parts": [{"text": t[:MOST_CHARACTERS]}]}} for t in texts]
        headers = {"x-goog-api-key": self._key}
        return await ask_for_vectors(
            self._url, {"requests": requests}, headers, _vectors, vendor=self._provider, count=len(texts)
        )

    def unrelated(self, query: str) -> float:
        """Nobody measured it."""
        return 0.0

    async def aclose(self) -> None:
        """Nothing is held."""


def _vectors(answer: Any) -> list[list[Any]]:
    return [row["values"] for row in answer["embeddings"]]
