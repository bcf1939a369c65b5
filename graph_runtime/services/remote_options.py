"""What a connected system offers to choose from, for the inspector: fields, stages, people; remembered for minutes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from graph_runtime.contract.catalog import translate
from graph_runtime.contract.crm import CrmQuery, CrmRecord, Entity
from graph_runtime.contract.errors import NotFound, Refused
from graph_runtime.services.bound_connections import BoundConnections, OpenCredential
from graph_runtime.services.principal import Principal
from graph_runtime.storage.agents import get_agent
from graph_runtime.storage.database import Database

KEPT_SECONDS: Final = 300.0
KEPT: Final = 500
OF_ACCOUNT: Final = "cf_"
"""Fields that people made are called what they called them."""
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RemoteOption:
    """One choice. `kind` is a field's type, `options` what a field itself offers."""

    id: str
    label: str
    kind: str = ""
    options: tuple[tuple[str, str], ...] = ()


class RemoteOptions:
    """One for a process; `clock` in seconds, monotonic."""

    def __init__(
        self, database: Database, connections: BoundConnections, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._connections = connections
        self._clock = clock
        self._kept: OrderedDict[tuple[str, ...], tuple[float, tuple[RemoteOption, ...]]] = OrderedDict()
        self._found: OrderedDict[tuple[str, Entity], str] = OrderedDict()
        """(credential, kind of record) → number of the one that was found last; what stands in it is read anew."""

    async def of(
        self, principal: Principal, agent_id: str, slot: str, what: str, entity: Entity, *, refresh: bool = False,
        language: str = "en",
    ) -> tuple[RemoteOption, ...]:  # fmt: skip
        """`what`: "crm.fields" or "crm.people". `refresh` asks the system again; `language`: of fields that every account has.

        Raises: AccessDenied, NotFound, ConnectorError.
        """
        opened = await self._opened(principal, agent_id, slot)
        found = await self._of(opened, what, entity, refresh=refresh)
        own = opened.kind.texts if what == "crm.fields" else {}
        return tuple(
            o if o.id.startswith(OF_ACCOUNT) else replace(o, label=translate(own, o.label, language)) for o in found
        )

    async def of_connection(
        self, principal: Principal, credential_id: str, what: str, entity: Entity
    ) -> tuple[RemoteOption, ...]:
        """As `of`, of a connection itself. Raises: AccessDenied, NotFound, ConnectorError."""
        return await self._of(await self._connections.open_credential(principal, credential_id, "crm"), what, entity)

    async def record(self, principal: Principal, agent_id: str, slot: str, query: CrmQuery) -> CrmRecord | None:
        """One record of the account, to see what its fields hold: the one that is looked for, without a value the newest,
        or the one that was found last where the account has no way to ask for the newest.

        Raises: AccessDenied, NotFound, ConnectorError.
        """
        opened = await self._opened(principal, agent_id, slot)
        crm, place = self._connections.crm(opened), (opened.id, query.entity)
        if not query.value:
            try:
                return await crm.newest(query.entity)
            except Refused:
                if (known := self._found.get(place)) is None:
                    raise
                return await crm.find(CrmQuery(query.entity, "id", known))
        found = await crm.find(query)
        if found is not None:
            self._found[place] = found.id
            self._found.move_to_end(place)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        return found

    async def _opened(self, principal: Principal, agent_id: str, slot: str) -> OpenCredential:
        principal.require("flow.edit", "credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            agent = await get_agent(connection, agent_id, today=_LONG_AGO)
        if agent is None:
            raise NotFound("This agent does not exist any more. Go back to the list of agents.")
        return await self._connections.open_slot(principal.workspace_id, agent_id, slot, "crm")

    async def _of(
        self, opened: OpenCredential, what: str, entity: Entity, *, refresh: bool = False
    ) -> tuple[RemoteOption, ...]:
        key = (opened.id, what, entity)
        known = self._kept.get(key)
        if known is not None and not refresh and self._clock() - known[0] < KEPT_SECONDS:
            return known[1]
        crm = self._connections.crm(opened)
        if what == "crm.people":
            found = tuple(RemoteOption(i, name) for i, name in await crm.people())
        else:
            found = tuple(RemoteOption(f.id, f.label, f.kind, f.options) for f in await crm.fields(entity))
        self._kept[key] = (self._clock(), found)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found
