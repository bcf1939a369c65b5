"""Settings of a workspace: its name, language, time zone, and how long it keeps what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.local_time import is_time_zone
from graph_runtime.contract.opt_out import START_WORDS, STOP_WORDS
from graph_runtime.contract.speech import SYNTHESIZER_SLOT, TRANSCRIBER_SLOT
from graph_runtime.contract.working_hours import OFFICE, load_hours
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.principal import Principal
from graph_runtime.services.serving import require_serves
from graph_runtime.services.workspace_facts import holiday_countries
from graph_runtime.storage import accounts as rows
from graph_runtime.storage import agents as agent_rows
from graph_runtime.storage import audit
from graph_runtime.storage import credentials as credential_rows
from graph_runtime.storage.database import Database

KEPT_DAYS: Final = {"keep_transcripts_days": (0, 3650), "keep_events_days": (1, 3650), "keep_files_days": (0, 3650)}
"""Least and most days; 0 is for ever."""


@dataclass(frozen=True, slots=True)
class WorkspaceSettingsRow:
    """Every setting with its value; `language` is the one new agents start with."""

    name: str = ""
    language: str = "en"
    time_zone: str = "UTC"
    keep_transcripts_days: int = 90
    """Messages and silent conversations; 0 keeps them for ever."""
    keep_events_days: int = 30
    """What happened in turns, for reports; and the journal of calls to the outside."""
    keep_files_days: int = 90
    """What contacts sent; 0 keeps them as long as their conversation."""
    working_hours: dict[str, list[list[str]]] = field(default_factory=OFFICE.data)
    """Weekday → spans, such as {"mon": [["09:00", "18:00"]]}, by the clock of whoever they are counted for."""
    holiday_country: str = ""
    """ISO 3166 code of the country whose public holidays nobody works; "" for none."""
    stop_words: tuple[str, ...] = STOP_WORDS
    """A message that is nothing but one of these opts its writer out."""
    start_words: tuple[str, ...] = START_WORDS
    """And one of these takes them back."""
    stop_answer: dict[str, str] = field(default_factory=dict)
    """Language → what they are answered then; what is missing is a ready sentence."""
    start_answer: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model with its key; without a key it is the demo model."""

    credential_id: str | None = None
    connector: str = ""
    model: str = ""


class WorkspaceSettings:
    """Reading and changing them."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, principal: Principal) -> WorkspaceSettingsRow:
        """Raises: AccessDenied."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            stored = await rows.settings(connection)
        known = asdict(WorkspaceSettingsRow())
        values: dict[str, Any] = {k: v for k, v in stored.items() if k in known}
        for key in ("stop_words", "start_words"):
            if key in values:
                values[key] = tuple(values[key])
        return WorkspaceSettingsRow(**values)

    async def update(self, principal: Principal, **changes: Any) -> WorkspaceSettingsRow:
        """Raises: AccessDenied, InputInvalid."""
        principal.require("settings.manage")
        for key, value in changes.items():
            _check(key, value)
        async with self._database.workspace(principal.workspace_id) as connection:
            for key, value in changes.items():
                await rows.set_setting(connection, principal.workspace_id, key, value)
            await audit.append(
                connection, principal.actor, "settings.changed", {"keys": sorted(changes)}, self._clock()
            )
        return await self.get(principal)

    async def default_model(self, principal: Principal) -> ChosenModel:
        """What answers in slots that chose nothing themselves. Raises: AccessDenied."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await credential_rows.default(connection)
        return ChosenModel(row["id"], row["bound_connector"], row["model"]) if row else ChosenModel()

    async def set_default_model(
        self, principal: Principal, *, credential_id: str | None, connector: str, model: str
    ) -> ChosenModel:
        """Without a key the demo model becomes the default.

        Raises: AccessDenied, NotFound
        """
        principal.require("settings.manage", "credential.use")
        chosen = {"credential_id": credential_id, "connector": connector, "model": model[:200]}
        async with self._database.workspace(principal.workspace_id) as connection:
            if credential_id is not None and await agent_rows.connector_of(connection, credential_id) != connector:
                raise NotFound("This key does not exist any more. Choose another one under Models & keys.")
            if credential_id is not None:
                await require_serves(connection, credential_id, None)
            await rows.set_setting(connection, principal.workspace_id, "default_model", chosen)
            await audit.append(
                connection, principal.actor, "settings.changed", {"keys": ["default_model"]}, self._clock()
            )
        return await self.default_model(principal)

    async def default_speech(self, principal: Principal, slot: str) -> ChosenModel:
        """What hears (`slot` "transcriber") or speaks ("synthesizer") in calls that chose nothing themselves.

        Raises: AccessDenied, InputInvalid
        """
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await credential_rows.default(connection, _speech_key(slot))
        return ChosenModel(row["id"], row["bound_connector"], row["model"]) if row else ChosenModel()

    async def set_default_speech(
        self, principal: Principal, slot: str, *, credential_id: str | None, connector: str = "", model: str = ""
    ) -> ChosenModel:
        """`model` is a transcriber's model or a synthesizer's voice. Without a credential: speech without keys.

        Raises: AccessDenied, InputInvalid, NotFound
        """
        principal.require("settings.manage", "credential.use")
        key = _speech_key(slot)
        chosen = {"credential_id": credential_id, "connector": connector, "model": model[:200]}
        async with self._database.workspace(principal.workspace_id) as connection:
            if credential_id is not None and await agent_rows.connector_of(connection, credential_id) != connector:
                raise NotFound("This key does not exist any more. Choose another one under Models & keys.")
            if credential_id is not None:
                await require_serves(connection, credential_id, None)
            await rows.set_setting(connection, principal.workspace_id, key, chosen)
            await audit.append(connection, principal.actor, "settings.changed", {"keys": [key]}, self._clock())
        return await self.default_speech(principal, slot)


def _speech_key(slot: str) -> str:
    if slot not in (TRANSCRIBER_SLOT, SYNTHESIZER_SLOT):
        raise InputInvalid(f"The slot is {TRANSCRIBER_SLOT} or {SYNTHESIZER_SLOT}.", field="slot")
    return f"default_{slot}"


def _check(key: str, value: Any) -> None:
    if key == "name":
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= 200:
            raise InputInvalid("The name of the workspace has 1 to 200 characters.", field="name")
    elif key == "language":
        if value not in LANGUAGES:
            raise InputInvalid(f"The language is one of {', '.join(LANGUAGES)}.", field="language")
    elif key in KEPT_DAYS:
        least, most = KEPT_DAYS[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InputInvalid(
                f"How long something is kept is a whole number of days from {least} to {most}.", field=key
            )
    elif key in ("working_hours", "holiday_country"):
        _check_hours(key, value)
    elif key in ("stop_words", "start_words", "stop_answer", "start_answer"):
        _check_words(key, value)
    elif key == "time_zone":
        if not isinstance(value, str) or not is_time_zone(value):
            raise InputInvalid("There is no such time zone. It looks like Europe/Kyiv.", field="time_zone")
    else:
        raise InputInvalid(f"There is no setting “{key}”.", field=key)


def _check_hours(key: str, value: Any) -> None:
    if key == "working_hours":
        try:
            load_hours(value)
        except ValueError as error:
            raise InputInvalid(str(error), field=key) from None
    elif value != "" and value not in holiday_countries():
        raise InputInvalid("Public holidays of this country are not known. Choose another one, or none.", field=key)


def _check_words(key: str, value: Any) -> None:
    if key.endswith("_words"):
        is_right = isinstance(value, list | tuple) and 1 <= len(value) <= 50
        if not is_right or any(not isinstance(w, str) or not 1 <= len(w.strip()) <= 40 for w in value):
            raise InputInvalid("Give 1 to 50 words of at most 40 characters each.", field=key)
    elif not isinstance(value, dict) or any(
        k not in LANGUAGES or not isinstance(v, str) or len(v) > 500 for k, v in value.items()
    ):
        raise InputInvalid("An answer is one text of at most 500 characters for each language.", field=key)
