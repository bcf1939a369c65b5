"""State of the follow-up pages: the list of chains; one chain with its steps, rules and versions."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import reflex as rx

from builder_ui.pages.chain_forms import EVERYWHERE, read_rules, read_step, rules_form, step_form
from builder_ui.pages.chain_rows import (
    ChainItem,
    RulesForm,
    StepForm,
    StepItem,
    chain_item,
    step_items,
)
from builder_ui.pages.crm_rows import CrmFields, CrmForm, with_row
from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.chains import CALENDAR_UNITS, Chain, read_chain
from graph_runtime.contract.errors import FlowInvalid, InputInvalid, NotFound

if TYPE_CHECKING:
    from graph_runtime.services.chain_drafts import ChainDraft
    from graph_runtime.services.principal import Principal

KINDS = ("message", "flow", "call", "notify", "webhook", "update", "crm")


class FollowUps(Session):
    """The list of chains, and what chains ask this member to do."""

    chains: list[ChainItem] = []
    notes: list[dict[str, str]] = []
    is_loaded: bool = False
    is_naming: bool = False
    may_edit: bool = False

    async def _refresh(self, who: Principal) -> None:
        self.chains = [chain_item(row) for row in await services().chain_drafts.list(who)]
        self.notes = [
            {
                "id": n["id"], "text": n["text"], "chain": n["chain"], "name": n["contact_name"] or n["phone"] or "",
                "at": moment(n["created_at"]),
            }
            for n in await services().chains.notes(who)
        ]  # fmt: skip
        self.may_edit = "flow.edit" in who.scopes

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_naming = False
        await self._refresh(who)
        self.is_loaded = True

    @handler
    async def name_one(self, who: Principal, is_open: bool) -> None:
        """Ask for the name of a new chain, or do not."""
        self.is_naming = bool(is_open)

    @handler
    async def create(self, who: Principal, form: dict[str, Any]) -> Any:
        """A new chain, opened at once. Its clock is the one of the person's browser until somebody says otherwise."""
        zone = text_of(form, "zone", limit=60)
        draft = await services().chain_drafts.create(
            who, text_of(form, "name", required=True), {"time_zone": zone} if zone else None
        )
        self.is_naming = False
        return rx.redirect(f"/follow-ups/{draft.row.id}")

    @handler
    async def switch(self, who: Principal, chain_id: str, is_on: bool) -> None:
        """Let people enter and go on, or let everybody wait."""
        await services().chain_drafts.set_on(who, chain_id, bool(is_on))
        await self._refresh(who)
        self._tell("chains.is_on_now" if is_on else "chains.is_off_now")

    @handler
    async def close_note(self, who: Principal, note_id: str) -> None:
        """It is dealt with."""
        await services().chains.close_note(who, note_id)
        await self._refresh(who)


class ChainPage(Session):
    """One chain. Every change is saved at once as a new revision of the draft, and can be taken back."""

    item: ChainItem = ChainItem()
    steps: list[StepItem] = []
    versions: list[dict[str, str]] = []
    form: StepForm = StepForm()
    rules: RulesForm = RulesForm()
    channels: list[NamedItem] = []
    lines: list[NamedItem] = []
    agents: list[NamedItem] = []
    members: list[NamedItem] = []
    subscriptions: list[NamedItem] = []
    crms: list[NamedItem] = []
    crm: CrmForm = CrmForm()
    zone: str = "UTC"
    has_hours: bool = False
    stops_when: bool = False
    stop_tags: str = ""
    quiet: str = ""
    stops_on_reply: bool = True
    problem: str = ""
    can_undo: bool = False
    may_edit: bool = False
    is_loaded: bool = False
    is_missing: bool = False
    is_step_open: bool = False
    counts_from_field: bool = False
    counts_days: bool = True
    is_rules_open: bool = False
    is_doomed: bool = False
    is_naming: bool = False
    _document: dict[str, Any] = {}
    _revision: int = 0
    _crm_place: tuple[str, str] = ("", "lead")

    def _id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    def _chain(self) -> Chain:
        return read_chain(self._document)

    def _show(self, draft: ChainDraft) -> None:
        chain = draft.chain
        names = {
            i.id: i.name
            for i in (*self.channels, *self.lines, *self.agents, *self.members, *self.subscriptions, *self.crms)
        }
        self.item = chain_item(draft.row)
        self.steps = step_items(chain, {p.step_id: p.code for p in reversed(draft.problems)}, names)
        self.problem = next((p.code for p in draft.problems if not p.step_id and p.code != "no_steps"), "")
        self._document, self._revision, self.can_undo = chain.to_json(), draft.revision, draft.can_undo
        self.zone, self.stop_tags = chain.time_zone, ", ".join(chain.stop.tags)
        self.stops_on_reply = chain.stop.on_reply
        self.has_hours, self.stops_when = chain.working_hours is not None, chain.stop.when is not None
        self.quiet = f"{chain.quiet.start}–{chain.quiet.end}" if chain.quiet else ""

    async def _refresh(self, who: Principal) -> None:
        self._show(await services().chain_drafts.get(who, self._id()))

    async def _read_choices(self, who: Principal) -> None:
        found = await services().chain_drafts.choices(who)

        def of(kind: str) -> list[NamedItem]:
            return [NamedItem(i, name) for i, name in found.get(kind, [])]

        self.channels, self.lines, self.agents = of("channel"), of("line"), of("agent") + of("flow")
        self.members, self.subscriptions, self.crms = of("member"), of("subscription"), of("crm")

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_loaded = self.is_missing = self.is_step_open = self.is_rules_open = self.is_doomed = self.is_naming = (
            False
        )
        self.may_edit = "flow.edit" in who.scopes
        try:
            await self._read_choices(who)
            await self._refresh(who)
        except NotFound:
            self.is_missing = True
            return
        await self._read_versions(who)
        self.is_loaded = True

    async def _read_versions(self, who: Principal) -> None:
        self.versions = [
            {"number": str(v.number), "at": moment(v.created_at), "inside": str(v.inside)}
            for v in await services().chain_drafts.versions(who, self._id())
        ]

    async def _save(self, who: Principal, document: dict[str, Any]) -> None:
        self._show(await services().chain_drafts.save(who, self._id(), document, revision=self._revision))

    def _steps(self) -> list[dict[str, Any]]:
        return [*self._document.get("steps", [])]

    @handler
    async def add_step(self, who: Principal, kind: str) -> Any:
        """Open the panel for a new step at the end."""
        if kind in KINDS:
            first = not self._document.get("steps")
            targets = {"call": self.lines, "flow": self.agents, "webhook": self.subscriptions, "crm": self.crms}.get(
                kind, []
            )
            target = EVERYWHERE if kind == "notify" else targets[0].id if targets else ""
            self.form = StepForm(
                key=uuid.uuid4().hex, kind=kind, amount=0 if first else 1, target=target,
                channel_1=EVERYWHERE, channel_2=EVERYWHERE,
            )  # fmt: skip
            self._open_panel()
            yield
            await self._open_crm(who)

    @handler
    async def edit_step(self, who: Principal, step_id: str) -> Any:
        """Open the panel for a step."""
        found = next((s for s in self._chain().steps if s.id == step_id), None)
        if found is not None:
            self.form = step_form(found, uuid.uuid4().hex)
            self._open_panel()
            yield
            await self._open_crm(who)

    async def _open_crm(self, who: Principal) -> None:
        """The panel is there; what the account offers comes when it answers."""
        if self.form.kind == "crm":
            self._crm_place = (self.form.target, self.form.entity)
            pairs = [(n, v) for n, v in zip(self.form.field_names, self.form.texts, strict=True) if n]
            self.crm = (await self._crm_fields(who)).form(pairs)

    async def _crm_fields(self, who: Principal) -> CrmFields:
        target, entity = self._crm_place
        agent_id, _, slot = target.partition("/")
        return await CrmFields.read(who, agent_id, slot, entity, self.me.language or "en")

    @handler
    async def choose_crm(self, who: Principal, target: str) -> None:
        """Another account has other fields."""
        self._crm_place = (str(target)[:200], self._crm_place[1])
        self.crm = (await self._crm_fields(who)).form([])

    @handler
    async def choose_crm_entity(self, who: Principal, entity: str) -> None:
        """A deal has other fields than a contact."""
        self._crm_place = (self._crm_place[0], "contact" if entity == "contact" else "lead")
        self.crm = (await self._crm_fields(who)).form([])

    @handler
    async def pick_crm_field(self, who: Principal, place: int, name: str) -> None:
        """Its own choices are offered for its value."""
        if 0 <= int(place) < len(self.crm.rows):
            fields = await self._crm_fields(who)
            self.crm = with_row(self.crm, int(place), fields.row(str(name)[:200], self.crm.rows[int(place)].value))

    def _open_panel(self) -> None:
        self.counts_from_field = self.form.since.startswith("field")
        self.counts_days = self.form.unit in CALENDAR_UNITS
        self.is_step_open = True

    @handler
    async def count_from(self, who: Principal, since: str) -> None:
        """Only a date of the contact needs the name of its field."""
        self.counts_from_field = str(since).startswith("field")

    @handler
    async def count_in(self, who: Principal, unit: str) -> None:
        """Minutes and hours have no time of day."""
        self.counts_days = unit in CALENDAR_UNITS

    @handler
    async def close_step(self, who: Principal, is_open: bool) -> None:
        """Close the panel without saving."""
        if not is_open:
            self.is_step_open = False

    @handler
    async def save_step(self, who: Principal, form: dict[str, Any]) -> None:
        """Put what the panel says into the draft."""
        steps = self._steps()
        place = next((n for n, s in enumerate(steps) if s["id"] == self.form.id), len(steps))
        old = steps[place] if place < len(steps) else None
        step = read_step(form, old, self.form.kind, self.form.id or f"s_{uuid.uuid4().hex[:8]}")
        if self.form.kind == "crm":
            known = await self._crm_fields(who)
            step["fields"] = [known.named(f["name"], f["value"]) for f in step["fields"]]
        steps[place : place + 1] = [step]
        await self._save(who, {**self._document, "steps": steps})
        self.is_step_open = False

    @handler
    async def place_step(self, who: Principal, step_id: str, place: int) -> None:
        """Put a step at another place, counted from 0."""
        steps = self._steps()
        now = next((n for n, s in enumerate(steps) if s["id"] == step_id), None)
        if now is None or not 0 <= place < len(steps) or place == now:
            return
        steps.insert(place, steps.pop(now))
        await self._save(who, {**self._document, "steps": steps})

    @handler
    async def copy_step(self, who: Principal, step_id: str) -> None:
        """The same step once more, after it."""
        steps = self._steps()
        place = next((n for n, s in enumerate(steps) if s["id"] == step_id), None)
        if place is not None:
            steps.insert(place + 1, {**steps[place], "id": f"s_{uuid.uuid4().hex[:8]}"})
            await self._save(who, {**self._document, "steps": steps})

    @handler
    async def remove_step(self, who: Principal, step_id: str) -> None:
        """Take a step out; it can be taken back."""
        steps = [s for s in self._steps() if s["id"] != step_id]
        await self._save(who, {**self._document, "steps": steps})
        self._tell("chains.step_removed")

    @handler
    async def undo(self, who: Principal) -> None:
        """Take the last change back."""
        self._show(await services().chain_drafts.undo(who, self._id()))

    @handler
    async def open_rules(self, who: Principal, is_open: bool) -> None:
        """The dialog of what holds for the whole chain."""
        if is_open:
            self.rules = rules_form(self._chain(), uuid.uuid4().hex)
        self.is_rules_open = bool(is_open)

    @handler
    async def save_rules(self, who: Principal, form: dict[str, Any]) -> None:
        """Put the rules into the draft."""
        await self._save(who, read_rules(form, self._chain()))
        self.is_rules_open = False

    @handler
    async def open_name(self, who: Principal, is_open: bool) -> None:
        """Ask for another name, or do not."""
        self.is_naming = bool(is_open)

    @handler
    async def refresh(self, who: Principal) -> None:
        """Others have put people in or taken them out."""
        await self._refresh(who)
        await self._read_versions(who)

    @handler
    async def rename(self, who: Principal, form: dict[str, Any]) -> None:
        """Give the chain another name."""
        self._show(await services().chain_drafts.rename(who, self._id(), text_of(form, "name", required=True)))
        self.is_naming = False

    @handler
    async def publish(self, who: Principal) -> None:
        """Freeze the draft and let people enter."""
        try:
            self._show(await services().chain_drafts.publish(who, self._id()))
        except FlowInvalid as error:
            raise InputInvalid(error.message, field="chain") from None
        await self._read_versions(who)
        self._tell("chains.published", number=self.item.number)

    @handler
    async def switch(self, who: Principal, is_on: bool) -> None:
        """Let people enter and go on, or let everybody wait."""
        self._show(await services().chain_drafts.set_on(who, self._id(), bool(is_on)))
        self._tell("chains.is_on_now" if is_on else "chains.is_off_now")

    @handler
    async def move_all(self, who: Principal) -> None:
        """Let everybody inside go on in the live version."""
        moved = await services().chains.move_to_live(who, self._id())
        await self._refresh(who)
        await self._read_versions(who)
        self._tell("chains.moved", n=moved)

    @handler
    async def ask_delete(self, who: Principal, is_open: bool) -> None:
        """Ask before deleting."""
        self.is_doomed = bool(is_open)

    @handler
    async def delete(self, who: Principal) -> Any:
        """Delete the chain with its log."""
        await services().chain_drafts.delete(who, self._id())
        self.is_doomed = False
        return rx.redirect("/follow-ups")
