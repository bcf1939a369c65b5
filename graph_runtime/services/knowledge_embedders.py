"""The embedders behind knowledge bases, built once per credential; vectors of recent questions are kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.embedding import Embedder
from graph_runtime.contract.errors import ConnectorError, CredentialRejected, Unreachable
from graph_runtime.knowledge.meaning import Embed, Meant
from graph_runtime.services.bound_models import saved_settings
from graph_runtime.services.vault import Vault
from graph_runtime.storage import credentials as keys
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.encryption import VaultLocked

QUERY_SECONDS: Final = 4.0
"""A question waits no longer for its vector; it is then searched by words."""
FORMER_SECONDS: Final = 1.5
"""Nor longer than this for one of the model that is being replaced."""
_KEPT: Final = 100
_KEPT_QUERIES: Final = 500


class KnowledgeEmbedders:
    """For services and workers, inside the program."""

    def __init__(self, database: Database, catalog: Catalog, vault: Vault) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._kept: OrderedDict[tuple[str, int, str], Embedder] = OrderedDict()
        self._queries: OrderedDict[tuple[str, str, str], Meant] = OrderedDict()

    async def open(self, workspace_id: str, credential_id: str, model: str) -> Embedder:
        """Raises: CredentialRejected when the key is gone or cannot be used, Refused when there is no such model."""
        async with self._database.workspace(workspace_id) as connection:
            row = await keys.get_credential(connection, credential_id)
            kind = self._catalog.connectors.get(row["connector"]) if row else None
            if row is None or kind is None or kind.embedder is None:
                raise CredentialRejected(
                    "The key that makes vectors is gone. Choose another one in the knowledge base."
                )
            key = (str(row["id"]), int(row["version"]), model)
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            try:
                settings = await saved_settings(self._vault, connection, workspace_id, kind, row)
            except VaultLocked as error:
                raise CredentialRejected(error.message) from error
        opened = await asyncio.to_thread(kind.embedder.open, settings, model)
        if key not in self._kept:  # another one may have been quicker; `opened` holds nothing yet
            self._kept[key] = opened
            await self._close([k for k in self._kept if k[0] == key[0] and k[1] < key[1]])
            await self._close(list(self._kept)[: max(0, len(self._kept) - _KEPT)])
        return self._kept.get(key, opened)

    async def close(self) -> None:
        """Close all of them."""
        await self._close(list(self._kept))

    async def _close(self, gone: Sequence[tuple[str, int, str]]) -> None:
        for one in [self._kept.pop(key) for key in gone]:
            await one.aclose()

    def for_queries(self, workspace_id: str, bases: Sequence[Row]) -> list[tuple[Sequence[str], Embed]]:
        """(bases, embedder) for each model that these bases use, and for those that they are leaving. `bases`: rows of `storage.passages.embedders`."""
        by_model: dict[tuple[str, str], list[str]] = {}
        by_former: dict[tuple[str, str], list[str]] = {}
        for row in bases:
            if row["embedder"]:
                by_model.setdefault((row["embedder"], row["embedder_model"]), []).append(row["id"])
            if row["former_embedder"]:
                by_former.setdefault((row["former_embedder"], row["former_model"]), []).append(row["id"])
        return [
            *((ids, self._asks(workspace_id, *place)) for place, ids in by_model.items()),
            *((ids, _if_it_can(self._asks(workspace_id, *place))) for place, ids in by_former.items()),
        ]

    def _asks(self, workspace_id: str, credential_id: str, model: str) -> Embed:
        async def embed(query: str) -> Meant:
            embedder = await self.open(workspace_id, credential_id, model)
            key = (workspace_id, embedder.name, query)
            if key in self._queries:
                self._queries.move_to_end(key)
                return self._queries[key]
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    (vector,) = await embedder.embed([query], is_query=True)
            except TimeoutError:
                raise Unreachable("The service that makes vectors did not answer in time.") from None
            meant = self._queries[key] = Meant(embedder.name, vector, embedder.unrelated(query))
            while len(self._queries) > _KEPT_QUERIES:
                self._queries.popitem(last=False)
            return meant

        return embed


def _if_it_can(embed: Embed) -> Embed:
    """A model that is being left may be left because it is gone: that is no trouble, and nobody waits long for it."""

    async def tried(query: str) -> Meant:
        try:
            async with asyncio.timeout(FORMER_SECONDS):
                return await embed(query)
        except (ConnectorError, TimeoutError):
            return Meant("", ())

    return tried
