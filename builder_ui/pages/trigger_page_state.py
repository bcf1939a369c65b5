"""State of one trigger's page: how it goes, its next times, its address and sample, and the log of its occasions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.pages.trigger_form_state import TriggerForm
from builder_ui.pages.trigger_rows import OccasionItem, TimeItem, TriggerItem, occasion_item, time_items, trigger_item
from builder_ui.rows import moment
from builder_ui.session import handler, services
from graph_runtime.contract.errors import AccessDenied, NotFound
from graph_runtime.contract.triggers import OnSchedule

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal
    from graph_runtime.services.triggers import TriggerRow

SECRET_FIELD: Final = "renewed_trigger_secret"  # noqa: S105 (the id of a field)
SHOWN: Final = 50
FILTERS: Final = ("all", "fired", "not_fired", "waiting", "failed")


class TriggerPage(TriggerForm):
    """A fresh secret is put straight into a field of the page and is never part of the state."""

    item: TriggerItem = TriggerItem()
    agent_path: str = ""
    coming: list[TimeItem] = []
    zone: str = ""
    log: list[OccasionItem] = []
    filter: str = "all"
    search: str = ""
    has_more: bool = False
    sample_at: str = ""
    captures: bool = False
    may_edit: bool = False
    may_fire: bool = False
    is_loaded: bool = False
    is_missing: bool = False
    is_fresh_shown: bool = False
    is_doomed: bool = False
    is_firing: bool = False

    def _id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _refresh(self, who: Principal) -> TriggerRow:
        row = await services().triggers.get(who, self._id())
        found = await services().triggers.choices(who, row.agent_id)
        names = {r["id"]: r["name"] for kind in ("flows", "chains") for r in found.get(kind, [])}
        names |= {"": next((f["name"] for f in found["flows"] if f["is_main"]), "")}
        self.item = trigger_item(row, self.me.language or "en", names)
        self.agent_path = f"/agents/{row.agent_id}"
        self.sample_at, self.captures = moment(row.sample_at), row.captures
        self.coming, self.zone = [], ""
        when = row.trigger.when
        if isinstance(when, OnSchedule) and row.is_on:
            self.zone = when.schedule.zone
            self.coming = time_items(services().triggers.preview(who, when.schedule)[1], self.zone)
        await self._read(who)
        return row

    async def _read(self, who: Principal, before: str = "") -> None:
        state = None if self.filter == "all" else self.filter
        rows = await services().trigger_log.log(
            who, self._id(), state=state, search=self.search, before=before, limit=SHOWN
        )
        language = self.me.language or "en"
        self.log = [*(self.log if before else ()), *(occasion_item(r, language) for r in rows)]
        self.has_more = len(rows) == SHOWN

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_loaded = self.is_missing = self.is_form_open = self.is_saving = self.is_fresh_shown = False
        self.is_doomed = self.is_firing = False
        self.filter, self.search, self.log = "all", "", []
        self.may_edit, self.may_fire = "agent.edit" in who.scopes, "conversation.write" in who.scopes
        try:
            await self._refresh(who)
        except (NotFound, AccessDenied):
            self.is_missing = True
            return
        self.is_loaded = True

    @handler
    async def refresh(self, who: Principal) -> None:
        """Look anew."""
        await self._refresh(who)

    @handler
    async def choose(self, who: Principal, state: str) -> None:
        """Show only occasions that ended so."""
        self.filter = state if state in FILTERS else "all"
        await self._read(who)

    @handler
    async def look_for(self, who: Principal, search: str) -> None:
        """Show only occasions about a contact."""
        self.search = str(search)[:100]
        await self._read(who)

    @handler
    async def more(self, who: Principal) -> None:
        """Show older ones."""
        if self.log:
            await self._read(who, self.log[-1].id)

    @handler
    async def switch(self, who: Principal, is_on: bool) -> None:
        """Let it fire, or stop it."""
        await services().triggers.set_on(who, self._id(), bool(is_on))
        await self._refresh(who)
        self._tell("triggers.is_on_now" if is_on else "triggers.is_off_now")

    @handler
    async def begin(self, who: Principal) -> None:
        """Open the form with what is now."""
        row = await services().triggers.get(who, self._id())
        await self._open_form(who, row.agent_id, row)

    @handler
    async def save(self, who: Principal) -> Any:
        """Change the trigger."""
        if self.is_saving or not self.is_form_open:
            return
        self.is_saving = True
        yield
        try:
            await self._save(who)
            await self._refresh(who)
            self._tell("triggers.saved")
        finally:
            self.is_saving = False

    @handler
    async def capture(self, who: Principal, is_on: bool) -> None:
        """Keep the next request as the sample, or wait for it no longer."""
        await services().triggers.capture(who, self._id(), is_on=bool(is_on))
        await self._refresh(who)

    @handler
    async def renew(self, who: Principal) -> Any:
        """Make a new secret and show it."""
        secret = await services().triggers.rotate_secret(who, self._id())
        self.is_fresh_shown = True
        yield rx.set_value(SECRET_FIELD, secret)

    @handler
    async def forget(self, who: Principal) -> Any:
        """The person has saved the secret: empty the field."""
        self.is_fresh_shown = False
        yield rx.set_value(SECRET_FIELD, "")

    @handler
    async def ask_fire(self, who: Principal, is_open: bool) -> None:
        """Ask for whom to fire it, or close the question."""
        self.is_firing = bool(is_open)

    @handler
    async def fire(self, who: Principal, form: dict[str, Any]) -> None:
        """Fire it now, for a contact or for nobody."""
        search, contact_id = str(form.get("contact") or "").strip(), ""
        if search:
            found = await services().trigger_log.find_contacts(who, search[:200])
            if not found:
                self._tell("triggers.trial_nobody", level="error")
                return
            contact_id = found[0][0]
        await services().trigger_log.fire(who, self._id(), contact_id=contact_id)
        self.is_firing = False
        await self._refresh(who)
        self._tell("triggers.fired_now")

    @handler
    async def ask_delete(self, who: Principal) -> None:
        """Ask before deleting."""
        self.is_doomed = True

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without deleting."""
        if not is_open:
            self.is_doomed = False

    @handler
    async def delete(self, who: Principal) -> Any:
        """Delete the trigger and go back to its agent."""
        if self.is_doomed:
            self.is_doomed = False
            await services().triggers.delete(who, self._id())
            self._tell("triggers.deleted")
            yield rx.redirect(self.agent_path)
