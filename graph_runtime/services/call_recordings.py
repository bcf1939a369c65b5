"""Recordings of whole calls: kept sealed while they are made, listened to by who may read the conversation."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from graph_runtime.contract.errors import NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.principal import Principal
from graph_runtime.services.vault import Vault
from graph_runtime.storage import audit
from graph_runtime.storage import call_recordings as rows
from graph_runtime.storage.database import Connection, Database
from graph_runtime.storage.encryption import DataKey, new_data_key

RATE: Final = 8000
SIDES: Final = 2
"""The caller is left, the agent right."""
HEADER_BYTES: Final = 58
_VERSION: Final = 1
_KEPT_KEYS: Final = 1000
_MULAW: Final = 7


@dataclass(frozen=True, slots=True)
class CallSound:
    """A recording as a WAV file of `size` bytes: two sides, G.711 mu-law, which every browser plays."""

    call_id: str
    size: int
    parts: tuple[tuple[int, int, int], ...]
    """(epoch, part, bytes), in order."""


class CallRecordings:
    """Each call has a key of its own, sealed by the workspace's: without the row of the call nobody hears its parts."""

    def __init__(self, database: Database, vault: Vault, clock: Clock = system_clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._keys: OrderedDict[str, DataKey] = OrderedDict()

    async def keep(self, workspace_id: str, call_id: str, place: tuple[int, int], sound: bytes) -> None:
        """A few seconds, recorded by attachment `epoch` as its part `n`: place = (epoch, n). Told twice, kept once.

        `sound`: mu-law, caller and agent in turns. Raises: VaultLocked, NotFound when the recording was deleted.
        """
        key = self._keys.get(call_id)
        if key is None:
            async with self._database.workspace(workspace_id) as connection:
                key = await self._new_key(connection, workspace_id, call_id)
        sealed = await asyncio.to_thread(key.seal_bytes, sound, _place(workspace_id, call_id, *place))
        async with self._database.workspace(workspace_id) as connection:
            is_new = await rows.add_part(connection, call_id, place, len(sound) // SIDES, sealed)
            if not is_new and await rows.get(connection, call_id) is None:
                raise NotFound("The recording of this call was deleted.", call=call_id)

    async def open(self, principal: Principal, call_id: str, *, is_begun: bool = True) -> CallSound:
        """What there is to hear. That somebody begins to listen stands in the audit log. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            parts = tuple((e, n, s * SIDES) for e, n, s in await rows.parts(connection, call_id))
            if not parts:
                raise _no_recording(call_id)
            if is_begun:
                await audit.append(connection, principal.actor, "recording.listened", {"call": call_id}, self._clock())
        return CallSound(call_id, HEADER_BYTES + sum(size for *_, size in parts), parts)

    async def read(self, principal: Principal, sound: CallSound, start: int = 0) -> AsyncIterator[bytes]:
        """The file from a byte on, piece by piece. Raises: AccessDenied, NotFound, VaultLocked."""
        principal.require("conversation.read")
        workspace_id, call_id = principal.workspace_id, sound.call_id
        async with self._database.workspace(workspace_id) as connection:
            key = await self._key(connection, workspace_id, call_id)
        if start < HEADER_BYTES:
            yield _header(sound.size - HEADER_BYTES)[start:]
        at = HEADER_BYTES
        for epoch, number, size in sound.parts:
            if at + size > start:
                async with self._database.workspace(workspace_id) as connection:
                    sealed = await rows.part(connection, call_id, epoch, number)
                if sealed is None:
                    raise _no_recording(call_id)
                place = _place(workspace_id, call_id, epoch, number)
                yield (await asyncio.to_thread(key.open_bytes, sealed, place))[max(0, start - at) :]
            at += size

    async def delete(self, principal: Principal, call_id: str) -> None:
        """For good. A call that still goes on is not recorded any further. Raises: AccessDenied, NotFound."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            if not await rows.delete(connection, call_id):
                raise _no_recording(call_id)
            await audit.append(connection, principal.actor, "recording.deleted", {"call": call_id}, self._clock())

    async def _new_key(self, connection: Connection, workspace_id: str, call_id: str) -> DataKey:
        key = new_data_key()
        secrets = {"key": base64.b64encode(key).decode()}
        sealed, _ = await self._vault.seal(connection, workspace_id, (call_id, _VERSION), secrets)
        await rows.begin(connection, call_id, sealed, _VERSION)
        found = await self._key(connection, workspace_id, call_id)  # another attachment's, when it was first
        self._keys[call_id] = found
        while len(self._keys) > _KEPT_KEYS:
            self._keys.popitem(last=False)
        return found

    async def _key(self, connection: Connection, workspace_id: str, call_id: str) -> DataKey:
        row = await rows.get(connection, call_id)
        if row is None:
            raise _no_recording(call_id)
        place = (row["id"], row["secrets_version"])
        opened = await self._vault.open(connection, workspace_id, place, row["secrets"])
        return DataKey(_VERSION, base64.b64decode(opened["key"]))


def _place(workspace_id: str, call_id: str, epoch: int, part: int) -> str:
    return f"{workspace_id}|{call_id}|recording|{epoch}|{part}"


def _no_recording(call_id: str) -> NotFound:
    return NotFound("There is no recording of this call here. It may have been deleted.", call=call_id)


def _header(size: int) -> bytes:
    """Of a WAV file with so many bytes of sound."""
    fact = struct.pack("<4sII", b"fact", 4, size // SIDES)
    kind = struct.pack("<4sIHHIIHHH", b"fmt ", 18, _MULAW, SIDES, RATE, RATE * SIDES, SIDES, 8, 0)
    body = b"WAVE" + kind + fact + struct.pack("<4sI", b"data", size)
    return struct.pack("<4sI", b"RIFF", len(body) + size) + body
