"""Where the vectors of a knowledge base are searched: in PostgreSQL, or in another store that is filled from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.knowledge_bases import found_base
from graph_runtime.services.knowledge_stores import KnowledgeStores
from graph_runtime.services.principal import Principal
from graph_runtime.services.serving import require_serves
from graph_runtime.storage import audit
from graph_runtime.storage import credentials as keys
from graph_runtime.storage import knowledge_copies as rows
from graph_runtime.storage.database import Database


@dataclass(frozen=True, slots=True)
class CopyRow:
    """A copy of a base's vectors. `state`: "filling", "serving" or "leaving"; `total`: passages when filling began;
    `waiting`: changes that are not carried out yet; `error`: why not, in words of the connector, and when it is tried again."""

    store: str
    connector: str
    label: str
    state: str
    total: int
    waiting: int
    error: str
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class Copies:
    """`chosen`: the store that serves or is going to, "" for PostgreSQL; `copies`: all there are, the one that serves first."""

    chosen: str
    copies: tuple[CopyRow, ...]


class KnowledgeCopies:
    """Editors choose; whoever may read knowledge sees how far it is."""

    def __init__(
        self, database: Database, catalog: Catalog, stores: KnowledgeStores, clock: Clock = system_clock
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._stores = stores
        self._clock = clock

    async def stores(self, principal: Principal) -> Sequence[tuple[str, str]]:
        """(id, label) of the workspace's keys of stores. Raises: AccessDenied."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await keys.list_credentials(connection)
        known = self._catalog.connectors
        return [
            (str(r["id"]), r["label"])
            for r in found
            if (k := known.get(r["connector"])) and k.vector_store is not None and r["only_agents"] is None
        ]

    async def of(self, principal: Principal, base_id: str) -> Copies:
        """Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            found = await rows.of_base(connection, base_id)
        chosen = next(
            (r["credential_id"] for state in ("filling", "serving") for r in found if r["state"] == state), ""
        )
        return Copies(
            str(chosen),
            tuple(
                CopyRow(
                    str(r["credential_id"]), r["connector"], r["label"], r["state"], r["total"], r["waiting"], r["error"],
                    r["next_attempt_at"],
                )
                for r in found
            ),
        )  # fmt: skip

    async def choose(self, principal: Principal, base_id: str, credential_id: str) -> Copies:
        """Search this base in a store, once it is full, or in PostgreSQL (an empty id); what served before is then emptied.

        Raises: AccessDenied, NotFound, InputInvalid, CredentialRejected.
        """
        principal.require("knowledge.edit", "credential.use")
        before = await self.of(principal, base_id)
        if credential_id != before.chosen:
            await self._change(principal, base_id, credential_id)
        return await self.of(principal, base_id)

    async def fill_again(self, principal: Principal, base_id: str) -> Copies:
        """Make a new copy in the store of the base; the one there goes on serving until it is full.

        Raises: AccessDenied, NotFound, InputInvalid, CredentialRejected.
        """
        principal.require("knowledge.edit", "credential.use")
        before = await self.of(principal, base_id)
        if not before.chosen:
            raise InputInvalid("Choose a store first.", field="store")
        await self._change(principal, base_id, before.chosen, is_anew=True)
        return await self.of(principal, base_id)

    async def look_again(self, principal: Principal, base_id: str) -> None:
        """Try now what waits for the next attempt. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            await rows.look_again(connection, base_id)

    async def try_again(self, principal: Principal, copy_id: str) -> None:
        """Try one copy now, be it of a base that is gone and has still to be emptied. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            if not is_uuid(copy_id) or not await rows.try_again(connection, copy_id):
                raise NotFound("There is no such copy. It may have been emptied; reload the page.")

    async def _change(self, principal: Principal, base_id: str, credential_id: str, *, is_anew: bool = False) -> None:
        place = await self._place(principal, credential_id) if credential_id else ""
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            if credential_id:
                await require_serves(connection, credential_id, None)
            serving = next((r for r in await rows.of_base(connection, base_id) if r["state"] == "serving"), None)
            if not credential_id:
                await rows.leave(connection, base_id, "filling", "serving")
            elif (
                not is_anew and serving and (str(serving["credential_id"]), serving["place"]) == (credential_id, place)
            ):
                await rows.leave(connection, base_id, "filling")
            else:
                await rows.begin(connection, base_id, credential_id, place)
            ids = {"knowledge_base": base_id, "credential_id": credential_id or "postgresql"}
            await audit.append(connection, principal.actor, "knowledge_base.store_changed", ids, self._clock())

    async def _place(self, principal: Principal, credential_id: str) -> str:
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await keys.get_credential(connection, credential_id) if is_uuid(credential_id) else None
        kind = self._catalog.connectors.get(row["connector"]) if row else None
        if kind is None or kind.vector_store is None:
            raise InputInvalid("Choose a key of a store of vectors.", field="store")
        return (await self._stores.open(principal.workspace_id, credential_id))[2]
