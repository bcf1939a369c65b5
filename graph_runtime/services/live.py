"""Who is watching which conversation: in-process events, and news of other processes through the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

LIVE_CHANNEL = "patchcord_live"
MAX_WAITING = 2000
RECHECK_SECONDS = 15.0
FOR_CONTACTS = frozenset({"typing", "delta", "reset", "message", "turn", "ended"})

LiveEvent = dict[str, Any]
ReadMessages = Callable[[str, str, int], Awaitable[list[dict[str, Any]]]]
Listen = Callable[..., AsyncIterator[tuple[str, str]]]


class Subscription:
    """One watcher of one conversation. Message events come each once and in order of their seq, whatever is lost or
    repeated on the way; other events are a show and may be missing."""

    def __init__(
        self, read: Callable[[int], Awaitable[list[dict[str, Any]]]], after_seq: int, *, is_contact: bool
    ) -> None:
        self._read = read
        self._seq = after_seq
        self._is_contact = is_contact
        self._queue: asyncio.Queue[LiveEvent] = asyncio.Queue()
        self._must_read = True

    def offer(self, event: LiveEvent) -> None:
        """Put an event before the watcher. One that does not keep up loses the show, never a message."""
        if self._is_contact and event["type"] not in FOR_CONTACTS and event["type"] != "seq":
            return
        if self._queue.qsize() >= MAX_WAITING:
            self._must_read = True
            while not self._queue.empty():
                self._queue.get_nowait()
        self._queue.put_nowait(event)

    async def __aiter__(self) -> AsyncIterator[LiveEvent]:
        while True:
            if self._must_read:
                self._must_read = False
                async for event in self._catch_up():
                    yield event
            try:
                # Not wait_for: before Python 3.12 it forgets a cancellation that meets an arriving event.
                async with asyncio.timeout(RECHECK_SECONDS):
                    event = await self._queue.get()
            except TimeoutError:
                self._must_read = True  # a notification may have been lost with the connection that carried it
                continue
            if event["type"] not in ("message", "seq"):
                yield event
                continue
            seq = event["seq"] if event["type"] == "seq" else event["message"]["seq"]
            if seq == self._seq + 1 and event["type"] == "message":
                self._seq = seq
                yield self._shown(event["message"])
            elif seq > self._seq:
                async for missed in self._catch_up():
                    yield missed

    async def _catch_up(self) -> AsyncIterator[LiveEvent]:
        for message in await self._read(self._seq):
            self._seq = message["seq"]
            yield self._shown(message)

    def _shown(self, message: dict[str, Any]) -> LiveEvent:
        hidden = {"node_id", "turn_id"} if self._is_contact else {"turn_id"}
        return {"type": "message", "message": {k: v for k, v in message.items() if k not in hidden}}


class Pulse:
    """Set when a turn may have ended, here or in another process."""

    def __init__(self) -> None:
        self.beat = asyncio.Event()

    def offer(self, event: LiveEvent) -> None:
        """Look at an event."""
        if event["type"] in ("turn", "ended", "seq"):
            self.beat.set()


class Live:
    """The hub of one process. `read` gives messages after a seq; `origin` is this process's number.

    Other processes are listened to from the first watcher on; a process without any (the worker) costs them nothing.
    """

    def __init__(
        self,
        read: ReadMessages,
        origin: int,
        listen: Listen | None = None,
        begins_to_listen: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._read = read
        self._origin = str(origin)
        self._listen = listen
        self._begins_to_listen = begins_to_listen
        self._rooms: dict[str, set[Subscription | Pulse]] = {}
        self._workspaces: dict[str, set[asyncio.Queue[LiveEvent]]] = {}
        self._task: asyncio.Task[None] | None = None

    def _begin(self) -> None:
        if self._task is None and self._listen is not None:
            self._task = asyncio.create_task(self._hear(self._listen), name="live")

    async def close(self) -> None:
        """Stop hearing."""
        self._listen = None
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def is_watched(self, conversation_id: str) -> bool:
        """Whether anybody here would see an event."""
        return conversation_id in self._rooms

    def publish(self, conversation_id: str, event: LiveEvent) -> None:
        """Show an event to the watchers in this process."""
        for subscription in self._rooms.get(conversation_id, ()):
            subscription.offer(event)

    def changed(self, workspace_id: str, conversation_id: str) -> None:
        """A conversation changed: for the live list."""
        for queue in self._workspaces.get(workspace_id, ()):
            if queue.qsize() < MAX_WAITING:
                queue.put_nowait({"type": "conversation", "id": conversation_id})

    @asynccontextmanager
    async def subscribe(
        self, workspace_id: str, conversation_id: str, *, after_seq: int, is_contact: bool = False
    ) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        """Watch a conversation: first every message after `after_seq`, then what happens. The caller has authorised:
        use `Conversations.watch`."""

        async def read(seq: int) -> list[dict[str, Any]]:
            return await self._read(workspace_id, conversation_id, seq)

        subscription = Subscription(read, after_seq, is_contact=is_contact)
        with self._in_room(conversation_id, subscription):
            yield aiter(subscription)

    @contextmanager
    def pulse(self, conversation_id: str) -> Iterator[asyncio.Event]:
        """Set whenever a turn of the conversation may have ended. The caller has authorised."""
        pulse = Pulse()
        with self._in_room(conversation_id, pulse):
            yield pulse.beat

    @contextmanager
    def _in_room(self, conversation_id: str, watcher: Subscription | Pulse) -> Iterator[None]:
        self._begin()
        room = self._rooms.setdefault(conversation_id, set())
        room.add(watcher)
        try:
            yield
        finally:
            room.discard(watcher)
            if not room and self._rooms.get(conversation_id) is room:
                del self._rooms[conversation_id]

    @asynccontextmanager
    async def watch_workspace(self, workspace_id: str) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        """Watch which conversations change. The caller has authorised: use `Conversations.watch_all`."""
        self._begin()
        queue: asyncio.Queue[LiveEvent] = asyncio.Queue()
        queues = self._workspaces.setdefault(workspace_id, set())
        queues.add(queue)
        try:
            yield _forever(queue)
        finally:
            queues.discard(queue)
            if not queues and self._workspaces.get(workspace_id) is queues:
                del self._workspaces[workspace_id]

    async def _hear(self, listen: Listen) -> None:
        if self._begins_to_listen is not None:
            await self._begins_to_listen()
        async for _, payload in listen(LIVE_CHANNEL):
            if not payload:
                # The connection is new: anything may have been missed.
                for room in self._rooms:
                    self.publish(room, {"type": "seq", "seq": 2**31})
                continue
            parts = payload.split(" ")
            if len(parts) != 4 or parts[3] == self._origin or not parts[2].isdigit():
                continue
            workspace_id, conversation_id, seq, _ = parts
            self.publish(conversation_id, {"type": "seq", "seq": int(seq)})
            self.changed(workspace_id, conversation_id)


async def _forever(queue: asyncio.Queue[LiveEvent]) -> AsyncIterator[LiveEvent]:
    while True:
        yield await queue.get()
