"""State of the conversations: the live list with its filters, and the transcript that is open."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING, Any, Final

from builder_ui.rows import (
    ConversationItem,
    NamedItem,
    conversation_item,
)
from builder_ui.session import Session, acting, app_of_process, handler, open_to_all, services
from builder_ui.transcript import CallItem, MessageItem, call_item, transcript_items
from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.catalog import translate
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

PAGE_SIZE: Final = 50
MESSAGES_SHOWN: Final = 200
HEARTBEAT_SECONDS: Final = 20.0
CALM_SECONDS: Final = 0.4
ALL: Final = "all"
STATES: Final = ("open", "ended", "quarantined")


class Talks(Session):
    """At most a page of rows and the newest messages of one conversation are held."""

    rows: list[ConversationItem] = []
    agents: list[NamedItem] = []
    search: str = ""
    agent: str = ALL
    status: str = ALL
    is_test: bool = False
    page_size: int = PAGE_SIZE
    has_more: bool = False
    is_loaded: bool = False

    chosen: ConversationItem = ConversationItem()
    messages: list[MessageItem] = []
    calls: list[CallItem] = []
    version: int = 0
    is_ending: bool = False
    _watch: str = ""

    async def _refresh(self, who: Principal) -> None:
        agents = await services().agents.list(who)
        self.agents = [NamedItem(str(a.id), a.name) for a in agents]
        page = await services().conversations.list(
            who,
            agent_id=None if self.agent == ALL else self.agent,
            status=None if self.status == ALL else self.status,
            search=self.search,
            is_test=self.is_test,
            limit=self.page_size,
        )
        self.rows = [conversation_item(row) for row in page.rows]
        self.has_more = bool(page.next_cursor)
        self.is_loaded = True

    async def _open(self, who: Principal, conversation_id: str) -> None:
        talk = await services().conversations.get(who, conversation_id)
        held = await services().approvals.of_conversation(who, conversation_id)
        self.chosen = conversation_item(talk.row)
        self.version = talk.version_number or 0
        self.messages = transcript_items(talk, step_labels(self.me.language), held, self._failed)[-MESSAGES_SHOWN:]
        is_call = talk.row.channel == PHONE
        self.calls = [call_item(c) for c in await services().phone_setup.calls(who, conversation_id)] if is_call else []

    def _is_open(self) -> bool:
        """Whether the browser tab is still connected."""
        sockets = app_of_process().event_namespace
        return sockets is not None and self.router.session.client_token in sockets.token_to_sid

    @handler
    async def load(self, who: Principal) -> Any:
        """The page was opened; `?id=` names the conversation to show."""
        self.page_size, self.is_ending = PAGE_SIZE, False
        await self._refresh(who)
        wanted = str(dict(self.router.url.query_parameters).get("id") or "")
        self.chosen, self.messages, self.calls = ConversationItem(), [], []
        if wanted:
            with contextlib.suppress(NotFound):
                await self._open(who, wanted)
        self._watch = uuid.uuid4().hex
        yield Talks.watch

    @handler
    async def find(self, who: Principal, search: str) -> None:
        """Search names and messages."""
        self.search, self.page_size = str(search)[:200], PAGE_SIZE
        await self._refresh(who)

    @handler
    async def choose_agent(self, who: Principal, agent: str) -> None:
        """Show one agent's conversations."""
        self.agent, self.page_size = str(agent), PAGE_SIZE
        await self._refresh(who)

    @handler
    async def choose_status(self, who: Principal, status: str) -> None:
        """Show conversations in one state."""
        self.status, self.page_size = status if status in STATES else ALL, PAGE_SIZE
        await self._refresh(who)

    @handler
    async def show_tests(self, who: Principal, is_test: bool) -> None:
        """Show what was said while testing, or what was said for real."""
        self.is_test, self.page_size = bool(is_test), PAGE_SIZE
        await self._refresh(who)

    @handler
    async def show_more(self, who: Principal) -> None:
        """A longer page; the service allows 200 rows."""
        self.page_size = min(self.page_size + PAGE_SIZE, 200)
        await self._refresh(who)

    @handler
    async def open(self, who: Principal, conversation_id: str) -> None:
        """Read a conversation."""
        await self._open(who, conversation_id)

    @handler
    async def close(self, who: Principal) -> None:
        """Back to the list, on a narrow screen."""
        self.chosen, self.messages = ConversationItem(), []

    @handler
    async def ask_end(self, who: Principal, is_open: bool) -> None:
        """Ask before ending a conversation, or close the question."""
        self.is_ending = bool(is_open)

    @handler
    async def end(self, who: Principal) -> None:
        """End the conversation that is open."""
        if not self.is_ending:
            return
        self.is_ending = False
        await services().conversations.end(who, self.chosen.id)
        await self._open(who, self.chosen.id)
        await self._refresh(who)
        self._tell("talks.ended")

    @open_to_all
    async def leave(self) -> None:
        """The page was left, perhaps because the session ended: nothing more to watch."""
        self._watch = ""

    @handler(background=True)
    async def watch(self, who: Principal) -> None:
        """Refresh the list and the open transcript whenever a conversation of the workspace changes."""
        async with self:
            mine = self._watch
        async with services().conversations.watch_all(who) as events:
            news = asyncio.ensure_future(anext(events))
            try:
                while True:
                    done, _ = await asyncio.wait({news}, timeout=HEARTBEAT_SECONDS)
                    async with self:
                        if not mine or self._watch != mine or not self._is_open():
                            return
                        who = await acting(self)
                        if done:
                            await self._refresh(who)
                            if self.chosen.id:
                                await self._open(who, self.chosen.id)
                    if done:
                        news.result()
                        news = asyncio.ensure_future(anext(events))
                        await asyncio.sleep(CALM_SECONDS)  # a busy workspace changes more often than people can read
            finally:
                news.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                    await news


def step_labels(language: str) -> dict[str, str]:
    """What steps without a name are called, by their type."""
    nodes = services().catalog.nodes.values()
    return {node.type: translate(node.texts, node.label, language or "en") for node in nodes}
