"""State of the calls: the live list over all agents and lines, the lines themselves, and recordings to be deleted."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, acting, app_of_process, handler, open_to_all, services
from graph_runtime.contract.errors import NotFound
from graph_runtime.services.call_log import KINDS

if TYPE_CHECKING:
    from graph_runtime.services.call_log import LoggedCall, PhoneLine
    from graph_runtime.services.principal import Principal

PAGE_SIZE: Final = 50
MOST_SHOWN: Final = 200
LOOK_SECONDS: Final = 2.0
ALL: Final = "all"
CHOICES: Final = tuple(kind or ALL for kind in KINDS)


@dataclass(frozen=True)
class LoggedCallItem:
    """One call. `talked` as minutes:seconds, "" before it is answered; `since`: of one that goes on; `sound`: address
    of its recording, "" without one."""

    id: str
    agent: str
    line: str
    is_out: bool
    number: str
    own_number: str
    outcome: str
    is_live: bool
    started_at: str
    since: str
    talked: str
    transfer_to: str
    talk_path: str
    sound: str


@dataclass(frozen=True)
class LineOfAll:
    """A phone line of any agent."""

    id: str
    name: str
    agent: str
    path: str
    is_on: bool
    can_call: bool
    numbers: str
    live: int
    most_calls: int
    today: int


def logged_item(call: LoggedCall) -> LoggedCallItem:
    """From the services' row."""
    talked = "" if call.seconds is None else f"{call.seconds // 60}:{call.seconds % 60:02}"
    return LoggedCallItem(
        id=call.id, agent=call.agent_name, line=call.line_name, is_out=call.direction == "out", number=call.number,
        own_number=call.own_number, outcome=call.outcome, is_live=call.is_live, started_at=moment(call.started_at),
        since=moment(call.answered_at) if call.is_live else "", talked=talked, transfer_to=call.transfer_to,
        talk_path=f"/conversations?id={call.conversation_id}" if call.conversation_id else "",
        sound=f"/api/builder/calls/{call.id}/recording" if call.recorded_seconds else "",
    )  # fmt: skip


def line_of_all(line: PhoneLine) -> LineOfAll:
    """From the services' row."""
    return LineOfAll(
        id=line.id, name=line.name, agent=line.agent_name, path=f"/agents/{line.agent_id}?tab=phone", is_on=line.is_on,
        can_call=line.can_call, numbers=", ".join(line.numbers[:5]), live=line.live, most_calls=line.most_calls,
        today=line.today,
    )  # fmt: skip


class Calls(Session):
    """At most a page of calls is held; it is looked at again every two seconds while somebody looks at it."""

    rows: list[LoggedCallItem] = []
    lines: list[LineOfAll] = []
    agents: list[NamedItem] = []
    live: int = 0
    agent: str = ALL
    line: str = ALL
    kind: str = ALL
    number: str = ""
    page_size: int = PAGE_SIZE
    has_more: bool = False
    is_loaded: bool = False
    heard_id: str = ""
    doomed_id: str = ""
    _watch: str = ""

    async def _refresh(self, who: Principal) -> None:
        log = services().call_log
        page = await log.list(
            who, agent_id=_chosen(self.agent), line_id=_chosen(self.line), number=self.number, limit=self.page_size,
            kind=next((k for k in KINDS if k == _chosen(self.kind)), ""),
        )  # fmt: skip
        rows = [logged_item(call) for call in page.rows]
        lines = [line_of_all(line) for line in await log.lines(who)]
        if rows != self.rows:
            self.rows = rows
        if lines != self.lines:
            self.lines = lines
            self.agents = [NamedItem(i, n) for i, n in {_agent_id(line): line.agent for line in lines}.items()]
        live = sum(line.live for line in lines)
        if live != self.live:
            self.live = live
        self.has_more = bool(page.next_cursor) and self.page_size < MOST_SHOWN
        self.is_loaded = True

    def _is_open(self) -> bool:
        sockets = app_of_process().event_namespace
        return sockets is not None and self.router.session.client_token in sockets.token_to_sid

    @handler
    async def load(self, who: Principal) -> Any:
        """The page was opened; `?line=` names a line whose calls to show."""
        wanted = str(dict(self.router.url.query_parameters).get("line") or "")
        self.page_size, self.heard_id, self.doomed_id, self.line = PAGE_SIZE, "", "", wanted[:40] or ALL
        await self._refresh(who)
        self._watch = uuid.uuid4().hex
        yield Calls.watch

    @handler
    async def find(self, who: Principal, number: str) -> None:
        """Only calls with these digits in a number."""
        self.number, self.page_size = str(number)[:40], PAGE_SIZE
        await self._refresh(who)

    @handler
    async def choose_agent(self, who: Principal, agent: str) -> None:
        """Only one agent's calls."""
        self.agent, self.line, self.page_size = str(agent), ALL, PAGE_SIZE
        await self._refresh(who)

    @handler
    async def choose_line(self, who: Principal, line: str) -> None:
        """Only calls on one line."""
        self.line, self.page_size = str(line), PAGE_SIZE
        await self._refresh(who)

    @handler
    async def choose_kind(self, who: Principal, kind: str) -> None:
        """Only calls in, out, that go on now, that nobody answered, or that are recorded."""
        self.kind, self.page_size = kind if kind in CHOICES else ALL, PAGE_SIZE
        await self._refresh(who)

    @handler
    async def show_more(self, who: Principal) -> None:
        """A longer page."""
        self.page_size = min(self.page_size + PAGE_SIZE, MOST_SHOWN)
        await self._refresh(who)

    @handler
    async def hear(self, who: Principal, call_id: str) -> None:
        """Show the player of a call, or put it away."""
        self.heard_id = "" if self.heard_id == call_id else self._find(call_id).id

    @handler
    async def ask_delete(self, who: Principal, call_id: str) -> None:
        """Ask before a recording is deleted."""
        self.doomed_id = self._find(call_id).id

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def delete(self, who: Principal) -> None:
        """Delete the recording that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().call_recordings.delete(who, doomed)
            self.heard_id = ""
            await self._refresh(who)
            self._tell("calls.deleted")

    @open_to_all
    async def leave(self) -> None:
        """The page was left."""
        self._watch = ""

    @handler(background=True)
    async def watch(self, who: Principal) -> None:
        """Look again as long as the page is open."""
        async with self:
            mine = self._watch
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            async with self:
                if not mine or self._watch != mine or not self._is_open():
                    return
                await self._refresh(await acting(self))

    def _find(self, call_id: str) -> LoggedCallItem:
        found = next((row for row in self.rows if row.id == call_id and row.sound), None)
        if found is None:
            raise NotFound("There is no recording of this call here. It may have been deleted.")
        return found


def _chosen(value: str) -> str:
    return "" if value == ALL else value


def _agent_id(line: LineOfAll) -> str:
    return line.path.split("/")[2].partition("?")[0]
