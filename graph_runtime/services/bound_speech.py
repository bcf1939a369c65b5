"""What hears and speaks in an agent's calls: the chosen connection, else the workspace's, else speech without keys."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeVar

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import CredentialRejected
from graph_runtime.contract.speech import SYNTHESIZER_SLOT, TRANSCRIBER_SLOT, Synthesizer, Transcriber, Voice
from graph_runtime.services.bound_models import saved_settings
from graph_runtime.services.speech_rest import Account, SpeechRest, WatchedSynthesizer, WatchedTranscriber
from graph_runtime.services.vault import Vault
from graph_runtime.storage import credentials as rows
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.encryption import VaultLocked

_KEPT: Final = 100
NONE_CHOSEN: Final = "No connection for speech is chosen, and speech without keys is not installed. Choose a connection under Models & keys."

_Key = tuple[str, int, str, str]
Opened = TypeVar("Opened", Transcriber, Synthesizer)


@dataclass(frozen=True, slots=True)
class ChosenTranscriber:
    """A transcriber with what is known about it."""

    transcriber: Transcriber
    connector: Connector


@dataclass(frozen=True, slots=True)
class ChosenVoice:
    """A synthesizer and the voice chosen for it; "" is its own choice."""

    synthesizer: Synthesizer
    voice: str
    connector: Connector


class BoundSpeech:
    """For calls, inside the program: there is no principal, a published flow speaks. Belongs to one event loop.

    Transcribers and synthesizers are made once per credential and kept; the oldest are let go, never closed while a
    call may use them: `close` ends all of them.
    """

    def __init__(self, database: Database, catalog: Catalog, vault: Vault) -> None:
        self._database = database
        self._catalog = catalog
        self._vault = vault
        self._transcribers: OrderedDict[_Key, Transcriber] = OrderedDict()
        self._synthesizers: OrderedDict[_Key, Synthesizer] = OrderedDict()
        self._let_go: list[Transcriber | Synthesizer] = []
        self._rest = SpeechRest(database)

    async def transcriber(self, workspace_id: str, agent_id: str, slot: str = TRANSCRIBER_SLOT) -> ChosenTranscriber:
        """What hears in this agent's calls; a step may name a slot of its own.

        Raises: CredentialRejected when nothing is there or the choice cannot be used
        """
        row, kind = await self._chosen(workspace_id, agent_id, slot, TRANSCRIBER_SLOT)
        offer = kind.transcriber
        assert offer is not None
        key = _key(row, kind)
        found = self._transcribers.get(key)
        if found is None:
            found = offer.open(await self._settings(workspace_id, slot, kind, row), row["model"])
            if row["id"] is not None:
                found = WatchedTranscriber(found, self._rest.of(Account(workspace_id, str(row["id"]), kind.id, True)))
            self._keep(self._transcribers, key, found)
        return ChosenTranscriber(found, kind)

    async def chosen_transcriber(self, workspace_id: str, agent_id: str) -> Transcriber | None:
        """What somebody has chosen to hear with; None when nobody has: speech without keys knows no free speech.

        Raises: as `transcriber`
        """
        row, _ = await self._chosen(workspace_id, agent_id, TRANSCRIBER_SLOT, TRANSCRIBER_SLOT)
        return None if row["id"] is None else (await self.transcriber(workspace_id, agent_id)).transcriber

    async def synthesizer(self, workspace_id: str, agent_id: str, slot: str = SYNTHESIZER_SLOT) -> ChosenVoice:
        """What speaks in this agent's calls; a step may name a slot of its own.

        Raises: CredentialRejected when nothing is there or the choice cannot be used
        """
        row, kind = await self._chosen(workspace_id, agent_id, slot, SYNTHESIZER_SLOT)
        offer = kind.synthesizer
        assert offer is not None
        key = (*_key(row, kind)[:3], "")
        found = self._synthesizers.get(key)
        if found is None:
            found = offer.open(await self._settings(workspace_id, slot, kind, row))
            if row["id"] is not None:
                found = WatchedSynthesizer(found, self._rest.of(Account(workspace_id, str(row["id"]), kind.id, False)))
            self._keep(self._synthesizers, key, found)
        return ChosenVoice(found, row["model"], kind)

    async def without_key(self) -> Synthesizer | None:
        """The voice that needs nobody else, for when a chosen one fails; None when none is installed."""
        row = self._without_key(SYNTHESIZER_SLOT)
        if row is None:
            return None
        kind = self._catalog.connectors[row["bound_connector"]]
        key = (*_key(row, kind)[:3], "")
        found = self._synthesizers.get(key)
        if found is None:
            assert kind.synthesizer is not None
            found = kind.synthesizer.open(await self._settings("", SYNTHESIZER_SLOT, kind, row))
            self._keep(self._synthesizers, key, found)
        return found

    @property
    def has_voice_without_key(self) -> bool:
        """Whether `without_key` gives one."""
        return self._without_key(SYNTHESIZER_SLOT) is not None

    def voices_without_key(self) -> tuple[Voice, ...]:
        """Of `without_key`."""
        row = self._without_key(SYNTHESIZER_SLOT)
        offer = self._catalog.connectors[row["bound_connector"]].synthesizer if row else None
        return offer.voices if offer is not None else ()

    def languages_without_key(self) -> tuple[str, ...]:
        """What `without_key` speaks; empty: any."""
        row = self._without_key(SYNTHESIZER_SLOT)
        offer = self._catalog.connectors[row["bound_connector"]].synthesizer if row else None
        return offer.languages if offer is not None else ()

    def works_without_keys(self) -> bool:
        """Whether calls can be held by an agent that nobody chose speech for."""
        return all(self._without_key(kind) for kind in (TRANSCRIBER_SLOT, SYNTHESIZER_SLOT))

    async def close(self) -> None:
        """End every process and connection."""
        opened = [*self._transcribers.values(), *self._synthesizers.values(), *self._let_go]
        self._transcribers.clear()
        self._synthesizers.clear()
        self._let_go.clear()
        for one in opened:
            await one.aclose()
        await self._rest.close()

    async def _chosen(self, workspace_id: str, agent_id: str, slot: str, kind_of: str) -> tuple[Row, Connector]:
        async with self._database.workspace(workspace_id) as connection:
            row = await rows.bound(connection, agent_id, slot)
            if row is None and slot != kind_of:
                row = await rows.bound(connection, agent_id, kind_of)
            row = row or await rows.default(connection, f"default_{kind_of}") or self._without_key(kind_of)
        if row is None:
            raise CredentialRejected(NONE_CHOSEN, slot=slot)
        kind = self._catalog.connectors.get(row["bound_connector"])
        if kind is None or kind_of not in kind.kinds or (row["id"] is None and kind.needs_credential):
            raise CredentialRejected(
                f"The speech of “{slot}” cannot be used: its connector is not installed or has no key. "
                "Choose a connection under Models & keys.",
                slot=slot,
            )
        return row, kind

    def _without_key(self, kind_of: str) -> Row | None:
        for kind in self._catalog.connectors.values():
            offer = kind.transcriber if kind_of == TRANSCRIBER_SLOT else kind.synthesizer
            if offer is None or kind.needs_credential or kind_of not in kind.kinds:
                continue
            if offer.missing is None or not offer.missing():
                return {"bound_connector": kind.id, "model": "", "id": None, "version": None}
        return None

    async def _settings(self, workspace_id: str, slot: str, kind: Connector, row: Row) -> object:
        async with self._database.workspace(workspace_id) as connection:
            try:
                return await saved_settings(self._vault, connection, workspace_id, kind, row)
            except VaultLocked as error:
                raise CredentialRejected(error.message, slot=slot) from error

    def _keep(self, kept: OrderedDict[_Key, Opened], key: _Key, opened: Opened) -> None:
        kept[key] = opened
        while len(kept) > _KEPT:
            self._let_go.append(kept.popitem(last=False)[1])


def _key(row: Row, kind: Connector) -> _Key:
    # Without a credential there is nothing of a workspace in it: one process serves all.
    return (str(row["id"]) if row["id"] else "", row["version"] or 0, kind.id, row["model"])
