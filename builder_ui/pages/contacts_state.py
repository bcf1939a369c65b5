"""State of the contacts: the list with its filters, what is marked, segments, and a file on its way in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import reflex as rx

from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, app_of_process, handler, services, text_of
from graph_runtime.services.contact_values import STANDARD
from graph_runtime.services.contacts import Wanted

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

PAGE_SIZE: Final = 50
MOST_SHOWN: Final = 200
ALL: Final = "all"
SKIP: Final = "skip"
PROBLEMS_SHOWN: Final = 50
SEGMENT_KEYS: Final = (
    "name",
    "phone",
    "email",
    "tags",
    "language",
    "time_zone",
    "country",
    "channels",
    "opted_out",
    "created_at",
)


@dataclass(frozen=True)
class ContactItem:
    """A line of the list."""

    id: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    tags: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    is_out: bool = False
    seen_at: str = ""
    is_marked: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a file that is to be taken in, with its first values and what it is."""

    place: int
    name: str
    sample: str
    key: str


@dataclass(frozen=True)
class Import:
    """How far a file is."""

    id: str = ""
    name: str = ""
    state: str = ""
    total: int = 0
    position: int = 0
    created: int = 0
    updated: int = 0
    broken: int = 0
    enrolled: int = 0
    error: str = ""
    percent: int = 0


@dataclass(frozen=True)
class Problem:
    """A row that was not taken in."""

    row: int
    message: str


class ContactList(Session):
    """At most 200 rows are held."""

    rows: list[ContactItem] = []
    segments: list[NamedItem] = []
    tags: list[str] = []
    channels: list[str] = []
    keys: list[NamedItem] = []
    total: int = 0
    search: str = ""
    tag: str = ALL
    segment: str = ALL
    channel: str = ALL
    out: str = ALL
    size: int = PAGE_SIZE
    has_more: bool = False
    is_loaded: bool = False
    may_edit: bool = False
    marked: list[str] = []
    is_tagging: bool = False
    is_adding: bool = False
    is_import_open: bool = False
    draft: str = ""
    columns: list[Column] = []
    importing: Import = Import()
    chains: list[NamedItem] = []
    problems: list[Problem] = []

    def _wanted(self) -> Wanted:
        return Wanted(
            search=self.search,
            tag="" if self.tag == ALL else self.tag,
            segment_id="" if self.segment == ALL else self.segment,
            channel="" if self.channel == ALL else self.channel,
            opted_out={"yes": True, "no": False}.get(self.out),
        )

    async def _refresh(self, who: Principal) -> None:
        wanted = self._wanted()
        page = await services().contacts.listed(who, wanted, limit=self.size)
        marked = set(self.marked)
        self.rows = [
            ContactItem(
                id=c["id"], name=c["name"], phone=c["phone"], email=c["email"], tags=c["tags"], channels=c["channels"],
                is_out=c["opted_out_at"] is not None, seen_at=moment(c["seen_at"]), is_marked=c["id"] in marked,
            )
            for c in page.contacts
        ]  # fmt: skip
        self.has_more = bool(page.next) and self.size < MOST_SHOWN
        self.total = await services().contacts.count(who, wanted)
        self.may_edit = "agent.edit" in who.scopes
        self.is_loaded = True

    async def _about(self, who: Principal) -> None:
        segments = services().contact_segments
        self.segments = [NamedItem(s.id, s.name) for s in await segments.segments(who)]
        self.tags = [t["tag"] for t in await services().contacts.tags(who)][:100]
        own = await segments.fields(who)
        self.keys = [*(NamedItem(k, "") for k in STANDARD), *(NamedItem(f.key, f.label) for f in own)]
        known = {c for row in self.rows for c in row.channels} | set(self.channels)
        self.channels = sorted(known)

    @rx.var
    def is_narrowed(self) -> bool:
        """Whether filters are set."""
        return bool(self.search) or {self.tag, self.segment, self.channel, self.out} != {ALL}

    @rx.var
    def csv_path(self) -> str:
        """Where the list is saved from."""
        w = self._wanted()
        values: dict[str, Any] = {"search": w.search, "tag": w.tag, "segment_id": w.segment_id, "channel": w.channel}
        if w.opted_out is not None:
            values["opted_out"] = str(w.opted_out).lower()
        query = urlencode({k: v for k, v in values.items() if v})
        return f"/api/builder/contacts/contacts.csv{'?' if query else ''}{query}"

    @handler
    async def load(self, who: Principal) -> Any:
        """The page was opened."""
        self.size, self.marked, self.draft, self.problems = PAGE_SIZE, [], "", []
        self.is_tagging = self.is_adding = self.is_import_open = False
        await self._refresh(who)
        await self._about(who)
        newest = await services().contact_imports.newest(who)
        self.importing = _import(newest[0]) if newest and newest[0].state == "waiting" else Import()
        if self.importing.id:
            yield ContactList.follow

    @handler
    async def find(self, who: Principal, search: str) -> None:
        """Search names, numbers, e-mails and fields."""
        self.search, self.size = str(search)[:200], PAGE_SIZE
        await self._refresh(who)

    @handler
    async def choose(self, who: Principal, what: str, value: str) -> None:
        """Set a filter: tag, segment, channel or out."""
        if what in ("tag", "segment", "channel", "out"):
            setattr(self, what, str(value)[:100] or ALL)
            self.size, self.marked = PAGE_SIZE, []
            await self._refresh(who)

    @handler
    async def show_more(self, who: Principal) -> None:
        """A longer page."""
        self.size = min(self.size + PAGE_SIZE, MOST_SHOWN)
        await self._refresh(who)

    @handler
    async def mark(self, who: Principal, contact_id: str, is_marked: bool) -> None:
        """Mark one contact, or all that are shown ("all")."""
        ids = {r.id for r in self.rows} if contact_id == ALL else {str(contact_id)}
        kept = set(self.marked)
        self.marked = sorted(kept | ids if is_marked else kept - ids)
        await self._refresh(who)

    @handler
    async def ask_tags(self, who: Principal, is_open: bool) -> None:
        """Open or close the form for tags."""
        self.is_tagging = bool(is_open)

    @handler
    async def put_tags(self, who: Principal, form: dict[str, Any]) -> None:
        """Tag what is marked."""
        add, remove = (text_of(form, k).split(",") for k in ("add", "remove"))
        changed = await services().contacts.tag(who, self.marked, add=add, remove=remove)
        self.is_tagging, self.marked = False, []
        await self._refresh(who)
        await self._about(who)
        self._tell("contacts.tagged", n=changed)

    @handler
    async def ask_new(self, who: Principal, is_open: bool) -> None:
        """Open or close the form for a new contact."""
        self.is_adding = bool(is_open)

    @handler
    async def add(self, who: Principal, form: dict[str, Any]) -> Any:
        """Make a contact and open it."""
        values = {k: text_of(form, k, limit=254) for k in ("name", "phone", "email")}
        made = await services().contacts.create(who, values)
        self.is_adding = False
        yield rx.redirect(f"/contacts/{made['id']}")

    async def _show_segment(self, who: Principal, segment_id: str) -> None:
        self.segment, self.size = segment_id, PAGE_SIZE
        await self._about(who)
        await self._refresh(who)

    @handler
    async def delete_segment(self, who: Principal) -> None:
        """Forget the segment that is shown; its contacts stay."""
        await services().contact_segments.delete_segment(who, self.segment)
        self.segment = ALL
        await self._about(who)
        await self._refresh(who)

    @handler
    async def ask_import(self, who: Principal, is_open: bool) -> None:
        """Open or close the form for a file."""
        self.is_import_open = bool(is_open)
        self.draft, self.columns, self.problems = "", [], []

    @handler
    async def kept(self, who: Principal, import_id: str) -> None:
        """The server keeps a file: show its columns."""
        shown = await services().contact_imports.preview(who, str(import_id))
        self.draft = str(import_id)
        self.columns = [
            Column(
                n,
                name,
                " · ".join(row[n] for row in shown.sample[:3] if n < len(row) and row[n]),
                shown.mapping[n] or SKIP,
            )
            for n, name in enumerate(shown.columns)
        ]
        self.importing = Import(total=shown.total)
        self.chains = [NamedItem(c.id, c.name) for c in await services().chain_drafts.list(who) if c.is_on]

    @handler
    async def begin_import(self, who: Principal, form: dict[str, Any]) -> Any:
        """Take the file in, and show how far it is."""
        mapping = [str(form.get(f"column{c.place}") or SKIP) for c in self.columns]
        chain_id = text_of(form, "chain", limit=60)
        await services().contact_imports.start(
            who, self.draft, ["" if m == SKIP else m for m in mapping], chain_id="" if chain_id == ALL else chain_id
        )
        self.importing = _import(await services().contact_imports.progress(who, self.draft))
        self.draft, self.columns = "", []
        yield ContactList.follow

    def _is_open(self) -> bool:
        """Whether the browser tab is still connected."""
        sockets = app_of_process().event_namespace
        return sockets is not None and self.router.session.client_token in sockets.token_to_sid

    @handler(background=True)
    async def follow(self, who: Principal) -> None:
        """Show how far the file is, every second, until its rows are taken in or the tab is closed."""
        import_id = self.importing.id
        while import_id and self._is_open():
            progress = await services().contact_imports.progress(who, import_id)
            async with self:
                if self.importing.id != import_id:
                    return
                self.importing = _import(progress)
                if progress.state != "waiting":
                    found = await services().contact_imports.problems(who, import_id)
                    self.problems = [Problem(p["row"], p["message"]) for p in found[:PROBLEMS_SHOWN]]
                    await self._refresh(who)
                    await self._about(who)
                    return
            await asyncio.sleep(1)

    @handler
    async def cancel_import(self, who: Principal) -> None:
        """Take no more rows in."""
        await services().contact_imports.cancel(who, self.importing.id)
        self.importing = _import(await services().contact_imports.progress(who, self.importing.id))


def _import(progress: Any) -> Import:
    percent = 100 * progress.position // max(progress.total, 1)
    values = {
        k: getattr(progress, k)
        for k in ("id", "state", "total", "position", "created", "updated", "broken", "enrolled", "error")
    }
    return Import(name=progress.file_name, percent=percent, **values)
