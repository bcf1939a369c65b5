"""Carries changes of passages out in other stores of vectors, fills and empties them; may die at any moment.

What is to be done stands in rows that were written with the passages. A change says only which passage to look at: what is
here then is put there under an id that is always the same, and what is not is removed. So everything may be done twice.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID, uuid5

import structlog

from graph_runtime.contract.errors import ConnectorError, RateLimited
from graph_runtime.contract.vectors import VectorEntry, VectorScope, VectorStore
from graph_runtime.services.knowledge_stores import KnowledgeStores
from graph_runtime.storage import knowledge_copies as copies
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.knowledge_copies import Claimed

log = structlog.get_logger(__name__)
LEASE_SECONDS: Final = 180
"""Longer than all requests for one batch may take together."""
AT_ONCE: Final = 100
BATCHES: Final = 50
"""Then another copy has its turn."""
PAUSES: Final = (5.0, 15.0, 60.0, 300.0)
"""Seconds after one failure, two …; after what no waiting mends, the last at once."""
OF_AN_ENTRY: Final = 700
"""Bytes beside the vector."""


class _CopyLost(Exception):
    """Another worker has the copy, or it was deleted."""


class KnowledgeCopying:
    """One per worker; several workers share the copies, each has one at a time."""

    def __init__(self, database: Database, stores: KnowledgeStores) -> None:
        self._database = database
        self._stores = stores

    async def close(self) -> None:
        """Nothing is held."""

    async def run_next(self) -> bool:
        """Work on the copy that has waited longest; False when none has anything to do."""
        claimed = await copies.claim(self._database, LEASE_SECONDS)
        if claimed is None:
            return False
        try:
            await self._work(claimed)
            await self._let_go(claimed)
        except _CopyLost:
            log.info("copy_claim_lost", copy_id=claimed.copy_id)
        except ConnectorError as error:
            await self._postpone(claimed, error)
        except asyncio.CancelledError:
            await asyncio.shield(self._let_go(claimed))
            raise
        return True

    async def _let_go(self, claimed: Claimed) -> None:
        async with self._database.workspace(claimed.workspace_id) as connection:
            await copies.let_go(connection, claimed)

    async def _postpone(self, claimed: Claimed, error: ConnectorError) -> None:
        async with self._database.workspace(claimed.workspace_id) as connection:
            copy = await copies.held(connection, claimed, 0)
            if copy is None:
                return
            may_pass = error.retryable or error.code == "outcome_unknown"
            pause = PAUSES[min(copy["attempts"], len(PAUSES) - 1)] if may_pass else PAUSES[-1]
            if isinstance(error, RateLimited) and error.retry_after:
                pause = min(error.retry_after, PAUSES[-1])
            await copies.postpone(connection, claimed, error.message, pause)
        log.warning("vector_store_waits", copy_id=claimed.copy_id, state=copy["state"], reason=error.message)

    async def _held(self, claimed: Claimed) -> Row:
        async with self._database.workspace(claimed.workspace_id) as connection:
            copy = await copies.held(connection, claimed, LEASE_SECONDS)
        if copy is None:
            raise _CopyLost
        return copy

    async def _work(self, claimed: Claimed) -> None:
        copy = await self._held(claimed)
        store, offer, place = await self._stores.open(claimed.workspace_id, copy["credential_id"])
        if place != copy["place"]:
            await self._begin_elsewhere(claimed, copy, place)
            return
        if copy["state"] == "leaving":
            await self._empty(claimed, copy, store)
            return
        for _ in range(BATCHES):
            if not await self._carry_out(claimed, store, offer.most_bytes):
                return

    async def _begin_elsewhere(self, claimed: Claimed, copy: Row, place: str) -> None:
        """The credential leads to another place now: what lies at the old one cannot be reached any more."""
        async with self._database.workspace(claimed.workspace_id) as connection:
            if await copies.held(connection, claimed, LEASE_SECONDS) is None:
                raise _CopyLost
            await copies.drop(connection, copy["id"])
            if copy["state"] != "leaving":
                await copies.begin(connection, copy["knowledge_base_id"], copy["credential_id"], place)
        log.warning("vector_store_moved", copy_id=claimed.copy_id)

    async def _empty(self, claimed: Claimed, copy: Row, store: VectorStore) -> None:
        for dims in copy["dims"]:
            await self._held(claimed)
            await store.clear(dims, _scope(copy))
        async with self._database.workspace(claimed.workspace_id) as connection:
            if await copies.held(connection, claimed, LEASE_SECONDS) is not None:
                await copies.drop(connection, copy["id"])

    async def _carry_out(self, claimed: Claimed, store: VectorStore, most_bytes: int) -> bool:
        """One batch; False when nothing is left to do."""
        async with self._database.workspace(claimed.workspace_id) as connection:
            copy = await copies.held(connection, claimed, LEASE_SECONDS)
            if copy is None:
                raise _CopyLost
            if copy["state"] == "leaving" or copy["is_stopped"]:
                return False
            rows = _that_fit(await copies.changes(connection, copy["id"], AT_ONCE), most_bytes)
            if not rows:
                if copy["state"] == "filling" and await copies.serve_if_full(connection, copy):
                    log.info("vector_store_serves", copy_id=claimed.copy_id, passages=copy["total"])
                return False
        entries = [entry for row in rows if (entry := _entry(copy, row)) is not None]
        for dims in {len(entry.vector) for entry in entries} - set(copy["dims"]):
            await store.prepare(dims)
            # Noted before the first of them is there, so that whoever empties the copy looks there, too.
            async with self._database.workspace(claimed.workspace_id) as connection:
                if await copies.held(connection, claimed, LEASE_SECONDS) is None:
                    raise _CopyLost
                await copies.note_dims(connection, copy["id"], dims)
            copy["dims"] = [*copy["dims"], dims]
        await self._send(store, copy, rows, entries)
        async with self._database.workspace(claimed.workspace_id) as connection:
            if await copies.held(connection, claimed, LEASE_SECONDS) is None:
                raise _CopyLost
            await copies.carried_out(connection, copy["id"], rows)
        return True

    async def _send(self, store: VectorStore, copy: Row, rows: Sequence[Row], entries: Sequence[VectorEntry]) -> None:
        """A passage lies among the vectors of its length, and nowhere else."""
        everything = {_id(copy["id"], row["passage_id"]) for row in rows}
        for dims in copy["dims"]:
            of_length = [entry for entry in entries if len(entry.vector) == dims]
            elsewhere = everything - {entry.id for entry in of_length}
            if elsewhere:
                await store.remove(dims, _scope(copy), sorted(elsewhere))
            if of_length:
                await store.put(of_length)


def _scope(copy: Row) -> VectorScope:
    return VectorScope(str(copy["workspace_id"]), (str(copy["id"]),))


def _id(copy_id: str, passage_id: str) -> str:
    return str(uuid5(UUID(copy_id), passage_id))


def _that_fit(rows: Iterable[Row], most_bytes: int) -> list[Row]:
    """As many from the beginning as one request can carry, and one in any case."""
    fit: list[Row] = []
    size = 0
    for row in rows:
        size += len(row["vector"] or "") + (row["dims"] or 0) + OF_AN_ENTRY  # JSON puts a space before each number
        if fit and size > most_bytes:
            break
        fit.append(row)
    return fit


def _entry(copy: Row, row: Row) -> VectorEntry | None:
    """None when nothing should be there: no vector, or one that points nowhere."""
    vector = json.loads(row["vector"]) if row["vector"] else []
    if not any(vector) or not all(map(math.isfinite, vector)):
        return None
    return VectorEntry(
        id=_id(copy["id"], row["passage_id"]), passage=row["passage_id"], vector=vector, workspace=str(copy["workspace_id"]),
        copy=str(copy["id"]), base=str(copy["knowledge_base_id"]), model=row["model"], category=row["category"],
        language=row["language"], changed_at=row["changed_at"],
    )  # fmt: skip
