"""State of the people in a chain: who is inside, putting people in, what is ahead, and how the steps went."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from builder_ui.pages.chain_rows import (
    AheadItem,
    DayItem,
    FigureItem,
    LineItem,
    PersonItem,
    ahead_items,
    figure_items,
    line_item,
    month_grid,
    person_item,
)
from builder_ui.pages.chain_state import ChainPage
from builder_ui.rows import NamedItem
from builder_ui.session import Session, handler, services
from graph_runtime.contract.chain_times import add_months
from graph_runtime.contract.chains import Chain
from graph_runtime.contract.errors import NotFound
from graph_runtime.contract.local_time import is_time_zone
from graph_runtime.services.chains import STATES, summary

if TYPE_CHECKING:
    from graph_runtime.services.chain_entry import Entered
    from graph_runtime.services.principal import Principal

ALL = "all"
SHOWN = 50
_SEPARATOR = re.compile(r"[\n,;]+")


class ChainPeople(Session):
    """Of the chain whose page is open."""

    people: list[PersonItem] = []
    chosen_count: int = 0
    filter: str = ALL
    search: str = ""
    has_more: bool = False
    opened: PersonItem = PersonItem()
    lines: list[LineItem] = []
    is_loaded: bool = False
    is_enrolling: bool = False
    is_busy: bool = False
    found: list[NamedItem] = []
    segments: list[NamedItem] = []
    ahead: list[AheadItem] = []
    month: str = ""
    days: list[DayItem] = []
    sample: list[AheadItem] = []
    sample_name: str = ""
    figures: list[FigureItem] = []
    may_write: bool = False
    _chosen: set[str] = set()

    def _id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _chain(self, who: Principal) -> Chain:
        return (await services().chain_drafts.get(who, self._id())).chain

    async def _read(self, who: Principal, before: str | None = None) -> None:
        chain = await self._chain(who)
        rows = await services().chains.people(
            who,
            self._id(),
            state=None if self.filter == ALL else self.filter,
            search=self.search,
            before=before,
            limit=SHOWN,
        )
        items = [person_item(row, chain, self._chosen) for row in rows]
        self.people = [*self.people, *items] if before else items
        self.has_more = len(rows) == SHOWN
        self.chosen_count = len(self._chosen)

    async def _read_ahead(self, who: Principal) -> None:
        chain = await self._chain(who)
        self.ahead = ahead_items(await services().chains.ahead(who, self._id()), chain)
        self.figures = figure_items(await services().chains.figures(who, self._id()), chain)

    async def _read_month(self, who: Principal, by: int = 0) -> None:
        chain = await self._chain(who)
        today = datetime.now(ZoneInfo(chain.time_zone if is_time_zone(chain.time_zone) else "UTC")).date()
        shown = date.fromisoformat(self.month[:10]) if self.month else today.replace(day=1)
        first = max(add_months(shown, by), today.replace(day=1))
        counts = await services().chain_calendar.days(who, self._id(), first, monthrange(first.year, first.month)[1])
        self.month, self.days = f"{first}T12:00:00", month_grid(first, today, counts, chain)

    @handler
    async def turn_month(self, who: Principal, by: int) -> None:
        """Show the month after (1) or before (-1)."""
        if by in (-1, 1):
            await self._read_month(who, by)

    async def _read_sample(self, who: Principal, contact_id: str = "", name: str = "") -> None:
        chain = await self._chain(who)
        self.sample = ahead_items(await services().chains.preview(who, self._id(), contact_id=contact_id), chain)
        self.sample_name = name

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_loaded = self.is_enrolling = self.is_busy = False
        self.filter, self.search, self.opened, self.lines = ALL, "", PersonItem(), []
        self._chosen, self.found = set(), []
        self.may_write = "conversation.write" in who.scopes
        try:
            await self._read(who)
            self.month = ""
            await self._read_ahead(who)
            await self._read_month(who)
            await self._read_sample(who)
        except NotFound:
            return
        self.segments = [NamedItem(i, name) for i, name in await services().chains.segments(who)]
        self.is_loaded = True

    @handler
    async def look(self, who: Principal, tab: str) -> None:
        """Another part of the page is shown: read it anew."""
        await self._read(who)
        await self._read_ahead(who)
        await self._read_month(who)
        await self._read_sample(who)

    @handler
    async def choose_state(self, who: Principal, state: str) -> None:
        """Only people in this state."""
        self.filter = state if state in STATES else ALL
        self._chosen = set()
        await self._read(who)

    @handler
    async def find(self, who: Principal, search: str) -> None:
        """Only people with these letters in their name, number or address."""
        self.search = str(search)[:200]
        await self._read(who)

    @handler
    async def more(self, who: Principal) -> None:
        """The next page of the list."""
        if self.people:
            await self._read(who, before=self.people[-1].id)

    @handler
    async def choose(self, who: Principal, enrollment_id: str, is_chosen: bool) -> None:
        """Mark somebody for what is done with several."""
        self._chosen = self._chosen | {enrollment_id} if is_chosen else self._chosen - {enrollment_id}
        await self._read(who)

    @handler
    async def act(self, who: Principal, what: str, enrollment_id: str) -> Any:
        """Hold, resume, skip, stop or move one person, or all that are marked ("")."""
        ids = [enrollment_id] if enrollment_id else sorted(self._chosen)
        chains = services().chains
        acts = {
            "pause": lambda: chains.set_going(who, self._id(), ids, is_on=False),
            "resume": lambda: chains.set_going(who, self._id(), ids, is_on=True),
            "skip": lambda: chains.skip(who, self._id(), ids),
            "stop": lambda: chains.stop(who, self._id(), ids),
            "move": lambda: chains.move_to_live(who, self._id(), ids),
        }
        if what in acts and ids:
            count = await acts[what]()
            self._chosen = set()
            await self._read(who)
            await self._read_ahead(who)
            self._tell(f"chains.did_{what}", n=count)
            return ChainPage.refresh
        return None

    @handler
    async def open(self, who: Principal, enrollment_id: str) -> None:
        """Show what happened to somebody; once more closes it."""
        if self.opened.id == enrollment_id or not enrollment_id:
            self.opened, self.lines = PersonItem(), []
            return
        chain = await self._chain(who)
        row, lines = await services().chains.person(who, self._id(), enrollment_id)
        self.opened = person_item(row, chain, self._chosen)
        self.lines = [line_item(line, chain) for line in lines]

    @handler
    async def ask_enroll(self, who: Principal, is_open: bool) -> None:
        """The dialog for putting people in."""
        self.is_enrolling, self.found = bool(is_open), []
        if is_open:
            self.found = await self._look_up(who, "")

    async def _look_up(self, who: Principal, search: str) -> list[NamedItem]:
        found = await services().chains.find_contacts(who, str(search)[:200])
        return [NamedItem(i, f"{name} · {more}" if more and more != name else name) for i, name, more in found]

    @handler
    async def look_up(self, who: Principal, search: str) -> None:
        """Contacts to choose from."""
        self.found = await self._look_up(who, search)

    @handler
    async def enroll(self, who: Principal, contact_id: str) -> Any:
        """Put one contact in."""
        return await self._entered(who, await services().chains.enroll(who, self._id(), [contact_id]))

    @handler
    async def enroll_listed(self, who: Principal, form: dict[str, Any]) -> Any:
        """Put in everybody whose number or address was pasted."""
        words = [w.strip() for w in _SEPARATOR.split(str(form.get("listed") or "")) if w.strip()]
        emails = [w for w in words if "@" in w]
        phones = [w for w in words if "@" not in w]
        if words:
            return await self._entered(
                who, await services().chains.enroll_known(who, self._id(), phones=phones, emails=emails)
            )
        return None

    @handler
    async def enroll_segment(self, who: Principal, segment_id: str) -> Any:
        """Put everybody of a segment in."""
        self.is_busy = True
        yield
        try:
            result = await services().chains.enroll_segment(who, self._id(), segment_id)
            yield await self._after_enrolling(
                who, result.enrolled, sum(result.problems.values()), next(iter(result.problems), "")
            )
        finally:
            self.is_busy = False

    async def _entered(self, who: Principal, entered: list[Entered]) -> Any:
        counted = summary(entered)
        return await self._after_enrolling(
            who, counted.enrolled, sum(counted.problems.values()), next(iter(counted.problems), "")
        )

    async def _after_enrolling(self, who: Principal, enrolled: int, others: int, problem: str) -> Any:
        await self._read(who)
        await self._read_ahead(who)
        if enrolled:
            self._tell("chains.enrolled_n" if not others else "chains.enrolled_some", n=enrolled, others=others)
            self.is_enrolling = others > 0
        elif problem:
            self._tell(f"chains.not_enrolled_{problem}", level="error")
        return ChainPage.refresh

    @handler
    async def try_with(self, who: Principal, contact_id: str) -> None:
        """Show what this contact would get ("" for somebody of whom nothing is known)."""
        name = next((f.name for f in self.found if f.id == contact_id), "")
        await self._read_sample(who, contact_id, name)
