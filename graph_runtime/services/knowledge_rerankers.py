"""The rerankers behind knowledge bases: one request for each search, with a short limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from graph_runtime.contract.errors import Unreachable
from graph_runtime.knowledge.search import Rerank
from graph_runtime.services.bound_connections import BoundConnections
from graph_runtime.storage.database import Row

SECONDS: Final = 2.0
"""A search waits no longer; what was found then stays in its own order."""


class KnowledgeRerankers:
    """For services, inside the program."""

    def __init__(self, connections: BoundConnections, seconds: float = SECONDS) -> None:
        self._connections = connections
        self._seconds = seconds

    def for_queries(self, workspace_id: str, bases: Sequence[Row]) -> Rerank | None:
        """That of the first of these bases that has one. `bases`: rows of `storage.passages.embedders`."""
        credential_id = next((str(row["reranker"]) for row in bases if row["reranker"]), "")
        return self._asks(workspace_id, credential_id) if credential_id else None

    def _asks(self, workspace_id: str, credential_id: str) -> Rerank:
        async def rerank(query: str, texts: Sequence[str]) -> list[float]:
            try:
                async with asyncio.timeout(self._seconds):
                    opened = await self._connections.open_known(workspace_id, credential_id, "reranker")
                    assert opened.kind.reranker is not None
                    reranker = opened.kind.reranker.open(opened.settings, self._connections.way_out(opened))
                    return await reranker.rerank(query, texts)
            except TimeoutError:
                raise Unreachable("The reranker did not answer in time.") from None

        return rerank
