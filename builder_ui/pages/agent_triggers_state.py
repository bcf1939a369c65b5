"""State of the triggers on an agent's page: the list, switching, a new one, and notes that triggers left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.pages.trigger_form_state import TriggerForm
from builder_ui.pages.trigger_rows import ICONS, TriggerItem, trigger_item
from builder_ui.rows import moment
from builder_ui.session import handler, services
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

FRESH_FIELD: Final = "fresh_trigger_secret"


@dataclass(frozen=True)
class NoteItem:
    """Something that a trigger asks somebody to look at."""

    id: str
    trigger: str
    contact: str
    text: str
    at: str


class AgentTriggers(TriggerForm):
    """A fresh secret is put straight into a field of the page and is never part of the state."""

    triggers: list[TriggerItem] = []
    notes: list[NoteItem] = []
    may_edit: bool = False
    is_fresh_shown: bool = False

    def _agent(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _refresh(self, who: Principal) -> None:
        agent_id, language = self._agent(), self.me.language or "en"
        found = await services().triggers.choices(who, agent_id)
        names = {row["id"]: row["name"] for kind in ("flows", "chains") for row in found.get(kind, [])}
        names |= {"": next((f["name"] for f in found["flows"] if f["is_main"]), "")}
        self.triggers = [trigger_item(row, language, names) for row in await services().triggers.list(who, agent_id)]
        self.notes = [
            NoteItem(n["id"], n["trigger"], n["contact"], n["text"], moment(n["created_at"]))
            for n in await services().trigger_log.notes(who, agent_id)
        ]

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_form_open = self.is_saving = self.is_fresh_shown = False
        self.triggers, self.notes = [], []
        self.may_edit = "agent.edit" in who.scopes
        try:
            await self._refresh(who)
        except NotFound:
            return

    @handler
    async def begin(self, who: Principal, kind: str) -> None:
        """Open the form for a new trigger."""
        if kind in ICONS:
            await self._open_form(who, self._agent(), None, kind)

    @handler
    async def save(self, who: Principal) -> Any:
        """Make the trigger; one that programs post to shows its secret."""
        if self.is_saving or not self.is_form_open:
            return
        self.is_saving = True
        yield
        try:
            secret = await self._save(who)
            await self._refresh(who)
            self._tell("triggers.saved")
            if secret:
                self.is_fresh_shown = True
                yield rx.set_value(FRESH_FIELD, secret)
        finally:
            self.is_saving = False

    @handler
    async def forget(self, who: Principal) -> Any:
        """The person has saved the secret: empty the field."""
        self.is_fresh_shown = False
        yield rx.set_value(FRESH_FIELD, "")

    @handler
    async def switch(self, who: Principal, trigger_id: str, is_on: bool) -> None:
        """Let it fire, or stop it."""
        await services().triggers.set_on(who, trigger_id, bool(is_on))
        await self._refresh(who)
        self._tell("triggers.is_on_now" if is_on else "triggers.is_off_now")

    @handler
    async def close_note(self, who: Principal, note_id: str) -> None:
        """It is dealt with."""
        await services().trigger_log.close_note(who, note_id)
        await self._refresh(who)
