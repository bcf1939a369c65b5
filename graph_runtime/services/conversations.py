"""Conversations: begin, receive, wait for the answer, read, end; the one way in for channels, API and screens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.errors import BuilderError, Conflict, NotFound, TooLarge
from graph_runtime.contract.messages import Reply, Text, dump_part
from graph_runtime.engine.checkpoint import clean, json_values
from graph_runtime.services.answers import Answers
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.conversation_gate import Access, ConversationGate, is_uuid, no_conversation
from graph_runtime.services.conversation_list import ConversationDetail, ConversationPage, Cursor
from graph_runtime.services.file_kinds import media_of
from graph_runtime.services.live import Live, LiveEvent
from graph_runtime.services.principal import Principal
from graph_runtime.services.trigger_messages import MessageTriggers
from graph_runtime.services.turn_starts import TurnStarts
from graph_runtime.services.versions import Versions
from graph_runtime.storage.conversations import ConversationReader
from graph_runtime.storage.turns import NewConversation, TurnStore
from graph_runtime.telemetry.metrics import INGEST

MAX_TEXT_BYTES = 64_000
LANGUAGES = ("en", "ru", "uk")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is ours now. `seq`: its place in the transcript; `is_new` False: it came before."""

    inbox_id: str
    seq: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Transcript:
    """Messages in order. `waits` "reply", "time" or ""; `is_running`: an answer is being made."""

    conversation_id: str
    status: str
    waits: str
    language: str
    is_running: bool
    message_seq: int
    messages: list[dict[str, Any]]


class Conversations:
    """Authorises by the access given: a contact sees their own, a member or key those of the workspace."""

    def __init__(
        self,
        store: TurnStore,
        reader: ConversationReader,
        starts: TurnStarts,
        live: Live,
        versions: Versions,
        triggers: MessageTriggers,
    ) -> None:
        self._store = store
        self._reader = reader
        runner = self._runner = starts.runner
        self._starts = starts
        self._live = live
        self._versions = versions
        self._triggers = triggers
        self._gate = ConversationGate(reader)
        self._answers = Answers(reader, live, runner)

    async def start(
        self,
        access: Access,
        *,
        dedupe_key: str,
        agent_id: str | None = None,
        external_user_id: str = "",
        contact: dict[str, Any] | None = None,
        is_test: bool = False,
        version_id: str | None = None,
        language: str | None = None,
        is_call: bool = False,
    ) -> str:
        """Begin; the id of the conversation, the same for the same key. Its first turn runs at once in the background.

        A principal names the agent (and `external_user_id`, else a new contact each time). `is_test` with a
        `version_id` runs a snapshot of a draft, even of an agent that is off; `is_call` plays a test as a phone call.
        Raises: AccessDenied, NotFound, Conflict (agent off, nothing published), TooLarge.
        """
        if isinstance(access, Principal):
            access.require("flow.edit" if is_test else "conversation.write")
            kind = "test" if is_test else "api"
            if agent_id is None or not is_uuid(agent_id):
                raise NotFound("There is no such agent in this workspace.", agent_id=agent_id)
            channel_id = await self._reader.channel_of(access.workspace_id, agent_id, kind)
            external = external_user_id or f"{kind}:{uuid4()}"
        else:
            if is_test or version_id is not None or agent_id not in (None, access.agent_id):
                raise NotFound("There is no such agent here.", agent_id=agent_id)
            kind, channel_id, external = access.kind, access.channel_id, access.external_user_id
            agent_id = access.agent_id
        fields = json_values(contact or {})
        if len(str(fields)) > MAX_TEXT_BYTES:
            raise TooLarge("What is said about the contact is larger than 64 kB. Send less.", limit=MAX_TEXT_BYTES)
        new = NewConversation(
            agent_id, channel_id, PHONE if is_test and is_call else kind, clean(external)[:200], fields, _key(f"start:{dedupe_key}"), version_id, is_test,
            language if language in LANGUAGES else None,
        )  # fmt: skip
        opened, turn = await self._store.open_conversation(access.workspace_id, new)
        if opened.problem:
            raise _cannot_start(opened.problem)
        conversation_id = str(opened.conversation_id)
        if opened.is_new:
            self._live.changed(access.workspace_id, conversation_id)
            self._starts.begin(access.workspace_id, conversation_id, turn)
        return conversation_id

    async def current(self, access: ChannelAccess) -> str | None:
        """The contact's newest conversation here that is not over, to go on with."""
        return await self._reader.current(access.workspace_id, access.source_id, access.external_user_id)

    async def receive(
        self, access: Access, conversation_id: str, reply: Reply, *, dedupe_key: str, client_id: str = ""
    ) -> Accepted:
        """Take in what the contact says. When this returns it is stored; the turn runs in the background.

        Raises: NotFound, AccessDenied, TooLarge (64 kB), Conflict when the conversation is over.
        """
        if len(reply.text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
            raise TooLarge(
                "This message is longer than 64 kB. Send a shorter one, or send it as a file.", limit=MAX_TEXT_BYTES
            )
        self._gate.admit(access, conversation_id, "conversation.write")
        text = clean(reply.text)
        said = reply.model_copy(update={"text": text})
        parts = [dump_part(Text(text=text))] if text else []
        parts += [{"kind": "media", "media": media_of(a.mime), "url": "", "caption": "", "file_id": a.file_id,
                   "name": a.name} for a in reply.attachments]  # fmt: skip
        with INGEST.time():
            accepted, turn = await self._triggers.accept(
                access.workspace_id,
                conversation_id,
                dedupe_key=_key(f"{conversation_id}:{dedupe_key}"),
                kind="message",
                payload=json_values({"reply": said.model_dump(mode="json")}),
                parts=json_values(parts),
                text=text,
                client_id=clean(client_id)[:100],
                contact=_contact(access),
            )
        if accepted is None:
            raise no_conversation(conversation_id)
        self._gate.proven(access, conversation_id)
        if accepted.inbox_id is None:
            raise Conflict("This conversation is over. Start a new one.", reason="conversation_ended")
        if accepted.is_new:
            message = {
                "seq": accepted.seq, "role": "contact", "key": "", "parts": parts, "text": text, "node_id": "",
                "turn_id": str(accepted.inbox_id), "created_at": accepted.at, "client_id": client_id,
            }  # fmt: skip
            self._live.publish(conversation_id, {"type": "message", "message": message})
            self._live.changed(access.workspace_id, conversation_id)
            self._starts.go_on(access.workspace_id, conversation_id, turn)
        return Accepted(str(accepted.inbox_id), accepted.seq, accepted.is_new)

    async def restart(self, access: Access, conversation_id: str, *, dedupe_key: str) -> None:
        """Begin again from the start of the same version, forgetting all variables. Raises: NotFound, AccessDenied."""
        self._gate.admit(access, conversation_id, "conversation.write")
        accepted, turn = await self._store.accept(
            access.workspace_id, conversation_id, dedupe_key=_key(f"{conversation_id}:{dedupe_key}"), kind="restart",
            payload={}, contact=_contact(access),
        )  # fmt: skip
        if accepted is None:
            raise no_conversation(conversation_id)
        if accepted.is_new:
            self._starts.go_on(access.workspace_id, conversation_id, turn)

    async def run_pending(self, workspace_id: str, conversation_id: str) -> None:
        """Run the conversation's waiting triggers, unless another process does."""
        await self._runner.run_pending(workspace_id, conversation_id)

    def stop_waiting(self) -> None:
        """This process ends: answers that are not ready now will be found in the transcript."""
        self._answers.stop()

    async def wait_for_turn(
        self, access: Access, conversation_id: str, inbox_id: str, seconds: float
    ) -> list[dict[str, Any]] | None:
        """What the agent said to one message; None when it is not ready in time. Raises: NotFound, AccessDenied."""
        await self._gate.authorise(access, conversation_id, "conversation.read")
        if not is_uuid(inbox_id):
            raise no_conversation(conversation_id)
        return await self._answers.of_turn(access.workspace_id, conversation_id, inbox_id, seconds)

    async def stand(self, access: Access, conversation_id: str, inbox_id: str) -> tuple[str, str]:
        """(status, waits) after the turn of a message that was just answered, or now. Raises: NotFound, AccessDenied."""
        await self._gate.authorise(access, conversation_id, "conversation.read")
        answered = self._runner.answer(conversation_id, inbox_id)
        if answered is not None:
            return answered.status, answered.waits
        head = await self._gate.head(access, conversation_id)
        return head["status"], head["waits"]

    async def wait_until_idle(self, access: Access, conversation_id: str, seconds: float) -> bool:
        """Until no turn runs or waits to run; False when it takes longer. Raises: NotFound, AccessDenied."""
        await self._gate.authorise(access, conversation_id, "conversation.read")
        return await self._answers.idle(access.workspace_id, conversation_id, seconds)

    async def transcript(
        self, access: Access, conversation_id: str, *, after_seq: int = 0, limit: int = 200
    ) -> Transcript:
        """Messages after a seq. Raises: NotFound, AccessDenied."""
        head = await self._gate.head(access, conversation_id)
        messages = await self._reader.messages(
            access.workspace_id, conversation_id, after_seq=max(after_seq, 0), limit=min(max(limit, 1), 1000)
        )
        if isinstance(access, ChannelAccess):
            messages = [{k: v for k, v in m.items() if k not in ("node_id", "turn_id")} for m in messages]
        return Transcript(
            conversation_id, head["status"], head["waits"], head["language"], head["is_running"], head["message_seq"],
            messages,
        )  # fmt: skip

    async def list(
        self,
        principal: Principal,
        *,
        agent_id: str | None = None,
        status: str | None = None,
        search: str = "",
        is_test: bool = False,
        cursor: str = "",
        limit: int = 50,
    ) -> ConversationPage:
        """Newest first. Raises: AccessDenied, InputInvalid for a damaged cursor."""
        principal.require("conversation.read")
        before = Cursor.read(cursor)
        limit = min(max(limit, 1), 200)
        pattern = clean(search).strip()[:200].replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        filters = {
            "agent": agent_id if agent_id and is_uuid(agent_id) else None, "status": status, "is_test": is_test,
            "search": f"%{pattern}%" if pattern else None, "before_at": before.at, "before_id": before.id,
            "limit": limit + 1,
        }  # fmt: skip
        return ConversationPage.of(await self._reader.listed(principal.workspace_id, filters), limit)

    async def get(self, principal: Principal, conversation_id: str) -> ConversationDetail:
        """One conversation with its messages, turns and steps. Raises: AccessDenied, NotFound."""
        head = await self._gate.head(principal, conversation_id)
        workspace_id = principal.workspace_id
        pinned = await self._versions.get(workspace_id, head["version_id"])
        messages = await self._reader.messages(workspace_id, conversation_id)
        turns = await self._reader.turns(workspace_id, conversation_id)
        has_files = any(part.get("file_id") for message in messages for part in message["parts"] or ())
        files = await self._reader.files(workspace_id, conversation_id) if has_files else []
        return ConversationDetail.of(head, messages, turns, pinned, files)

    async def end(self, principal: Principal, conversation_id: str, *, result: str = "ended_by_member") -> None:
        """End it now; a turn in progress is not finished. Raises: AccessDenied, NotFound."""
        await self._gate.authorise(principal, conversation_id, "conversation.write")
        if await self._store.end(principal.workspace_id, conversation_id, result):
            self._live.publish(conversation_id, {"type": "ended", "result": result})
            self._live.changed(principal.workspace_id, conversation_id)
        elif not await self._reader.head(principal.workspace_id, conversation_id):
            raise no_conversation(conversation_id)

    async def skip_wait(self, principal: Principal, conversation_id: str, *, happens: bool = False) -> None:
        """In a test: the time that the conversation waits for is over now; the worker goes on with it.

        `happens`: what would end the wait early happens instead.
        Raises: AccessDenied, NotFound, Conflict when it does not wait for time, or for nothing that could happen.
        """
        await self._gate.authorise(principal, conversation_id, "conversation.write")
        if not await self._reader.hasten(principal.workspace_id, conversation_id, happens=happens):
            if happens:
                raise Conflict("This step waits for nothing that could happen.", reason="no_event")
            raise Conflict(
                "This step waits without a limit. Set how long it waits for a reply, then test again.",
                reason="no_timer",
            )

    @asynccontextmanager
    async def watch(
        self, access: Access, conversation_id: str, *, after_seq: int = 0
    ) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        """Every message after a seq, each once, then live events. Raises: NotFound, AccessDenied."""
        await self._gate.authorise(access, conversation_id, "conversation.read")
        is_contact = isinstance(access, ChannelAccess)
        async with self._live.subscribe(
            access.workspace_id, conversation_id, after_seq=max(after_seq, 0), is_contact=is_contact
        ) as events:
            yield events

    @asynccontextmanager
    async def watch_all(self, principal: Principal) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        """Which conversations of the workspace change. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._live.watch_workspace(principal.workspace_id) as events:
            yield events


def _contact(access: Access) -> tuple[str, str] | None:
    """Whose the conversation must be; a principal's may be anybody's of the workspace."""
    return None if isinstance(access, Principal) else (access.external_user_id, access.source_id)


def _key(key: str) -> str:
    return clean(key)[:500]


def _cannot_start(problem: str) -> BuilderError:
    if problem == "agent_off":
        return Conflict("This agent is switched off. Switch it on under Agents.", reason="agent_off")
    if problem == "no_version":
        return Conflict("This agent has nothing published yet. Open its flow and publish it.", reason="not_published")
    return NotFound("There is no such agent in this workspace.")
