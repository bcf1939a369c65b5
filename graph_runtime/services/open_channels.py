"""Channels ready for use: settings with their secrets, remembered until the channel changes."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.channels import ChannelOffer
from graph_runtime.contract.errors import Conflict, NotFound
from graph_runtime.services.asked_once import AskedOnce
from graph_runtime.services.vault import Vault
from graph_runtime.storage import channels as rows
from graph_runtime.storage.database import Database, Row

KEPT: Final = 2000
LONGEST_SECONDS: Final = 600.0
PREVIOUS: Final = "previous_secret"


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """One channel with its secrets in hand. `loaded_at`: the database's clock when `loaded` was ours (monotonic)."""

    id: str
    workspace_id: str
    agent_id: str
    connector: str
    revision: int
    is_on: bool
    offer: ChannelOffer
    settings: Any
    previous_until: datetime | None
    loaded_at: datetime
    loaded: float

    def now(self) -> datetime:
        """The database's clock, as far as this process can tell without asking: nobody's wall clock matters."""
        return self.loaded_at + timedelta(seconds=time.monotonic() - self.loaded)

    def current_settings(self) -> Any:
        """The settings, without a previous secret whose day is over."""
        if self.previous_until is None or self.now() < self.previous_until or not self.offer.makes_secret:
            return self.settings
        return self.settings.model_copy(update={PREVIOUS: SecretStr("")})


class OpenChannels:
    """Remembers at most KEPT channels. Whoever uses one later compares its `revision` with the database's."""

    def __init__(self, database: Database, catalog: Catalog, vault: Vault) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._by_id: OrderedDict[str, OpenChannel] = OrderedDict()
        self._by_public_id: OrderedDict[tuple[str, str], OpenChannel] = OrderedDict()
        self._asked = AskedOnce[OpenChannel]()

    def offer(self, connector: str) -> ChannelOffer:
        """What a connector knows about its channels. Raises: NotFound."""
        kind = self._catalog.connectors.get(connector)
        if kind is None or kind.channel is None:
            raise NotFound("There is no channel at this address. Check the address, or ask whoever gave it to you.")
        return kind.channel

    async def by_public_id(self, connector: str, public_id: str, *, fresh: bool = False) -> OpenChannel:
        """The channel with this id in its address; `fresh` asks the database in any case. Raises: NotFound."""
        key = (connector, public_id[:200])
        known = self._by_public_id.get(key)
        if known is not None and not fresh and time.monotonic() - known.loaded < LONGEST_SECONDS:
            return known
        if fresh:
            return await self._look(key)
        return await self._asked.ask(key, lambda: self._look(key))

    async def _look(self, key: tuple[str, str]) -> OpenChannel:
        async with self._database.system() as system:
            found = await rows.find(system, key[1], key[0])
        if found is None:
            self._by_public_id.pop(key, None)
            raise NotFound("There is no channel at this address. Check the address, or ask whoever gave it to you.")
        opened = await self._load(found["workspace_id"], found["channel_id"])
        _keep(self._by_public_id, key, opened)
        return opened

    async def by_id(self, workspace_id: str, channel_id: str, revision: int) -> OpenChannel:
        """The channel as it is at this revision or later. Raises: NotFound, VaultLocked."""
        known = self._by_id.get(channel_id)
        if known is not None and known.revision >= revision and time.monotonic() - known.loaded < LONGEST_SECONDS:
            return known
        opened = await self._load(workspace_id, channel_id)
        _keep(self._by_id, channel_id, opened)
        return opened

    async def _load(self, workspace_id: str, channel_id: str) -> OpenChannel:
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.get(connection, channel_id)
            loaded = time.monotonic()
            if row is None:
                raise NotFound("This channel does not exist any more.")
            place = (row["id"], row["secrets_version"])
            secrets = await self._vault.open(connection, workspace_id, place, row["secrets"])
        return OpenChannel(
            id=row["id"],
            workspace_id=workspace_id,
            agent_id=row["agent_id"],
            connector=row["connector"],
            revision=row["revision"],
            is_on=row["is_on"],
            offer=self.offer(row["connector"]),
            settings=self._settings(row, secrets),
            previous_until=row["previous_until"],
            loaded_at=row["at"],
            loaded=loaded,
        )

    def _settings(self, row: Row, secrets: dict[str, str]) -> Any:
        model = self._catalog.connectors[row["connector"]].settings
        known = {k: v for k, v in {**row["settings"], **secrets}.items() if k in model.model_fields}
        try:
            return model.model_validate(known)
        except ValidationError:
            raise Conflict("The settings of this channel are damaged. Open the channel and save it again.") from None


def _keep(kept: OrderedDict[Any, OpenChannel], key: Any, opened: OpenChannel) -> None:
    kept[key] = opened
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
