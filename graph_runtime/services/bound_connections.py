"""The credentials behind an agent's connection slots, as ways out: they authorise, hold back and renew by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.channels import HttpAnswer, Rate
from graph_runtime.contract.connectors import Connector, CredentialSettings
from graph_runtime.contract.crm import Crm
from graph_runtime.contract.errors import (
    ConnectorError,
    CredentialRejected,
    NotFound,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.contract.http import HttpAuth, HttpReply, host_of
from graph_runtime.contract.outside_words import failure
from graph_runtime.engine.breaker import Breakers
from graph_runtime.engine.http import HttpDoor
from graph_runtime.services.bound_models import saved_settings
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.crm_own_writes import noted
from graph_runtime.services.echoes import secrets_of, silenced
from graph_runtime.services.oauth import Access, OAuth
from graph_runtime.services.principal import Principal
from graph_runtime.services.send_limits import Buckets
from graph_runtime.services.vault import Vault
from graph_runtime.storage import credentials as rows
from graph_runtime.storage import crm_hooks, crm_writes
from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.encryption import VaultLocked

Got = TypeVar("Got", HttpAnswer, HttpReply)
LONGEST_WAIT: Final = 10.0
"""Seconds a step waits for its turn at a service that allows few requests."""
USE_NOTED_EVERY: Final = 60.0


@dataclass(frozen=True, slots=True)
class OpenCredential:
    """A credential in the hands of the host; never given to a step."""

    id: str
    workspace_id: str
    kind: Connector
    settings: CredentialSettings

    @property
    def uses_oauth(self) -> bool:
        """Whether its access was granted in a browser."""
        return self.kind.oauth is not None and self.kind.oauth.addresses(self.settings) is not None


class Limits:
    """What this process holds back per credential: rates, pauses that a service asked for, broken services."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.buckets = Buckets(clock)
        self.breakers = Breakers(clock)
        self.held_until: dict[str, float] = {}
        self.noted: dict[str, float] = {}

    async def turn(self, credential_id: str, rate: Rate | None, patience: float = LONGEST_WAIT) -> None:
        """Wait for this credential's turn. Raises: RateLimited when that would take too long, Unreachable (paused)."""
        deadline = self.clock() + patience
        while True:
            wait = self.held_until.get(credential_id, 0.0) - self.clock()
            if wait <= 0 and rate is not None:
                wait = self.buckets.take([(("credential", credential_id), rate)])
            if wait <= 0:
                break
            if self.clock() + wait > deadline:
                raise failure(RateLimited, "rate", retry_after=wait)
            await asyncio.sleep(wait)
        key = ("connection", credential_id)
        if not self.breakers.admits(key):
            raise failure(Unreachable, "paused", seconds=round(self.breakers.seconds_left(key)))

    def ended(self, credential_id: str, answer: HttpAnswer | HttpReply | ConnectorError) -> None:
        """How a request went."""
        key = ("connection", credential_id)
        if isinstance(answer, ConnectorError):
            (self.breakers.released if isinstance(answer, Refused) else self.breakers.failed)(key)
        elif answer.status >= 500:
            self.breakers.failed(key)
        else:
            self.breakers.succeeded(key)
            if answer.status == 429:
                self.held_until[credential_id] = self.clock() + (_pause(answer.headers) or 1.0)


class CredentialHttp:
    """One credential's way out. Implements `CallsHttp` for steps and `ConnectorHttp` for connectors."""

    def __init__(
        self,
        credential: OpenCredential,
        door: Callable[[str], HttpDoor],
        oauth: OAuth,
        limits: Limits,
        patience: float = LONGEST_WAIT,
    ) -> None:
        self._patience = patience
        self._credential = credential
        self._door = door
        self._oauth = oauth
        self._limits = limits

    async def close(self) -> None:
        """The doors are shared and closed elsewhere."""

    async def call(self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float) -> HttpReply:
        """Raises: Refused (an address that is not the key's), RateLimited, Unreachable, CredentialRejected …"""

        async def go(auth: HttpAuth) -> HttpReply:
            to = _complete(auth, url, self._credential.kind.label)
            return await self._door(auth.private_host).call(
                method, to, headers=headers, body=body, seconds=seconds, auth=auth
            )

        return await self._authorised(go)

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float = 20.0,
    ) -> HttpAnswer:
        """Raises: as `call`."""

        async def go(auth: HttpAuth) -> HttpAnswer:
            to = _complete(auth, url, self._credential.kind.label)
            return await self._door(auth.private_host).exchange(
                method, to, headers=dict(headers or {}), body=body, seconds=seconds, auth=auth
            )

        return await self._authorised(go)

    async def _authorised(self, go: Callable[[HttpAuth], Awaitable[Got]]) -> Got:
        """One request; after a 401 the access is renewed once and the request made again: it was not carried out."""
        access = await self._access()
        answer = await self._limited(go, access)
        if answer.status == 401 and access is not None:
            fresh = await self._oauth.renew(self._credential.workspace_id, self._credential.id, access)
            answer = await self._limited(go, fresh)
        return answer

    async def _access(self) -> Access | None:
        if not self._credential.uses_oauth:
            return None
        return await self._oauth.access(self._credential.workspace_id, self._credential.id)

    async def _limited(self, go: Callable[[HttpAuth], Awaitable[Got]], access: Access | None) -> Got:
        offer = self._credential.kind.http
        assert offer is not None
        auth = offer.auth(self._credential.settings, access.token if access else "")
        await self._limits.turn(self._credential.id, offer.rate, self._patience)
        try:
            answer = await go(auth)
        except ConnectorError as error:
            self._limits.ended(self._credential.id, error)
            raise
        except BaseException:
            self._limits.breakers.released(("connection", self._credential.id))
            raise
        self._limits.ended(self._credential.id, answer)
        return silenced(answer, secrets_of(self._credential.settings, auth, access.token if access else ""))


class BoundConnections:
    """For the engine and the screens: opens what is bound to a slot. One for a process."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        vault: Vault,
        oauth: OAuth,
        doors: ChannelDoors | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self.oauth = oauth
        self._doors = doors or ChannelDoors()
        self._limits = limits or Limits()

    async def close(self) -> None:
        """Close idle connections."""
        await self._doors.close()
        await self.oauth.close()

    def of(self, workspace_id: str, agent_id: str) -> AgentConnections:
        """The slots of one agent."""
        return AgentConnections(self, workspace_id, agent_id)

    async def open_slot(self, workspace_id: str, agent_id: str, slot: str, kind: str) -> OpenCredential:
        """Raises: CredentialRejected when nothing of this kind is bound."""
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.bound(connection, agent_id, slot)
            if row is None or row["id"] is None:
                raise failure(CredentialRejected, "not_bound", slot=slot)
            opened = await self._opened(connection, workspace_id, row, kind)
            if self._is_due(opened.id):
                await rows.note_use(connection, opened.id)
        return opened

    async def open_credential(self, principal: Principal, credential_id: str, kind: str) -> OpenCredential:
        """Raises: AccessDenied, NotFound, CredentialRejected."""
        principal.require("credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.get_credential(connection, credential_id)
            if row is None:
                raise NotFound("There is no such connection. It may have been deleted; reload the list.")
            return await self._opened(connection, principal.workspace_id, row, kind)

    async def open_known(self, workspace_id: str, credential_id: str, kind: str) -> OpenCredential:
        """For services that keep the id of a credential with what uses it. Raises: CredentialRejected."""
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.get_credential(connection, credential_id)
            if row is None:
                raise failure(CredentialRejected, "key_gone")
            return await self._opened(connection, workspace_id, row, kind)

    async def put_aside(self, workspace_id: str, agent_id: str, slot: str, write: Mapping[str, Any]) -> None:
        """Keep a write for when the system behind the slot is back."""
        async with self._database.workspace(workspace_id) as connection:
            await crm_writes.add(connection, agent_id, slot, write)

    async def has_put_aside(self, workspace_id: str, conversation_id: str) -> bool:
        """Whether writes of a conversation wait."""
        async with self._database.workspace(workspace_id) as connection:
            return await crm_writes.waits(connection, conversation_id)

    def way_out(self, credential: OpenCredential, *, patience: float = LONGEST_WAIT) -> CredentialHttp:
        """Requests with this credential. `patience`: seconds that each waits for its turn at most."""
        return CredentialHttp(credential, self._doors.guarded, self.oauth, self._limits, patience)

    def crm(self, credential: OpenCredential) -> Crm:
        """The customer system of this credential."""
        assert credential.kind.crm is not None
        opened = credential.kind.crm(credential.settings, self.way_out(credential))
        if credential.kind.crm_hooks is None:
            return opened

        async def note(write: Mapping[str, Any]) -> None:
            async with self._database.workspace(credential.workspace_id) as connection:
                await crm_hooks.note_own(connection, credential.id, write)

        return noted(opened, note)

    async def _opened(self, connection: Connection, workspace_id: str, row: Row, wanted: str) -> OpenCredential:
        kind = self._catalog.connectors.get(row["connector"])
        if kind is None or (wanted and wanted not in kind.kinds) or kind.http is None:
            raise failure(CredentialRejected, "does_not_fit")
        try:
            settings = await saved_settings(self._vault, connection, workspace_id, kind, row)
        except VaultLocked as error:
            raise CredentialRejected(error.message) from error
        return OpenCredential(str(row["id"]), workspace_id, kind, settings)

    def _is_due(self, credential_id: str) -> bool:
        now = self._limits.clock()
        if now - self._limits.noted.get(credential_id, -USE_NOTED_EVERY) < USE_NOTED_EVERY:
            return False
        self._limits.noted[credential_id] = now
        return True


class AgentConnections:
    """Implements `engine.turn.Connections`."""

    def __init__(self, bound: BoundConnections, workspace_id: str, agent_id: str) -> None:
        self._bound = bound
        self._workspace_id = workspace_id
        self._agent_id = agent_id

    async def http(self, slot: str) -> CredentialHttp:
        """Raises: CredentialRejected."""
        opened = await self._bound.open_slot(self._workspace_id, self._agent_id, slot, "http")
        return self._bound.way_out(opened)

    async def crm(self, slot: str) -> Crm:
        """Raises: CredentialRejected."""
        return self._bound.crm(await self._bound.open_slot(self._workspace_id, self._agent_id, slot, "crm"))

    async def has_put_aside(self, conversation_id: str) -> bool:
        """Whether writes of a conversation wait."""
        return await self._bound.has_put_aside(self._workspace_id, conversation_id)

    async def put_aside(self, slot: str, write: Mapping[str, Any]) -> None:
        """For `CrmLater`: see `storage.crm_writes.add`."""
        await self._bound.put_aside(self._workspace_id, self._agent_id, slot, write)


def _complete(auth: HttpAuth, url: str, label: str) -> str:
    """The whole address. Raises: Refused when the key does not belong there."""
    whole = auth.base_url.rstrip("/") + url if url.startswith("/") else url
    if host_of(whole) not in auth.hosts:
        hosts = ", ".join(sorted(h.removesuffix(":443") for h in auth.hosts)) or "–"
        raise failure(Refused, "foreign_host", label=label, hosts=hosts, host=host_of(whole) or url[:80])
    return whole


def _pause(headers: Mapping[str, str]) -> float | None:
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdecimal():
        return min(float(given), 3600.0)
    try:
        at: datetime = parsedate_to_datetime(given)
        return min(max(0.0, (at - datetime.now(at.tzinfo)).total_seconds()), 3600.0)
    except (ValueError, TypeError):
        return None
