"""The models behind the connection slots of an agent, built once per credential and kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from pydantic import ValidationError

from graph_runtime.contract import local_time
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.connectors import Connector, CredentialSettings
from graph_runtime.contract.errors import CredentialRejected
from graph_runtime.contract.models import ChatModel
from graph_runtime.contract.outside_words import sentence
from graph_runtime.engine import prices
from graph_runtime.services.vault import Vault
from graph_runtime.storage import credentials as rows
from graph_runtime.storage.database import Connection, Database, Row
from graph_runtime.storage.encryption import VaultLocked

_KEPT = 200


class BoundModels:
    """For the engine, inside the program: there is no principal, a published flow asks."""

    def __init__(self, database: Database, catalog: Catalog, vault: Vault) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._kept: OrderedDict[tuple[str, int, str], ChatModel] = OrderedDict()

    async def chat_model(self, workspace_id: str, agent_id: str, slot: str) -> list[ChatModel]:
        """The model of a slot: the bound one, else the workspace's default, else the demo model.

        Raises: CredentialRejected when the binding cannot be used
        """
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.bound(connection, agent_id, slot) or await rows.default(connection)
            if row is None:
                return self._demo()
            kind = self._catalog.connectors.get(row["bound_connector"])
            if kind is None or kind.chat_model is None or (row["id"] is None and kind.needs_credential):
                raise CredentialRejected(sentence("model_not_usable", slot=slot), reason="model_not_usable", slot=slot)
            key = (row["id"] or f"{kind.id}/{workspace_id}", row["version"] or 0, row["model"])
            if key in self._kept:
                self._kept.move_to_end(key)
                return [self._kept[key]]
            try:
                settings = await saved_settings(self._vault, connection, workspace_id, kind, row)
            except VaultLocked as error:
                raise CredentialRejected(error.message, slot=slot) from error
        if kind.warm_up is not None:
            await asyncio.to_thread(kind.warm_up)  # a vendor's library takes seconds to import
        model = self._kept[key] = kind.chat_model(settings, row["model"])
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return [model]

    async def warm_up_for_calls(self) -> None:
        """Import the libraries behind the connections of agents on the phone, models and speech: while calls are on, an
        import disturbs all of them. A vendor that is chosen later is imported with its first answer. Prices and the zones
        of numbers are loaded, too.
        """
        await asyncio.to_thread(prices.warm_up)
        await asyncio.to_thread(local_time.warm_up)
        left = {kind.id: kind.warm_up for kind in self._catalog.connectors.values() if kind.warm_up is not None}
        lines = sorted(self._catalog.phone_lines())
        async with self._database.direct() as connection:
            cursor = await connection.execute("SELECT id::text FROM all_workspaces() id")
            workspaces = [str(row["id"]) async for row in cursor]
        for workspace_id in workspaces:
            async with self._database.workspace(workspace_id) as connection:
                wanted = await rows.on_the_phone(connection, lines)
            for name in left.keys() & wanted:
                await asyncio.to_thread(left.pop(name))
            if not left:
                return

    def _demo(self) -> list[ChatModel]:
        for kind in self._catalog.connectors.values():
            if not kind.needs_credential and kind.chat_model is not None:
                return [kind.chat_model(kind.settings(), kind.models[0].name if kind.models else "")]
        return []


async def saved_settings(
    vault: Vault, connection: Connection, workspace_id: str, kind: Connector, row: Row
) -> CredentialSettings:
    """A credential's settings with its secrets, to be handed to its connector and to nothing else.

    Raises: VaultLocked
    """
    if row["id"] is None:
        return kind.settings()
    opened = await vault.open(connection, workspace_id, (row["id"], row["version"]), row["secrets"])
    try:
        return kind.settings.model_validate({**row["public"], **opened})
    except ValidationError:
        raise VaultLocked("This connection was saved by another version. Enter its values anew.") from None
