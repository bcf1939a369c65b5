"""State of one contact: facts, own fields, what happened and will happen, merging and erasing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import reflex as rx

from builder_ui.pages.update_rows import label_of
from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import NotFound
from graph_runtime.services.contact_values import STANDARD
from graph_runtime.services.contacts import Wanted

if TYPE_CHECKING:
    from graph_runtime.services.contact_history import Entry
    from graph_runtime.services.principal import Principal

FOUND_SHOWN: Final = 6
_SAYS: Final = ("agent", "chain", "trigger", "result", "reason", "preview", "direction", "to")


@dataclass(frozen=True)
class FieldItem:
    """A field with its value."""

    key: str
    label: str
    type: str
    value: str
    options: list[str]


@dataclass(frozen=True)
class IdentityItem:
    """A place where they are known."""

    channel: str
    label: str
    name: str
    unreachable_since: str = ""


@dataclass(frozen=True)
class MomentItem:
    """A line of the timeline; `path`: the conversation it was in."""

    id: str
    kind: str
    at: str
    channel: str
    text: str
    actor: str
    path: str
    reason: str = ""


@dataclass(frozen=True)
class ConsentItem:
    """What was said about one purpose."""

    purpose: str
    is_given: bool
    at: str


@dataclass(frozen=True)
class MergeItem:
    """What a merge leaves."""

    id: str = ""
    name: str = ""
    conversations: int = 0
    identities: int = 0
    lost: str = ""


@dataclass(frozen=True)
class Person:
    """The contact."""

    id: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    tags: str = ""
    language: str = "none"
    time_zone: str = ""
    zone: str = ""
    country: str = ""
    opted_out_at: str = ""
    created_at: str = ""
    own: str = ""
    """All values of own fields in one text: a form that shows them is drawn anew when they change."""


class ContactPage(Session):
    """One contact and at most 200 lines of its timeline."""

    person: Person = Person()
    own: list[FieldItem] = []
    identities: list[IdentityItem] = []
    consents: list[ConsentItem] = []
    coming: list[MomentItem] = []
    past: list[MomentItem] = []
    before: str = ""
    is_loaded: bool = False
    is_missing: bool = False
    may_edit: bool = False
    may_manage: bool = False
    is_merging: bool = False
    is_erasing: bool = False
    is_defining: bool = False
    found: list[NamedItem] = []
    merge_with: MergeItem = MergeItem()

    def _id(self) -> str:
        return str(self.router.url.path.rstrip("/").rpartition("/")[2])

    async def _refresh(self, who: Principal) -> None:
        c = await services().contacts.get(who, self._id())
        self.person = Person(
            id=c["id"], name=c["name"], phone=c["phone"], email=c["email"], tags=", ".join(c["tags"]),
            language=c["language"] or "none", time_zone=c["time_zone"], zone=c["zone"], country=c["country"],
            opted_out_at=moment(c["opted_out_at"]), created_at=moment(c["created_at"]),
            own=str(sorted(c["fields"].items())),
        )  # fmt: skip
        defined = await services().contact_segments.fields(who)
        self.own = [FieldItem(f.key, f.label, f.type, _shown(c["fields"].get(f.key)), list(f.options)) for f in defined]
        known = {f.key for f in defined} | {*STANDARD, "first_name", "last_name"}
        self.own += [
            FieldItem(k, k, "text", _shown(v), []) for k, v in (c["variables"] | c["fields"]).items() if k not in known
        ]
        self.identities = [
            IdentityItem(i["channel"], i["label"] or i["agent"], i["external_user_id"], i["unreachable_since"])
            for i in c["identities"]
        ]
        self.consents = [ConsentItem(k, v["given"], str(v["at"])) for k, v in sorted(c["consent"].items())]
        timeline = await services().contact_history.get(who, c["id"])
        self.coming = [_moment(e, self.me.language) for e in timeline.coming]
        self.past = [_moment(e, self.me.language) for e in timeline.past]
        self.before = timeline.next.isoformat() if timeline.next else ""
        self.may_edit, self.may_manage = "agent.edit" in who.scopes, "settings.manage" in who.scopes
        self.is_loaded, self.is_missing = True, False

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_merging = self.is_erasing = self.is_defining = self.is_loaded = False
        self.found, self.merge_with = [], MergeItem()
        try:
            await self._refresh(who)
        except NotFound:
            self.is_loaded = self.is_missing = True

    @handler
    async def save(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep what the form says; own fields by their types."""
        values: dict[str, Any] = {k: text_of(form, k, limit=500) for k in STANDARD if k in form}
        if values.get("language") == "none":
            values["language"] = ""
        values["fields"] = {
            f.key: text_of(form, f"own:{f.key}", limit=2000) or None for f in self.own if f"own:{f.key}" in form
        }
        await services().contacts.update(who, self.person.id, values)
        await self._refresh(who)
        self._tell("settings.saved")

    @handler
    async def set_out(self, who: Principal, is_out: bool) -> None:
        """Write to them no more, or again."""
        await services().contacts.set_opt_out(who, self.person.id, is_out=bool(is_out))
        await self._refresh(who)

    @handler
    async def set_consent(self, who: Principal, purpose: str, is_given: bool) -> None:
        """Note what they said about a purpose."""
        await services().contacts.update(who, self.person.id, {"consent": {str(purpose): bool(is_given)}})
        await self._refresh(who)

    @handler
    async def add_consent(self, who: Principal, form: dict[str, Any]) -> None:
        """Note a purpose that they agreed to."""
        purpose = text_of(form, "purpose", required=True, limit=60)
        await services().contacts.update(who, self.person.id, {"consent": {purpose: True}})
        await self._refresh(who)

    @handler
    async def show_more(self, who: Principal) -> None:
        """Older lines of the timeline."""
        before = datetime.fromisoformat(self.before)
        timeline = await services().contact_history.get(who, self.person.id, before=before)
        self.past = [*self.past, *(_moment(e, self.me.language) for e in timeline.past)][:200]
        self.before = timeline.next.isoformat() if timeline.next and len(self.past) < 200 else ""

    @handler
    async def ask_field(self, who: Principal, is_open: bool) -> None:
        """Open or close the form for a field of the workspace's own."""
        self.is_defining = bool(is_open)

    @handler
    async def define_field(self, who: Principal, form: dict[str, Any]) -> None:
        """Define a field for all contacts."""
        label = text_of(form, "label", required=True, limit=100)
        key = text_of(form, "key", limit=64) or "_".join(
            "".join(c if c.isascii() and c.isalnum() else " " for c in label.casefold()).split()
        )
        options = tuple(text_of(form, "options", limit=5000).split(","))
        await services().contact_segments.put_field(who, key, label, text_of(form, "type") or "text", options)
        self.is_defining = False
        await self._refresh(who)

    @handler
    async def ask_merge(self, who: Principal, is_open: bool) -> None:
        """Open or close the form for merging."""
        self.is_merging, self.found, self.merge_with = bool(is_open), [], MergeItem()

    @handler
    async def find(self, who: Principal, search: str) -> None:
        """Look for the other contact."""
        page = await services().contacts.listed(who, Wanted(search=str(search)), limit=FOUND_SHOWN + 1)
        self.found = (
            [
                NamedItem(c["id"], " · ".join(filter(None, (c["name"], c["phone"], c["email"]))) or c["id"][:8])
                for c in page.contacts
                if c["id"] != self.person.id
            ][:FOUND_SHOWN]
            if str(search).strip()
            else []
        )
        self.merge_with = MergeItem()

    @handler
    async def choose(self, who: Principal, contact_id: str) -> None:
        """Show what a merge would leave."""
        preview = await services().contacts.merge_preview(who, self.person.id, str(contact_id))
        gone = preview.goes
        self.merge_with = MergeItem(
            id=gone["id"], name=gone["name"] or gone["phone"] or gone["email"] or gone["id"][:8],
            conversations=preview.moves["conversation"], identities=preview.moves["contact_identity"],
            lost=", ".join(f"{k}: {_shown(v)}" for k, v in preview.lost.items()),
        )  # fmt: skip

    @handler
    async def merge(self, who: Principal) -> None:
        """Make one contact out of two."""
        await services().contacts.merge(who, self.person.id, self.merge_with.id)
        self.is_merging, self.merge_with = False, MergeItem()
        await self._refresh(who)
        self._tell("contacts.merged")

    @handler
    async def ask_erase(self, who: Principal, is_open: bool) -> None:
        """Open or close the question."""
        self.is_erasing = bool(is_open)

    @handler
    async def erase(self, who: Principal) -> Any:
        """Delete them for good."""
        await services().contact_privacy.erase(who, self.person.id)
        self.is_erasing = False
        self._tell("contacts.erased")
        yield rx.redirect("/contacts")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _moment(entry: Entry, language: str) -> MomentItem:
    is_chains = entry.kind.startswith("chain_")
    data = {**entry.data, "reason": ""} if is_chains else entry.data
    keys = data.get("keys") or data.get("added") or []
    said = [str(data[k]) for k in _SAYS if data.get(k)] + [", ".join(map(str, keys))]
    if entry.kind.startswith("rule_"):
        was, now = _shown(data["before"]) or "∅", _shown(data.get("after")) or "∅"
        said = [
            f"{label_of(data['field'], data['label'], language or 'en')}: {was} → {now}",
            *([f"“{data['sentence']}”"] if data.get("sentence") else []),
        ]
    return MomentItem(
        id=f"{entry.kind}{entry.at.isoformat()}{entry.ref}", kind=entry.kind, at=moment(entry.at), channel=str(data.get("channel") or ""),
        text=" · ".join(filter(None, said)), actor=str(data.get("actor") or "").partition(":")[0],
        path=f"/conversations?id={entry.ref}" if entry.ref else "",
        reason=str(entry.data.get("reason") or "").partition(":")[0] if is_chains and entry.kind != "chain_enrolled" else "",
    )  # fmt: skip
