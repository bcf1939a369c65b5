"""The embedders behind knowledge bases, built once per credential; vectors of recent questions are kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.embedding import Embedder
from graph_runtime.contract.errors import CredentialRejected, Unreachable
from graph_runtime.knowledge.meaning import Embed
from graph_runtime.services.bound_models import saved_settings
from graph_runtime.services.vault import Vault
from graph_runtime.storage import credentials as keys
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.encryption import VaultLocked

QUERY_SECONDS: Final = 4.0
"""A question waits no longer for its vector; it is then searched by words."""
_KEPT: Final = 100
_KEPT_QUERIES: Final = 500


class KnowledgeEmbedders:
    """For services and workers, inside the program."""

    def __init__(self, database: Database, catalog: Catalog, vault: Vault) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._kept: OrderedDict[tuple[str, int, str], Embedder] = OrderedDict()
        self._queries: OrderedDict[tuple[str, str, str], list[float]] = OrderedDict()

    async def open(self, workspace_id: str, credential_id: str, model: str) -> Embedder:
        """Raises: CredentialRejected when the key is gone or cannot be used."""
        async with self._database.workspace(workspace_id) as connection:
            row = await keys.get_credential(connection, credential_id)
            kind = self._catalog.connectors.get(row["connector"]) if row else None
            if row is None or kind is None or kind.embedder is None:
                raise CredentialRejected(
                    "The key that makes vectors is gone. Choose another one in the knowledge base."
                )
            key = (str(row["id"]), int(row["version"]), model)
            if key not in self._kept:
                try:
                    settings = await saved_settings(self._vault, connection, workspace_id, kind, row)
                except VaultLocked as error:
                    raise CredentialRejected(error.message) from error
                self._kept[key] = kind.embedder.open(settings, model)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return self._kept[key]

    def for_queries(self, workspace_id: str, bases: Sequence[Row]) -> list[tuple[Sequence[str], Embed]]:
        """(bases, embedder) for each model that these bases use. `bases`: rows of `storage.passages.embedders`."""
        by_model: dict[tuple[str, str], list[str]] = {}
        for row in bases:
            if row["embedder"]:
                by_model.setdefault((row["embedder"], row["embedder_model"]), []).append(row["id"])
        return [(ids, self._asks(workspace_id, *place)) for place, ids in by_model.items()]

    def _asks(self, workspace_id: str, credential_id: str, model: str) -> Embed:
        async def embed(query: str) -> tuple[str, list[float]]:
            embedder = await self.open(workspace_id, credential_id, model)
            key = (workspace_id, embedder.name, query)
            if key in self._queries:
                self._queries.move_to_end(key)
                return embedder.name, self._queries[key]
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    (vector,) = await embedder.embed([query], is_query=True)
            except TimeoutError:
                raise Unreachable("The service that makes vectors did not answer in time.") from None
            self._queries[key] = vector
            while len(self._queries) > _KEPT_QUERIES:
                self._queries.popitem(last=False)
            return embedder.name, vector

        return embed
