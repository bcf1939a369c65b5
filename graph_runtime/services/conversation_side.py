"""The conversation side of one process, put together: what bootstrap builds and the worker and the tests use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.services.contacts import Contacts
from graph_runtime.services.conversations import Conversations
from graph_runtime.services.live import Live
from graph_runtime.services.trigger_acts import TriggerActs
from graph_runtime.services.trigger_messages import MessageTriggers
from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.services.turn_starts import TurnStarts
from graph_runtime.services.turn_world import Outside
from graph_runtime.services.versions import Versions
from graph_runtime.services.waking import way_to_workers
from graph_runtime.services.workspace_facts import WorkspaceFacts
from graph_runtime.storage.conversations import ConversationReader
from graph_runtime.storage.database import Database
from graph_runtime.storage.instance import Instance
from graph_runtime.storage.outbox import OutboxStore
from graph_runtime.storage.receiving import Receiver
from graph_runtime.storage.show import Show
from graph_runtime.storage.timers import Sweep
from graph_runtime.storage.turns import TurnStore


@dataclass(frozen=True, slots=True)
class Part:
    """What this process has to do with turns. `shows`: what happens in them is told to watchers in other processes."""

    runs_what_it_accepts: bool = True
    shows: bool = False
    redis_url: str | None = None


class ConversationSide:
    """`open` before the first conversation; `close` lets running turns end or hands them over."""

    def __init__(self, database: Database, catalog: Catalog, outside: Outside, part: Part | None = None) -> None:
        part = part or Part()
        self.database = database
        self._outside = outside
        self.instance = Instance(database.dedicated)
        takes = part.runs_what_it_accepts
        self.store = TurnStore(database, self.instance.number, takes=takes)
        self.outbox = OutboxStore(database, self.instance.number)
        self.receiver = Receiver(database, self.instance.number, self.store.news, takes=takes)
        self.reader = ConversationReader(database)
        show = Show(database, self.store.news, self.instance.number) if part.shows else None
        self.live = Live(self._read, self.instance.number, database.listen, self.instance.listens, show)
        self.jobs = way_to_workers(database, part.redis_url)
        self.versions = Versions(self.reader, catalog)
        self.runner = TurnRunner(
            self.store, self.versions, self.live, outside, self.jobs, facts=WorkspaceFacts(database)
        )
        self.starts = TurnStarts(self.runner, self.jobs, are_here=takes)
        self.trigger_acts = TriggerActs(phone_lines=catalog.phone_lines())
        self.message_triggers = MessageTriggers(database, self.store, self.receiver, self.trigger_acts)
        self.conversations = Conversations(
            self.store, self.reader, self.starts, self.live, self.versions, self.message_triggers
        )
        self.contacts = Contacts(database)
        self.sweep = Sweep(database, self.instance.number)

    async def open(self) -> None:
        """Show this process as alive."""
        await self.instance.open(self.store.news.look)

    async def drain(self, seconds: float) -> None:
        """Let running turns end, hand over the rest; whoever waits for an answer is told that it comes later."""
        await self.runner.close(seconds)
        self.conversations.stop_waiting()
        self.live.end_all()

    async def close(self, seconds: float = 10.0) -> None:
        """`seconds`: how long running turns may take to end."""
        await self.drain(seconds)
        await self.jobs.close()
        await self.store.news.close()
        await self.store.sends.close()
        await self.live.close()
        await self.instance.close()
        if self._outside.http is not None:
            await self._outside.http.close()

    async def _read(self, workspace_id: str, conversation_id: str, after_seq: int) -> list[dict[str, Any]]:
        return await self.reader.messages(workspace_id, conversation_id, after_seq=after_seq)
