"""State of the speech of an agent's calls: what listens and what speaks, with which model and voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builder_ui.rows import CredentialChoice
from builder_ui.session import Session, handler, services
from graph_runtime.contract.catalog import translate
from graph_runtime.contract.errors import NotFound
from graph_runtime.contract.speech import SYNTHESIZER_SLOT, TRANSCRIBER_SLOT

if TYPE_CHECKING:
    from graph_runtime.contract.connectors import Connector
    from graph_runtime.services.principal import Principal

DEFAULT: Final = "default"
SLOTS: Final = (TRANSCRIBER_SLOT, SYNTHESIZER_SLOT)
_OWN: Final = "connector:"
"""Before the id of a connector that needs no key."""


@dataclass(frozen=True)
class SpeechItem:
    """One side of a call. `choice`: a key's id, “connector:” and a connector without one, or “default”, which is
    `usual`. `missing`: what has to be installed first. `names`: suggested models or voices."""

    slot: str
    choice: str
    model: str
    usual: str
    missing: str
    choices: list[CredentialChoice]
    names: list[str]


class AgentSpeech(Session):
    """Of the agent whose page is open."""

    sides: list[SpeechItem] = []

    def _agent_id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _refresh(self, who: Principal) -> None:
        self.sides = [await self._side(who, slot) for slot in SLOTS]

    async def _side(self, who: Principal, slot: str) -> SpeechItem:
        kinds = {kind.id: kind for kind in services().catalog.connectors.values() if slot in kind.kinds}
        keys = [
            key for key in await services().credentials.list(who, for_agent=self._agent_id()) if key.connector in kinds
        ]
        choices = [
            CredentialChoice(_OWN + kind.id, self._label(kind)) for kind in kinds.values() if not kind.needs_credential
        ]
        choices += [CredentialChoice(str(key.id), f"{self._label(kinds[key.connector])}: {key.label}") for key in keys]
        bound = next((b for b in await services().agents.connections(who, self._agent_id()) if b.slot == slot), None)
        default = await services().workspace_settings.default_speech(who, slot)
        free = next((kind.id for kind in kinds.values() if not kind.needs_credential), "")
        usual = default.connector or free
        kind = kinds.get(bound.connector if bound is not None and bound.connector else usual)
        choice = DEFAULT
        if bound is not None and bound.connector:
            choice = str(bound.credential_id or "") or _OWN + bound.connector
        return SpeechItem(
            slot=slot, choice=choice, model=(bound.model or "") if bound is not None else "",
            usual=self._label(kinds[usual]) if usual in kinds else "", missing=_missing(kind, slot), choices=choices,
            names=_names(kind, slot),
        )  # fmt: skip

    def _label(self, kind: Connector) -> str:
        return translate(kind.texts, kind.label, self.me.language or "en")

    @handler
    async def load(self, who: Principal) -> None:
        """The agent's page was opened."""
        self.sides = []
        try:
            await self._refresh(who)
        except NotFound:
            return  # the page itself says so

    @handler
    async def choose(self, who: Principal, slot: str, choice: str) -> None:
        """Put a key, a service without one, or the workspace's default in the place."""
        side = self._find(slot)
        key = next((k for k in await services().credentials.list(who) if str(k.id) == choice), None)
        if choice != DEFAULT and choice not in {c.id for c in side.choices}:
            raise NotFound("This key does not exist any more. Choose another one under Models & keys.")
        connector = key.connector if key else "" if choice == DEFAULT else choice.removeprefix(_OWN)
        await services().agents.bind(
            who, self._agent_id(), slot, credential_id=str(key.id) if key else None, connector=connector
        )
        await self._refresh(who)
        self._tell("speech.saved")

    @handler
    async def name(self, who: Principal, slot: str, model: str) -> None:
        """The model that listens, or the voice that speaks."""
        side, model = self._find(slot), str(model).strip()[:120]
        if side.choice == DEFAULT or model == side.model:
            return
        is_own = side.choice.startswith(_OWN)
        found = next((b for b in await services().agents.connections(who, self._agent_id()) if b.slot == slot), None)
        if found is None:
            return
        await services().agents.bind(
            who,
            self._agent_id(),
            slot,
            credential_id=None if is_own else side.choice,
            connector=found.connector,
            model=model,
        )
        await self._refresh(who)
        self._tell("speech.saved")

    def _find(self, slot: str) -> SpeechItem:
        found = next((side for side in self.sides if side.slot == slot), None)
        if found is None:
            raise NotFound("There is no such place for speech.")
        return found


def _missing(kind: Connector | None, slot: str) -> str:
    offer = None if kind is None else kind.transcriber if slot == TRANSCRIBER_SLOT else kind.synthesizer
    return offer.missing() if offer is not None and offer.missing is not None else ""


def _names(kind: Connector | None, slot: str) -> list[str]:
    if kind is None:
        return []
    if slot == TRANSCRIBER_SLOT:
        return [model.name for model in kind.transcriber.models] if kind.transcriber else []
    return [voice.id for voice in kind.synthesizer.voices] if kind.synthesizer else []
