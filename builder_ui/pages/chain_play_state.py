"""State of playing a chain: for whom, from when, what happened so far, and what the tester answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from builder_ui.rows import NamedItem
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.chain_times import zone_of
from graph_runtime.contract.chains import Chain, ContactFacts
from graph_runtime.contract.errors import FlowInvalid, InputInvalid
from graph_runtime.contract.local_time import is_time_zone, moment_of
from graph_runtime.services.chain_play import Answer, Happening, Played, Sample, Script

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

CALL_ENDS = ("answered", "no_answer", "busy")
SOMEBODY = "somebody"


@dataclass(frozen=True)
class PlayItem:
    """A line of the timeline. `day` as noon of a date, `time` and `until` of the contact's clock."""

    day: str = ""
    time: str = ""
    what: str = ""
    step: int = 0
    kind: str = ""
    reason: str = ""
    text: str = ""
    channel: str = ""
    until: str = ""
    is_new_day: bool = False


def play_items(happenings: list[Happening], zone: ZoneInfo, chain: Chain) -> list[PlayItem]:
    """In order, grouped by the contact's day."""
    items: list[PlayItem] = []
    day = "-"
    for one in happenings:
        here = one.at.astimezone(zone)
        this_day = f"{here:%Y-%m-%d}T12:00:00"
        place = chain.place(one.step_id)
        until = datetime.fromisoformat(one.until).astimezone(zone) if one.until else None
        items.append(PlayItem(
            day=this_day, time=f"{here:%H:%M}", what=one.what, step=place + 1 if place < len(chain.steps) else 0, kind=one.kind,
            reason="" if one.what == "enrolled" else one.reason.partition(":")[0], text=one.text, channel=one.channel,
            until=f"{until:%Y-%m-%d %H:%M}" if until else "", is_new_day=this_day != day,
        ))  # fmt: skip
        day = this_day
    return items


class ChainPlayer(Session):
    """Every button plays the whole script again, a little further: the same script gives the same play."""

    whom: str = SOMEBODY
    whom_name: str = ""
    known: list[NamedItem] = []
    starts: str = ""
    call_ends: str = "answered"
    has_calls: bool = False
    items: list[PlayItem] = []
    zone: str = ""
    now: str = ""
    next_at: str = ""
    state: str = ""
    reason: str = ""
    refused: str = ""
    is_playing: bool = False
    is_begun: bool = False
    _values: dict[str, str] = {}
    _start: str = ""
    _end: str = ""
    _next: str = ""
    _key: str = ""
    _answers: list[tuple[str, str]] = []

    def _id(self) -> str:
        return str(self.router.url.path).rstrip("/").rsplit("/", 1)[-1]

    async def _chain(self, who: Principal) -> Chain:
        return (await services().chain_drafts.get(who, self._id())).chain

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_begun = self.is_playing = False
        self.items, self.refused, self.whom, self.whom_name = [], "", SOMEBODY, ""
        if "flow.edit" in who.scopes:
            await self._prepare(who)

    async def _prepare(self, who: Principal) -> None:
        chain = await self._chain(who)
        zone = ZoneInfo(chain.time_zone if is_time_zone(chain.time_zone) else "UTC")
        self.starts = f"{datetime.now(zone):%Y-%m-%dT%H:%M}"
        self.has_calls = any(step.kind == "call" for step in chain.steps)
        await self._search(who, "")

    async def _search(self, who: Principal, search: str) -> None:
        found = await services().chains.find_contacts(who, search, 6)
        self.known = [NamedItem(i, f"{name} · {more}" if more and more != name else name) for i, name, more in found]

    @handler
    async def search(self, who: Principal, words: str) -> None:
        """Contacts to choose from."""
        await self._search(who, str(words)[:200])

    @handler
    async def look(self, who: Principal, part: str) -> None:
        """A part of the page is shown; only this one is ours."""
        if part == "play" and not self.is_begun and "flow.edit" in who.scopes:
            await self._prepare(who)

    @handler
    async def choose(self, who: Principal, whom: str) -> None:
        """Play for a contact, or for somebody who is described."""
        self.whom = str(whom)[:60]
        self.whom_name = next((k.name for k in self.known if k.id == self.whom), "")

    @handler
    async def begin(self, who: Principal, form: dict[str, Any]) -> Any:
        """Let the contact enter at the chosen moment, and stop there."""
        chain = await self._chain(who)
        fields = ("name", "phone", "time_zone") if self.whom == SOMEBODY else ()
        self._values = {f: value for f in fields if (value := text_of(form, f, limit=200))}
        start = text_of(form, "starts", limit=20)
        try:
            wall = datetime.fromisoformat(start).replace(tzinfo=None)
        except ValueError:
            raise InputInvalid("Say when the contact enters.", field="starts") from None
        if not 2000 <= wall.year <= 2100:
            raise InputInvalid("Say when the contact enters.", field="starts")
        ends = text_of(form, "call_ends")
        self.call_ends = ends if ends in CALL_ENDS else "answered"
        zone = zone_of(await self._facts(who), chain.time_zone)
        self.starts = start
        self._start = self._end = moment_of(wall, zone.key).isoformat()
        self._answers, self._key = [], ""
        async for event in self._go(who):
            yield event

    async def _facts(self, who: Principal) -> ContactFacts:
        if self.whom == SOMEBODY:
            return ContactFacts(time_zone=self._values.get("time_zone", ""), phone=self._values.get("phone", ""))
        row = await services().contacts.get(who, self.whom)
        return ContactFacts(time_zone=row["time_zone"], phone=row["phone"])

    @handler
    async def go_on(self, who: Principal, how: str) -> Any:
        """Skip to what comes next, a day on, or to the end ("")."""
        if not self.is_begun:
            return
        if how == "next":
            self._end = self._next or self._end
        elif how == "day":
            here = datetime.fromisoformat(self.now).astimezone(ZoneInfo(self.zone)) + timedelta(days=1)
            self._end = here.astimezone(UTC).isoformat()
        else:
            self._end = ""
        async for event in self._go(who):
            yield event

    @handler
    async def answer(self, who: Principal, form: dict[str, Any]) -> Any:
        """Write as the contact, a minute from now."""
        text = text_of(form, "answer", limit=4000)
        if not text or not self.is_begun or len(self._answers) >= 50:
            return
        at = datetime.fromisoformat(self.now) + timedelta(minutes=1)
        self._answers = [*self._answers, (at.isoformat(), text)]
        self._end = at.isoformat()
        async for event in self._go(who):
            yield event

    @handler
    async def restart(self, who: Principal) -> None:
        """Back to the choice of whom and when."""
        self.is_begun = False
        self.items, self.refused = [], ""

    async def _go(self, who: Principal) -> Any:
        self.is_playing = True
        yield
        try:
            script = Script(
                start=datetime.fromisoformat(self._start), end=datetime.fromisoformat(self._end) if self._end else None,
                answers=[Answer(datetime.fromisoformat(at), text) for at, text in self._answers],
                call_ends=self.call_ends if self.call_ends in CALL_ENDS else "answered",  # type: ignore[arg-type]  # just looked
                key=self._key,
            )  # fmt: skip
            sample = Sample(values=self._values) if self.whom == SOMEBODY else Sample(contact_id=self.whom)
            played = await services().chain_play.play(who, self._id(), sample, script)
            self._show(played, await self._chain(who))
        except FlowInvalid as error:
            raise InputInvalid(error.message, field="chain") from None
        finally:
            self.is_playing = False

    def _show(self, played: Played, chain: Chain) -> None:
        self.items = play_items(played.happenings, ZoneInfo(played.zone), chain)
        self.zone, self.now, self._key = played.zone, played.now.isoformat(), played.key
        self._next = played.next_at.isoformat() if played.next_at else ""
        here = played.next_at.astimezone(ZoneInfo(played.zone)) if played.next_at else None
        self.next_at = f"{here:%Y-%m-%d %H:%M}" if here else ""
        self.state, self.reason, self.refused = played.state, played.reason.partition(":")[0], played.refused
        self.is_begun = not played.refused
