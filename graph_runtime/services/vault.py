"""The vault: seals and opens the secrets of credentials, and renews the keys they are sealed with."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from graph_runtime.storage import call_recordings as recording_rows
from graph_runtime.storage import channels as channel_rows
from graph_runtime.storage import credentials as rows
from graph_runtime.storage import event_subscriptions as subscription_rows
from graph_runtime.storage import oauth as access_rows
from graph_runtime.storage import triggers as trigger_rows
from graph_runtime.storage.database import Connection, Database
from graph_runtime.storage.encryption import DataKey, KeyRing, VaultLocked, new_data_key, number_of


class Vault:
    """Secrets leave it only towards a connector that is about to use them."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def seal(
        self, connection: Connection, workspace_id: str, credential: tuple[str, int], secrets: Mapping[str, str]
    ) -> tuple[dict[str, str], int]:
        """Each field sealed for this credential (id, version), and the number of the data key.

        Raises: VaultLocked
        """
        await rows.hold_data_keys(connection)
        key = await self._newest(connection, workspace_id)
        sealed = {field: key.seal(text, _place(workspace_id, credential, field)) for field, text in secrets.items()}
        return {field: base64.b64encode(data).decode() for field, data in sealed.items()}, key.number

    async def open(
        self, connection: Connection, workspace_id: str, credential: tuple[str, int], sealed: Mapping[str, str]
    ) -> dict[str, str]:
        """The secrets of a credential (id, version). Raises: VaultLocked."""
        keys = await self._keys(connection, workspace_id) if sealed else {}
        opened = {}
        for field, text in sealed.items():
            data = base64.b64decode(text)
            key = keys.get(number_of(data))
            if key is None:
                raise VaultLocked("A saved secret was encrypted with a key that is gone. Enter it anew.")
            opened[field] = key.open(data, _place(workspace_id, credential, field))
        return opened

    async def rewrap(self) -> int:
        """Wrap every data key with the installation's newest key; how many had an older one. Raises: VaultLocked."""
        done = 0
        for workspace_id in await self.workspaces():
            async with self._database.workspace(workspace_id) as connection:
                for row in await rows.data_keys(connection):
                    if row["wrapped_by"] == self._ring.newest:
                        continue
                    key = self._ring.unwrap(row["wrapped"], row["wrapped_by"], workspace_id, row["number"])
                    wrapped, wrapped_by = self._ring.wrap(key.raw, workspace_id, row["number"])
                    await rows.rewrap_data_key(connection, row["number"], wrapped, wrapped_by)
                    done += 1
        return done

    async def workspaces(self) -> list[str]:
        """Those that have secrets."""
        async with self._database.system() as system:
            return await rows.workspaces_with_secrets(system)

    async def renew(self, workspace_id: str, *, keeps_former: bool = False) -> int:
        """Give the workspace a new data key and seal every secret with it; how many credentials.

        `keeps_former`: the keys of before stay for `forget_former`, as other processes may just be opening what they
        read a moment ago. Raises: VaultLocked.
        """
        async with self._database.workspace(workspace_id) as connection:
            await rows.hold_data_keys(connection, alone=True)
            present = await rows.data_keys(connection)
            number = present[0]["number"] + 1 if present else 1
            wrapped, wrapped_by = self._ring.wrap(new_data_key(), workspace_id, number)
            await rows.add_data_key(connection, number, wrapped, wrapped_by)
            credentials = await rows.list_credentials(connection)
            for listed in credentials:
                row = await rows.get_credential(connection, listed["id"], for_update=True)
                if row is not None:
                    credential = (row["id"], row["version"])
                    opened = await self.open(connection, workspace_id, credential, row["secrets"])
                    sealed, _ = await self.seal(connection, workspace_id, credential, opened)
                    await rows.reseal(connection, row["id"], sealed, number)
            for others in (channel_rows, subscription_rows, recording_rows, trigger_rows, access_rows):
                for row in await others.with_secrets(connection):
                    place = (row["id"], row["secrets_version"])
                    opened = await self.open(connection, workspace_id, place, row["secrets"])
                    sealed, _ = await self.seal(connection, workspace_id, place, opened)
                    await others.change(connection, row["id"], {"secrets": sealed})
            if not keeps_former:
                await rows.drop_data_keys(connection, below=number)
        return len(credentials)

    async def forget_former(self, workspace_id: str) -> None:
        """Destroy the data keys that seal nothing any more."""
        async with self._database.workspace(workspace_id) as connection:
            await rows.hold_data_keys(connection, alone=True)
            if present := await rows.data_keys(connection):
                await rows.drop_data_keys(connection, below=present[0]["number"])

    async def _newest(self, connection: Connection, workspace_id: str) -> DataKey:
        if not await rows.data_keys(connection):
            wrapped, wrapped_by = self._ring.wrap(new_data_key(), workspace_id, 1)
            await rows.add_data_key(connection, 1, wrapped, wrapped_by)
        keys = await self._keys(connection, workspace_id)
        return keys[max(keys)]

    async def _keys(self, connection: Connection, workspace_id: str) -> dict[int, DataKey]:
        return {
            row["number"]: self._ring.unwrap(row["wrapped"], row["wrapped_by"], workspace_id, row["number"])
            for row in await rows.data_keys(connection)
        }


def _place(workspace_id: str, credential: tuple[str, int], field: str) -> str:
    credential_id, version = credential
    return f"{workspace_id}|{credential_id}|{field}|{version}"
