"""Stores of vectors behind knowledge bases, opened by their credentials; what they find is checked against PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import structlog

from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.errors import ConnectorError, Refused, Unreachable
from graph_runtime.contract.vectors import SEARCH_SECONDS, VectorScope, VectorStore, VectorStoreOffer
from graph_runtime.knowledge.meaning import Nearest
from graph_runtime.services.bound_connections import LONGEST_WAIT, BoundConnections
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.storage import knowledge_copies as copies
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.passages import Scope

log = structlog.get_logger(__name__)
KIND: Final = "vector_store"
SPARE: Final = 10
"""Asked for above what is needed, for what may be stale."""
MOST_ASKED: Final = 300
SECONDS: Final = 2 * SEARCH_SECONDS
"""A whole search of a store, with a second look where the first brought too little."""
PATIENCE: Final = 0.1
"""Seconds a search waits where the store asked for a pause."""
MOVED: Final = "The address of the store was changed. It is being filled anew; until then PostgreSQL searches."
SLOW: Final = "The store did not answer in time."
_KEPT: Final = 100


def place_of(settings: CredentialSettings) -> str:
    """A digest of where a store is, without its secrets: a copy that was made elsewhere is not there."""
    public = settings.model_dump(mode="json", exclude=set(settings.secret_fields()))
    return hashlib.sha256(json.dumps(public, sort_keys=True).encode()).hexdigest()[:40]


class KnowledgeStores:
    """For services and workers, inside the program."""

    def __init__(self, database: Database, connections: BoundConnections, seconds: float = SECONDS) -> None:
        self._database = database
        self._connections = connections
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, CredentialSettings, float], VectorStore] = OrderedDict()

    async def open(
        self, workspace_id: str, credential_id: str, *, patience: float = LONGEST_WAIT
    ) -> tuple[VectorStore, VectorStoreOffer, str]:
        """The store, what its connector says of it, and its place. Raises: CredentialRejected."""
        opened = await self._connections.open_known(workspace_id, credential_id, KIND)
        offer = opened.kind.vector_store
        assert offer is not None
        key = (opened.id, opened.settings, patience)
        if key not in self._kept:
            self._kept[key] = offer.open(opened.settings, self._connections.way_out(opened, patience=patience))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[key], offer, place_of(opened.settings)

    def for_queries(self, workspace_id: str, bases: Sequence[Row]) -> list[tuple[Sequence[str], Nearest]]:
        """(bases, how to search them) for each store that serves; `bases`: rows of `storage.passages.embedders`.

        A copy that is far behind is left to PostgreSQL.
        """
        by_store: dict[tuple[str, str], list[Row]] = {}
        for row in bases:
            if row["copy_id"] and row["waiting"] <= copies.MOST_WAITING:
                by_store.setdefault((row["store"], row["place"]), []).append(row)
        return [
            ([row["id"] for row in rows], self._asks(workspace_id, store, place, {r["id"]: r["copy_id"] for r in rows}))
            for (store, place), rows in by_store.items()
        ]

    def _asks(self, workspace_id: str, credential_id: str, place: str, copy_of: dict[str, str]) -> Nearest:
        async def nearest(scope: Scope, model: str, vector: Sequence[float], limit: int) -> list[tuple[str, float]]:
            try:
                async with asyncio.timeout(self._seconds):
                    store, _, now_at = await self.open(workspace_id, credential_id, patience=PATIENCE)
                    if now_at != place:
                        raise Refused(MOVED)
                    return await self._nearest(workspace_id, store, scope, copy_of, (model, vector), limit)
            except TimeoutError:
                error: ConnectorError = Unreachable(SLOW)
            except ConnectorError as failed:
                error = failed
            log.warning("vector_store_away", credential_id=credential_id, reason=error.message)
            raise error

        return nearest

    async def _nearest(
        self,
        workspace_id: str,
        store: VectorStore,
        scope: Scope,
        copy_of: dict[str, str],
        about: tuple[str, Sequence[float]],
        limit: int,
    ) -> list[tuple[str, float]]:
        """The store proposes; who is let through, and how similar it is, PostgreSQL says."""
        model, vector = about
        wanted = [copy_of[base] for base in scope.base_ids]
        within = VectorScope(
            workspace_id, tuple(wanted), model,
            None if scope.categories is None else tuple(scope.categories),
            None if scope.languages is None else tuple(scope.languages),
            None if scope.since is None else int(scope.since.timestamp() // 1),
        )  # fmt: skip
        asked = limit + SPARE
        while True:
            found = await store.nearest(within, vector, asked)
            async with self._database.workspace(workspace_id) as connection:
                rows = await copies.checked(connection, scope, about, [p for p in found if is_uuid(p)], wanted)
            if len(found) < asked or asked >= MOST_ASKED or sum(row["is_of_store"] for row in rows) >= limit:
                return [(str(row["passage_id"]), float(row["similarity"])) for row in rows[:limit]]
            asked = min(4 * asked, MOST_ASKED)
