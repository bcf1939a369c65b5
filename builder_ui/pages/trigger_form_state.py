"""State of the form of a trigger: kind, details, conditions, actions, limits; checked and previewed as it is filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from builder_ui.pages.condition_state import ConditionForm
from builder_ui.pages.crm_rows import CrmFields, with_row
from builder_ui.pages.trigger_rows import (
    ACTIONS,
    EMPTY_FORM,
    USES,
    ActionItem,
    LeafItem,
    ProblemItem,
    TimeItem,
    did_text,
    document_of,
    form_of,
    leaf_items,
    said,
    time_items,
)
from builder_ui.session import Session, handler, services
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.schedules import Schedule
from graph_runtime.services.trigger_log import Sample

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal
    from graph_runtime.services.triggers import TriggerRow

MOST_TEXT: Final = 4000
SWITCHES: Final = ("interrupts", "creates_contacts", "ended")


@dataclass(frozen=True)
class Choice:
    """Something that a trigger may name."""

    id: str
    name: str


@dataclass(frozen=True)
class TrialItem:
    """What would happen with a sample."""

    is_done: bool = False
    fires: bool = False
    reason: str = ""
    did: tuple[str, ...] = ()


class TriggerForm(ConditionForm, Session):
    """The same form makes a trigger and changes one."""

    form: dict[str, str] = EMPTY_FORM
    actions: list[ActionItem] = []
    leaves: list[LeafItem] = []
    problems: list[ProblemItem] = []
    times: list[TimeItem] = []
    flows: list[Choice] = []
    chains: list[Choice] = []
    subscriptions: list[Choice] = []
    members: list[Choice] = []
    segments: list[Choice] = []
    channels: list[Choice] = []
    crms: list[Choice] = []
    kinds_of_channels: list[str] = []
    trial: TrialItem = TrialItem()
    trial_contact: str = ""
    trial_text: str = ""
    is_form_open: bool = False
    is_saving: bool = False
    _uses: dict[str, tuple[str, str]] = {}
    _sample: Any = None
    _agent_id: str = ""

    async def _open_form(self, who: Principal, agent_id: str, row: TriggerRow | None, kind: str = "message") -> None:
        self._agent_id = agent_id
        found = await services().triggers.choices(who, agent_id)
        self.flows = [Choice("" if f["is_main"] else f["id"], f["name"]) for f in found["flows"]]
        self.chains = [Choice(c["id"], c["name"]) for c in found.get("chains", [])]
        self.subscriptions = [Choice(s["id"], s["name"]) for s in found["subscriptions"]]
        self.members = [Choice(m["id"], m["name"]) for m in found["members"]]
        self.segments = [Choice(s["id"], s["name"]) for s in found["segments"]]
        self.channels = [Choice(c["id"], c["name"]) for c in found["channels"]]
        self.crms = [Choice(c["id"], c["name"]) for c in found["crms"]]
        self.kinds_of_channels = sorted({c["connector"] for c in found["channels"]})
        if row is None:
            zone = (
                (await services().workspace_settings.get(who)).time_zone if "settings.manage" in who.scopes else "UTC"
            )
            self.form = {**EMPTY_FORM, "kind": kind, "zone": zone}
            self.actions, self._uses, self._sample = [ActionItem()], {}, None
            self._show_condition({"all": []})
        else:
            self.form, self.actions, self._uses = form_of(row)
            self._show_condition(row.trigger.condition.model_dump(mode="json", by_alias=True))
            self._sample = row.sample
        self.trial = TrialItem()
        self.leaves = leaf_items(self._sample, self._uses)
        await self._look(who)
        self.is_form_open = True
        for place in range(len(self.actions)):
            await self._read_crm(who, place)

    async def _read_crm(self, who: Principal, place: int, *, is_other: bool = False) -> None:
        """What the account of an action offers; `is_other`: another one than before, whose fields are other ones."""
        action = self.actions[place]
        if action.do == "write_crm":
            known = await self._crm_fields(who, action)
            rows = () if is_other else [(r.name, r.value) for r in action.crm.rows if r.name]
            self._put_action(place, replace(action, crm=known.form(rows)))

    async def _crm_fields(self, who: Principal, action: ActionItem) -> CrmFields:
        return await CrmFields.read(who, self._agent_id, action.slot, action.entity, self.me.language or "en")

    def _put_action(self, place: int, action: ActionItem) -> None:
        self.actions = [action if n == place else old for n, old in enumerate(self.actions)]

    def _document(self) -> dict[str, Any]:
        return document_of(self.form, self._condition(), self.actions, self._uses)

    async def _look(self, who: Principal) -> None:
        """What is wrong now, and the next times."""
        language = self.me.language or "en"
        self.times = []
        try:
            found = await services().triggers.check(who, self._agent_id, self._document())
        except InputInvalid as error:
            self.problems = [ProblemItem("shape", error.message, False)]
            return
        self.problems = [
            ProblemItem(p.code, said(language, f"triggers.problem_{p.code}", p.message), p.is_warning)
            for p in found
            if p.code not in ("name", "texts", "note_empty")
        ]
        if self.form["kind"] == "schedule":
            plan = Schedule.model_validate(self._document()["when"]["schedule"])
            wrong, moments = services().triggers.preview(who, plan)
            self.times = [] if wrong else time_items(moments, plan.zone)

    @handler
    async def close_form(self, who: Principal, is_open: bool) -> None:
        """Close the form without saving."""
        if not is_open:
            self.is_form_open = False

    @handler
    async def put(self, who: Principal, name: str, value: str) -> None:
        """One field was filled in."""
        if name in EMPTY_FORM and name not in ("id", *SWITCHES) and (name != "kind" or not self.form["id"]):
            self.form = {**self.form, name: "" if value == "-" else str(value)[:MOST_TEXT]}
            await self._look(who)

    @handler
    async def switch_field(self, who: Principal, name: str, is_on: bool) -> None:
        """A field that is on or off."""
        if name in SWITCHES:
            self.form = {**self.form, name: "1" if is_on else ""}
            await self._look(who)

    @handler
    async def toggle_day(self, who: Principal, day: str) -> None:
        """A weekday was chosen, or is not any more."""
        days = {d for d in self.form["weekdays"].split(",") if d}
        if str(day) in "0123456":
            days ^= {str(day)}
            self.form = {**self.form, "weekdays": ",".join(sorted(days))}
            await self._look(who)

    async def _condition_changed(self, who: Principal) -> None:
        await self._look(who)

    @handler
    async def add_action(self, who: Principal) -> None:
        """Another action."""
        self.actions = [*self.actions, ActionItem(do="notify")][:10]
        await self._look(who)

    @handler
    async def put_action(self, who: Principal, place: int, name: str, value: str) -> None:
        """A part of an action was filled in."""
        if not 0 <= int(place) < len(self.actions) or name not in ActionItem.__dataclass_fields__ or name == "crm":
            return
        if name == "do" and value not in ACTIONS:
            return
        value = "" if value == "-" else str(value)[:MOST_TEXT]
        changed: dict[str, Any] = {name: value}
        action = ActionItem(do=value) if name == "do" else replace(self.actions[int(place)], **changed)
        if value == "write_crm" and name == "do" and self.crms:
            action = replace(action, slot=self.crms[0].id)
        self._put_action(int(place), action)
        await self._look(who)
        if name in ("do", "slot", "entity"):
            await self._read_crm(who, int(place), is_other=True)

    @handler
    async def put_crm(self, who: Principal, place: int, row: int, name: str, value: str) -> None:
        """A field of a customer system was chosen, or what it becomes was written."""
        place, row, value = int(place), int(row), str(value)[:MOST_TEXT]
        if not 0 <= place < len(self.actions) or not 0 <= row < len(self.actions[place].crm.rows):
            return
        action = self.actions[place]
        known = await self._crm_fields(who, action)
        old = action.crm.rows[row]
        new = known.row(value[:200], old.value) if name == "name" else known.row(old.name, value)
        self._put_action(place, replace(action, crm=with_row(action.crm, row, new)))
        await self._look(who)

    @handler
    async def drop_action(self, who: Principal, place: int) -> None:
        """Take an action away."""
        self.actions = [a for n, a in enumerate(self.actions) if n != int(place)]
        await self._look(who)

    @handler
    async def use(self, who: Principal, pointer: str, use: str) -> None:
        """A value of the sample is used as something, or not any more ("-")."""
        uses = dict(self._uses)
        uses.pop(pointer, None)
        if use in USES and len(pointer) <= 500:
            last = "".join(c if c.isalnum() and c.isascii() else "_" for c in pointer.rpartition("/")[2].lower())
            uses[pointer] = (
                use,
                (last if last[:1].isalpha() else f"v_{last}")[:64] if use in ("variable", "field") else "",
            )
        self._uses = uses
        self.leaves = leaf_items(self._sample, uses)
        await self._look(who)

    @handler
    async def name_use(self, who: Principal, pointer: str, name: str) -> None:
        """The name of a variable or field."""
        if pointer in self._uses:
            self._uses = {**self._uses, pointer: (self._uses[pointer][0], str(name).strip()[:64])}
            self.leaves = leaf_items(self._sample, self._uses)
            await self._look(who)

    @handler
    async def try_out(self, who: Principal, form: dict[str, Any]) -> None:
        """What would happen with a sample; changes nothing."""
        language = self.me.language or "en"
        search, said_text = str(form.get("trial_contact") or "").strip(), str(form.get("trial_text") or "")
        contact_id = ""
        if search:
            found = await services().trigger_log.find_contacts(who, search[:200])
            if not found:
                self._tell("triggers.trial_nobody", level="error")
                return
            contact_id = found[0][0]
        sample = Sample(contact_id=contact_id, text=said_text[:2000], payload=self._sample)
        if self.form["kind"] == "message":
            sample = replace(sample, channel=self.form["channel"])
        trial = await services().trigger_log.try_out(who, self._agent_id, self._document(), sample, self.form["id"])
        did = tuple(did_text(d.do, d.reason, language) for d in trial.did)
        reason = "" if trial.fires else said(language, f"triggers.reason_{trial.reason}", trial.sentence)
        self.trial = TrialItem(is_done=True, fires=trial.fires, reason=reason, did=did)

    async def _save(self, who: Principal) -> str:
        """Keep what the form says; the secret of a new trigger that programs post to."""
        for place, action in enumerate(self.actions):
            if action.do == "write_crm":
                known = await self._crm_fields(who, action)
                rows = [replace(r, value=known.kept(r.name, r.value)) for r in action.crm.rows]
                self._put_action(place, replace(action, crm=replace(action.crm, rows=rows)))
        if self.form["id"]:
            await services().triggers.update(who, self.form["id"], self._document())
            secret = ""
        else:
            row, secret = await services().triggers.create(who, self._agent_id, self._document())
            if row.trigger.when.kind != "webhook":
                await services().triggers.set_on(who, row.id, True)
        self.is_form_open = False
        return secret
