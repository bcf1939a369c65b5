"""State of the Inbox: what waits for people, the conversation that is open, and what a member does with it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from builder_ui.i18n import TEXTS, text
from builder_ui.pages.conversations_state import step_labels
from builder_ui.rows import NamedItem, moment
from builder_ui.session import Session, acting, app_of_process, handler, open_to_all, services, text_of
from builder_ui.transcript import MessageItem, transcript_items
from graph_runtime.contract.errors import Conflict, NotFound
from graph_runtime.services.hand_offs import MAX_NOTE, MAX_TEXT, VIEWS, InboxRow

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

PAGE_SIZE: Final = 50
MESSAGES_SHOWN: Final = 200
HEARTBEAT_SECONDS: Final = 20.0
LIST_SECONDS: Final = 0.15
"""The list is read anew at most this often; the open conversation at once."""
MOST_NEWS: Final = 500
FACT: Final = "inbox.fact_"
EVERY_QUEUE: Final = "all"
OUTCOMES: Final = ("solved", "open", "unreachable")
REFUSALS: Final = frozenset(
    {"taken", "ended", "on_call", "not_in_queue", "not_held", "may_not", "decided", "not_first"}
)
WORDS_OF_OWN: Final = ("edit", "replace")


@dataclass(frozen=True)
class TalkItem:
    """A row of the Inbox; empty while none is open. `state`: "agent", "waiting", "mine", "other"."""

    id: str = ""
    who: str = ""
    agent: str = ""
    channel: str = ""
    state: str = ""
    holder: str = ""
    queue: str = ""
    priority: str = "normal"
    preview: str = ""
    summary: str = ""
    language: str = "en"
    status: str = ""
    since: str = ""
    updated_at: str = ""
    unread: int = 0
    is_late: bool = False
    may_return: bool = True
    to_approve: bool = False


@dataclass(frozen=True)
class HeldItem:
    """What waits for approval in the open conversation; empty while nothing does. `others`: how many more behind it."""

    id: str = ""
    text: str = ""
    due_at: str = ""
    on_timeout: str = ""
    instead: str = ""
    others: int = 0


@dataclass(frozen=True)
class FactItem:
    """A name and a value."""

    name: str
    value: str


@dataclass(frozen=True)
class NoteItem:
    """What a colleague wrote for colleagues."""

    id: str
    text: str
    by: str
    created_at: str


@dataclass(frozen=True)
class ReadyItem:
    """A ready reply."""

    id: str
    shortcut: str
    texts: dict[str, str]


def talk_item(row: InboxRow, member_id: str | None) -> TalkItem:
    """From the services' row, as this member sees it."""
    is_mine = row.member_id is not None and str(row.member_id) == member_id
    state = "waiting" if row.state == "waiting" else "agent" if not row.state else "mine" if is_mine else "other"
    return TalkItem(
        id=str(row.conversation_id), who=row.who, agent=row.agent_name, channel=row.channel, state=state,
        holder=row.member_name, queue=row.queue_name, priority=row.priority,
        preview=(row.held_text or row.preview or "")[:160],
        summary=row.summary, language=row.language, status=row.status,
        since=moment(row.held_since or (row.requested_at if row.state == "waiting" else None)),
        updated_at=moment(row.updated_at), unread=row.unread, is_late=row.is_late,
        may_return=row.return_by != "nobody", to_approve=row.holds,
    )  # fmt: skip


def fact_items(values: dict[str, Any], labels: Mapping[str, str]) -> list[FactItem]:
    """What is not empty, as words; `labels`: what people call it, by name."""
    shown = {k: v for k, v in values.items() if v not in (None, "", [], {})}
    return [FactItem((labels.get(str(k)) or str(k))[:60], str(v)[:300]) for k, v in list(shown.items())[:40]]


def contact_labels(language: str) -> dict[str, str]:
    """What channels tell of somebody, by the names that people know."""
    return {key.removeprefix(FACT): text(language, key) for key in TEXTS if key.startswith(FACT)}


class Inbox(Session):
    """At most a page of rows and the newest messages of one conversation are held."""

    view: str = "waiting"
    rows: list[TalkItem] = []
    queues: list[NamedItem] = []
    queue: str = EVERY_QUEUE
    search: str = ""
    page_size: int = PAGE_SIZE
    has_more: bool = False
    is_loaded: bool = False
    is_allowed: bool = True
    is_online: bool = True
    colleagues: list[NamedItem] = []
    ready: list[ReadyItem] = []

    chosen: TalkItem = TalkItem()
    messages: list[MessageItem] = []
    facts: list[FactItem] = []
    variables: list[FactItem] = []
    notes: list[NoteItem] = []
    sent: str = ""
    held: HeldItem = HeldItem()
    deciding: str = ""
    is_returning: bool = False
    is_ending: bool = False
    _seen_seq: int = 0
    _watch: str = ""
    _listed_at: float = 0.0

    async def _list(self, who: Principal) -> None:
        found = await services().hand_offs.list(
            who,
            self.view,
            queue_id=None if self.queue == EVERY_QUEUE else self.queue,
            search=self.search,
            limit=self.page_size,
        )
        self.rows = [talk_item(row, who.member_id) for row in found]
        self.has_more = len(found) == self.page_size < 200
        self._listed_at = time.monotonic()
        self.is_loaded = True

    async def _read(self, who: Principal, conversation_id: str) -> None:
        talk = await services().conversations.get(who, conversation_id)
        desk = await services().hand_offs.desk(who, conversation_id, after_seq=talk.row.message_seq - MESSAGES_SHOWN)
        held = await services().approvals.of_conversation(who, conversation_id)
        items = transcript_items(talk, step_labels(self.me.language), held, self._failed)[-MESSAGES_SHOWN:]
        self.messages = [
            replace(item, sending=desk.sendings.get(int(item.key), "")) if item.key.isdigit() else item
            for item in items
        ]
        self.chosen = talk_item(desk.row, who.member_id)
        await self._show_held(who, talk.row.agent_id, held)
        known = contact_labels(self.me.language or "en")
        self.facts, self.variables = fact_items(desk.contact, known), fact_items(desk.variables, known | desk.labels)
        self.notes = [NoteItem(str(n["id"]), n["text"], n["member_name"], moment(n["created_at"])) for n in desk.notes]
        self._seen_seq = talk.messages[-1]["seq"] if talk.messages else 0
        if self.chosen.state == "mine":
            await services().hand_offs.read_until(who, conversation_id, self._seen_seq)

    async def _show_held(self, who: Principal, agent_id: str, held: list[dict[str, Any]]) -> None:
        """What is to be decided first. Whoever was about to change one that a colleague has decided is told so."""
        waiting = [h for h in held if h["state"] == "waiting"]
        first = waiting[0] if waiting and waiting[0]["needs_approval"] else None
        if self.deciding and (first is None or first["id"] != self.held.id):
            self.deciding = ""
            by = next((str(h["member_name"]) for h in held if h["id"] == self.held.id), "")
            if by != self.me.name:
                self._tell("inbox.refused_decided" if by else "inbox.refused_decided_by_time", level="error", who=by)
        if first is None:
            self.held = HeldItem()
            return
        answering = await services().agent_answering.get(who, agent_id)
        self.held = HeldItem(
            first["id"], first["text"], moment(first["due_at"]), first["on_timeout"], answering.approval.instead,
            len(waiting) - 1,
        )  # fmt: skip

    async def _do(self, who: Principal, work: Any) -> bool:
        """Carry something out and show how things stand then; False when a colleague or the client was quicker."""
        try:
            await work
        except Conflict as error:
            reason = str(error.params.get("reason"))
            if reason not in REFUSALS:
                raise
            holder = str(error.params.get("holder") or "")
            key = "decided_by_time" if reason == "decided" and not holder else reason
            self._tell(f"inbox.refused_{key}", level="error", who=holder)
            return False
        finally:
            if self.chosen.id:
                await self._read(who, self.chosen.id)
            await self._list(who)
        return True

    def _is_open(self) -> bool:
        sockets = app_of_process().event_namespace
        return sockets is not None and self.router.session.client_token in sockets.token_to_sid

    @handler
    async def load(self, who: Principal) -> Any:
        """The page was opened; `?id=` names the conversation to show."""
        self.is_allowed = "conversation.answer" in who.scopes
        self.chosen, self.messages, self.is_returning, self.is_ending = TalkItem(), [], False, False
        self.held, self.deciding = HeldItem(), ""
        if not self.is_allowed:
            self.is_loaded = True
            return
        self.page_size, self.sent = PAGE_SIZE, ""
        self.queues = [NamedItem(q.id, q.name) for q in await services().queues.list(who)]
        people = await services().queues.people(who)
        self.colleagues = [NamedItem(p.id, p.name) for p in people if p.id != who.member_id]
        self.ready = [ReadyItem(r.id, r.shortcut, r.texts) for r in await services().queues.replies(who)]
        await services().queues.be(who, is_online=None)
        me = [p for p in await services().queues.people(who) if p.id == who.member_id]
        self.is_online = bool(me and me[0].is_online)
        await self._list(who)
        wanted = str(dict(self.router.url.query_parameters).get("id") or "")
        if wanted:
            with contextlib.suppress(NotFound):
                await self._read(who, wanted)
        self._watch = uuid.uuid4().hex
        yield Inbox.watch

    @handler
    async def choose_view(self, who: Principal, view: str | list[str]) -> None:
        """What waits, what is mine, everything."""
        self.view, self.page_size = str(view) if view in VIEWS else "waiting", PAGE_SIZE
        await self._list(who)

    @handler
    async def choose_queue(self, who: Principal, queue: str) -> None:
        """Show one queue."""
        self.queue, self.page_size = str(queue), PAGE_SIZE
        await self._list(who)

    @handler
    async def find(self, who: Principal, search: str) -> None:
        """Search names, summaries and last messages."""
        self.search, self.page_size = str(search)[:200], PAGE_SIZE
        await self._list(who)

    @handler
    async def show_more(self, who: Principal) -> None:
        """A longer page; the service allows 200 rows."""
        self.page_size = min(self.page_size + PAGE_SIZE, 200)
        await self._list(who)

    @handler
    async def open(self, who: Principal, conversation_id: str) -> None:
        """Read a conversation."""
        await self._read(who, str(conversation_id))
        await self._list(who)

    @handler
    async def close(self, who: Principal) -> None:
        """Back to the list, on a narrow screen."""
        self.chosen, self.messages = TalkItem(), []

    @handler
    async def accept(self, who: Principal) -> None:
        """Take the open conversation."""
        if await self._do(who, services().hand_offs.accept(who, self.chosen.id)):
            self.view = "mine"
            await self._list(who)

    @handler
    async def ask_decision(self, who: Principal, how: str) -> None:
        """Ask for the words to send instead, or close the question with ""."""
        self.deciding = how if how in WORDS_OF_OWN and self.held.id else ""

    @handler
    async def decide(self, who: Principal, held_id: str, how: str) -> None:
        """Send what waits as it is, or send nothing."""
        await self._decide(who, str(held_id), "reject" if how == "reject" else "send", "")

    @handler
    async def decide_words(self, who: Principal, form: dict[str, Any]) -> None:
        """Send what was written instead."""
        how = self.deciding if self.deciding in WORDS_OF_OWN else "edit"
        await self._decide(who, self.held.id, how, text_of(form, "words", limit=MAX_TEXT))

    async def _decide(self, who: Principal, held_id: str, how: str, words: str) -> None:
        if await self._do(who, services().approvals.decide(who, held_id, how, words)):
            self.deciding = ""
            self._tell(f"approval.did_{how}")

    @handler
    async def release(self, who: Principal) -> None:
        """Let somebody else take it."""
        if await self._do(who, services().hand_offs.release(who, self.chosen.id)):
            self._tell("inbox.released")

    @handler
    async def assign(self, who: Principal, member_id: str) -> None:
        """Give it to a colleague."""
        if await self._do(who, services().hand_offs.assign(who, self.chosen.id, str(member_id))):
            self._tell("inbox.assigned", who=self.chosen.holder)

    @handler
    async def ask_return(self, who: Principal, is_open: bool) -> None:
        """Ask for a note before giving it back, or close the question."""
        self.is_returning = bool(is_open)

    @handler
    async def give_back(self, who: Principal, form: dict[str, Any]) -> None:
        """The agent goes on."""
        self.is_returning = False
        note = text_of(form, "note", limit=MAX_NOTE)
        outcome = str(form.get("outcome") or "")
        work = services().hand_offs.give_back(
            who, self.chosen.id, note=note, outcome=outcome if outcome in OUTCOMES else "", seen_seq=self._seen_seq
        )
        if await self._do(who, work):
            self._tell("inbox.returned")

    @handler
    async def ask_end(self, who: Principal, is_open: bool) -> None:
        """Ask before ending, or close the question."""
        self.is_ending = bool(is_open)

    @handler
    async def end(self, who: Principal) -> None:
        """End the open conversation."""
        self.is_ending = False
        if await self._do(who, services().conversations.end(who, self.chosen.id)):
            self._tell("talks.ended")

    @handler
    async def send(self, who: Principal, conversation_id: str, text: str, client_id: str, files: str) -> None:
        """Say something; the box is emptied when `sent` names what it sent. `files`: ids, with spaces between."""
        work = services().hand_offs.reply(
            who, str(conversation_id), str(text), client_id=str(client_id)[:100], file_ids=str(files).split()
        )
        if await self._do(who, work):
            self.sent = str(client_id)[:100]

    @handler
    async def add_note(self, who: Principal, form: dict[str, Any]) -> None:
        """Write something for colleagues."""
        note = text_of(form, "note", required=True, limit=MAX_NOTE)
        await self._do(who, services().hand_offs.add_note(who, self.chosen.id, note))

    @handler
    async def set_online(self, who: Principal, is_online: bool) -> None:
        """Whether new conversations may ring here."""
        await services().queues.be(who, is_online=bool(is_online))
        self.is_online = bool(is_online)

    @open_to_all
    async def leave(self) -> None:
        """The page was left: nothing more to watch."""
        self._watch = ""

    @handler(background=True)
    async def watch(self, who: Principal) -> None:
        """Show what happens: in the open conversation at once, in the list a little more calmly."""
        async with self:
            mine, due = self._watch, HEARTBEAT_SECONDS
        async with services().conversations.watch_all(who) as events:
            news = asyncio.ensure_future(anext(events))
            try:
                while True:
                    done, _ = await asyncio.wait({news}, timeout=due)
                    changed: set[str] = set()
                    while done and len(changed) < MOST_NEWS:
                        changed.add(news.result()["id"])
                        news = asyncio.ensure_future(anext(events))
                        done, _ = await asyncio.wait({news}, timeout=0)
                    async with self:
                        if not mine or self._watch != mine or not self._is_open():
                            return
                        due = await self._follow(changed, is_due=due < HEARTBEAT_SECONDS)
            finally:
                news.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                    await news

    async def _follow(self, changed: set[str], *, is_due: bool) -> float:
        """Show news; seconds until there is something to do, when the list still has to be read."""
        if not changed and not is_due:
            await services().queues.be(await acting(self), is_online=None)
            return HEARTBEAT_SECONDS
        early = LIST_SECONDS - (time.monotonic() - self._listed_at)
        if self.chosen.id not in changed and early > 0:
            return early
        who = await acting(self)
        if self.chosen.id in changed:
            await self._read(who, self.chosen.id)
        if early > 0:
            return early
        await self._list(who)
        return HEARTBEAT_SECONDS
