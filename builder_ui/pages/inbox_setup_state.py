"""State of the page where queues and ready replies are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from builder_ui.rows import NamedItem
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.errors import Conflict, InputInvalid
from graph_runtime.contract.flow import LANGUAGES

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

GOAL_MINUTES: Final = (1, 2, 5, 15, 60)


@dataclass(frozen=True)
class QueueItem:
    """A queue with the names of who answers it; empty while a new one is being made."""

    id: str = ""
    name: str = ""
    number: str = ""
    goal: str = "2"
    people: str = ""
    member_ids: list[str] = ()  # type: ignore[assignment]  # an empty one that nobody changes
    waiting: int = 0


@dataclass(frozen=True)
class ReadyReplyItem:
    """A ready reply in its languages; empty while a new one is being made."""

    id: str = ""
    shortcut: str = ""
    en: str = ""
    ru: str = ""
    uk: str = ""
    shown: str = ""


class InboxSetup(Session):
    """Two lists and the form that is open."""

    queues: list[QueueItem] = []
    replies: list[ReadyReplyItem] = []
    members: list[NamedItem] = []
    queue: QueueItem = QueueItem()
    reply: ReadyReplyItem = ReadyReplyItem()
    is_queue_open: bool = False
    is_reply_open: bool = False
    is_loaded: bool = False
    may_manage: bool = False
    is_allowed: bool = True

    async def _show(self, who: Principal) -> None:
        self.may_manage = "agent.edit" in who.scopes
        self.is_allowed = "conversation.answer" in who.scopes
        self.is_loaded = True
        if not self.is_allowed:
            return
        people = await services().queues.people(who)
        names = {p.id: p.name for p in people}
        self.members = [NamedItem(p.id, p.name) for p in people]
        self.queues = [
            QueueItem(
                q.id, q.name, q.number, str(max(1, round(q.goal_seconds / 60))),
                ", ".join(names[m] for m in q.member_ids if m in names), q.member_ids, q.waiting,
            )
            for q in await services().queues.list(who)
        ]  # fmt: skip
        self.replies = [
            ReadyReplyItem(
                r.id, r.shortcut, r.texts.get("en", ""), r.texts.get("ru", ""), r.texts.get("uk", ""),
                r.texts.get(self.me.language) or next(iter(r.texts.values()), ""),
            )
            for r in await services().queues.replies(who)
        ]  # fmt: skip

    async def _saved(self, who: Principal, work: Any) -> bool:
        try:
            await work
        except Conflict as error:
            if error.params.get("reason") != "name_taken":
                raise
            self._tell("inbox.name_taken", level="error")
            return False
        await self._show(who)
        self._tell("inbox.saved")
        return True

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.is_queue_open = self.is_reply_open = False
        await self._show(who)

    @handler
    async def edit_queue(self, who: Principal, queue_id: str) -> None:
        """Open the form of a queue; "" makes a new one."""
        self.queue = next((q for q in self.queues if q.id == queue_id), QueueItem())
        self.is_queue_open = True

    @handler
    async def close_queue(self, who: Principal, is_open: bool) -> None:
        """Close the form."""
        self.is_queue_open = bool(is_open)

    @handler
    async def save_queue(self, who: Principal, form: dict[str, Any]) -> None:
        """Save the queue of the form."""
        minutes = str(form.get("goal") or "2")
        if not minutes.isdigit():
            raise InputInvalid("The goal is a number of minutes.", field="goal_seconds")
        work = services().queues.save(
            who, self.queue.id or None, name=text_of(form, "name", required=True, limit=100),
            number=text_of(form, "number"), goal_seconds=min(int(minutes), 1440) * 60,
            member_ids=[m.id for m in self.members if form.get(f"member:{m.id}")],
        )  # fmt: skip
        self.is_queue_open = not await self._saved(who, work)

    @handler
    async def delete_queue(self, who: Principal) -> None:
        """Delete the queue of the form."""
        await services().queues.delete(who, self.queue.id)
        self.is_queue_open = False
        await self._show(who)
        self._tell("inbox.queue_deleted")

    @handler
    async def edit_reply(self, who: Principal, reply_id: str) -> None:
        """Open the form of a ready reply; "" makes a new one."""
        self.reply = next((r for r in self.replies if r.id == reply_id), ReadyReplyItem())
        self.is_reply_open = True

    @handler
    async def close_reply(self, who: Principal, is_open: bool) -> None:
        """Close the form."""
        self.is_reply_open = bool(is_open)

    @handler
    async def save_reply(self, who: Principal, form: dict[str, Any]) -> None:
        """Save the ready reply of the form."""
        texts = {code: text_of(form, code, limit=4000) for code in LANGUAGES}
        shortcut = text_of(form, "shortcut", required=True, limit=41)
        work = services().queues.save_reply(who, self.reply.id or None, shortcut, texts)
        self.is_reply_open = not await self._saved(who, work)

    @handler
    async def delete_reply(self, who: Principal) -> None:
        """Delete the ready reply of the form."""
        await services().queues.delete_reply(who, self.reply.id)
        self.is_reply_open = False
        await self._show(who)
        self._tell("inbox.reply_deleted")
