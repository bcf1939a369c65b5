"""Subscriptions ready for use: address and secrets, remembered until the subscription changes."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from graph_runtime.contract.channels import host_and_port
from graph_runtime.contract.errors import NotFound
from graph_runtime.services.event_subscriptions import PREVIOUS, SECRET
from graph_runtime.services.vault import Vault
from graph_runtime.storage import event_subscriptions as rows
from graph_runtime.storage.database import Database

KEPT: Final = 2000
LONGEST_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class OpenSubscription:
    """`private_host`: "host:port" inside the network that an administrator allowed, or ""."""

    id: str
    url: str
    private_host: str
    secret: str
    previous_secret: str
    previous_until: datetime | None
    revision: int
    loaded_at: datetime
    loaded: float

    def secrets(self) -> list[str]:
        """Those to sign with now by the database's clock, the newest first."""
        now = self.loaded_at + timedelta(seconds=time.monotonic() - self.loaded)
        is_both = self.previous_secret and self.previous_until is not None and now < self.previous_until
        return [self.secret, self.previous_secret] if is_both else [self.secret]


class OpenSubscriptions:
    """Remembers at most KEPT."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._known: OrderedDict[str, OpenSubscription] = OrderedDict()

    async def get(self, workspace_id: str, subscription_id: str, revision: int) -> OpenSubscription:
        """The subscription as it is at this revision or later. Raises: NotFound, VaultLocked."""
        known = self._known.get(subscription_id)
        if known is not None and known.revision >= revision and time.monotonic() - known.loaded < LONGEST_SECONDS:
            return known
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.get(connection, subscription_id)
            loaded = time.monotonic()
            if row is None:
                raise NotFound("This subscription does not exist any more.")
            place = (row["id"], row["secrets_version"])
            secrets = await self._vault.open(connection, workspace_id, place, row["secrets"])
        opened = OpenSubscription(
            id=row["id"],
            url=row["url"],
            private_host=host_and_port(row["url"]) if row["allow_private_host"] else "",
            secret=secrets[SECRET],
            previous_secret=secrets.get(PREVIOUS, ""),
            previous_until=row["previous_until"],
            revision=row["revision"],
            loaded_at=row["at"],
            loaded=loaded,
        )
        self._known[subscription_id] = opened
        self._known.move_to_end(subscription_id)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return opened
