"""Intake: what one event of a vendor becomes, whichever way it came in; stored before anything else happens."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from uuid import uuid4

import structlog

from graph_runtime.contract.channel_links import InboundFile
from graph_runtime.contract.channels import InboundMessage
from graph_runtime.contract.errors import BuilderError, Conflict, TooLarge
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.messages import Attachment, Media, Text, dump_part
from graph_runtime.engine.checkpoint import clean, json_values
from graph_runtime.services.buttons import Buttons, option_of
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.file_kinds import extension_of
from graph_runtime.services.live import Live
from graph_runtime.services.open_channels import OpenChannel
from graph_runtime.services.trigger_messages import MessageTriggers
from graph_runtime.services.turn_starts import TurnStarts
from graph_runtime.storage import channel_links
from graph_runtime.storage.database import Database
from graph_runtime.storage.file_fetches import NewFetch
from graph_runtime.storage.outbox import OutboxStore
from graph_runtime.storage.receiving import Arrival, Received, Receiver
from graph_runtime.storage.turns import LeasedTurn

log = structlog.get_logger(__name__)
MAX_TEXT_BYTES: Final = 64_000
MOST_FILES: Final = 20
COURTESY_SECONDS: Final = 10.0
MOST_COURTESIES: Final = 200
NOTED_EVERY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Hooked:
    """What one event became. `conversation_id` "" for events that nobody answers; `is_new` False: it came before."""

    conversation_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An event that we asked for: the cursor to store with it, and the lease it was asked under."""

    cursor: str
    epoch: int


class Intake:
    """One for a process. `buttons` None: no channel of this process signs its buttons."""

    def __init__(
        self,
        database: Database,
        receiver: Receiver,
        outbox: OutboxStore,
        starts: TurnStarts,
        live: Live,
        *,
        buttons: Buttons | None = None,
        doors: ChannelDoors | None = None,
        triggers: MessageTriggers | None = None,
    ) -> None:
        self._database = database
        self._receiver = receiver
        self._outbox = outbox
        self._starts = starts
        self._live = live
        self._buttons = buttons
        self._doors = doors
        self._triggers = triggers
        self._courtesies: set[asyncio.Task[None]] = set()
        self._noted: dict[str, float] = {}

    async def close(self) -> None:
        """Let go of courtesies that are on their way."""
        for task in self._courtesies:
            task.cancel()
        await asyncio.gather(*self._courtesies, return_exceptions=True)

    async def take(
        self,
        channel: OpenChannel,
        message: InboundMessage,
        body_hash: str,
        newer: Callable[[], Awaitable[OpenChannel]],
        asked: Asked | None = None,
    ) -> Hooked:
        """Take in one event. When this returns, it is committed, and with it the cursor of one that was asked for.

        `newer`: the channel as it is now, when it changed since. Raises: TooLarge, Conflict (nobody to answer),
        DatabaseAway, LeaseLost.
        """
        if message.delivered_key:
            await self._outbox.confirm(channel.workspace_id, channel.id, message.delivered_key, message.vendor_id)
        if message.reachable is not None:
            await self._set_reachable(channel, message, is_reachable=message.reachable)
        if not message.starts_a_turn:
            return Hooked("", is_new=False)
        shown = await self._unsigned(channel, message)
        if shown is None:
            self._thank(channel, message)
            return Hooked("", is_new=False)
        arrival = _arrival(channel, shown, body_hash, asked)
        received, turn = await self._store(channel, arrival)
        if received.problem == "stale":
            channel = await newer()
            arrival = replace(arrival, revision=channel.revision)
            received, turn = await self._store(channel, arrival)
        if received.problem == "changed":
            log.warning("hook_changed_body", connector=channel.connector, inbox_id=str(received.inbox_id))
        elif received.problem:
            raise _nobody_answers(received.problem)
        conversation_id = str(received.conversation_id)
        if received.is_new:
            self._show(channel, conversation_id, arrival, received)
            if received.must_lease or turn is not None:
                self._starts.begin(channel.workspace_id, conversation_id, turn)
            if asked is None and channel.offer.identify is not None:
                await self._note_event(channel)
        self._thank(channel, message)
        return Hooked(conversation_id, received.is_new)

    async def _store(self, channel: OpenChannel, arrival: Arrival) -> tuple[Received, LeasedTurn | None]:
        if self._triggers is None:
            return await self._receiver.receive(arrival)
        return await self._triggers.receive(arrival, channel.agent_id, channel.connector)

    async def _unsigned(self, channel: OpenChannel, message: InboundMessage) -> InboundMessage | None:
        """The event with the option that was pressed; as words when its question is over; None when it is nobody's."""
        if not channel.offer.signs_buttons or not message.reply.option_id:
            return message
        place = self._buttons.read(channel.id, message.reply.option_id) if self._buttons is not None else None
        if place is None:
            return None
        async with self._database.workspace(channel.workspace_id) as connection:
            row = await channel_links.pressed(
                connection, channel.id, message.external_user_id, place.conversation_id, place.seq
            )
        option = option_of(row["parts"], place) if row is not None else None
        if row is None or option is None:
            return None
        option_id = option.id if row["is_current"] else ""
        return replace(message, reply=message.reply.model_copy(update={"option_id": option_id, "text": option.label}))

    async def _set_reachable(self, channel: OpenChannel, message: InboundMessage, *, is_reachable: bool) -> None:
        async with self._database.workspace(channel.workspace_id) as connection:
            await channel_links.set_reachable(
                connection, channel.id, clean(message.external_user_id)[:200], is_reachable=is_reachable
            )

    async def _note_event(self, channel: OpenChannel) -> None:
        now = time.monotonic()
        if now - self._noted.get(channel.id, -NOTED_EVERY_SECONDS) < NOTED_EVERY_SECONDS:
            return
        self._noted[channel.id] = now
        async with self._database.workspace(channel.workspace_id) as connection:
            await channel_links.note_event(connection, channel.id)

    def _thank(self, channel: OpenChannel, message: InboundMessage) -> None:
        if channel.offer.acknowledge is None or self._doors is None or len(self._courtesies) >= MOST_COURTESIES:
            return
        task = asyncio.create_task(self._acknowledge(channel, message), name="acknowledge")
        self._courtesies.add(task)
        task.add_done_callback(self._courtesies.discard)

    async def _acknowledge(self, channel: OpenChannel, message: InboundMessage) -> None:
        assert channel.offer.acknowledge is not None
        assert self._doors is not None
        settings = channel.current_settings()
        with contextlib.suppress(BuilderError, TimeoutError):
            async with asyncio.timeout(COURTESY_SECONDS):
                await channel.offer.acknowledge(settings, message, self._doors.of(channel.offer, settings))

    def _show(self, channel: OpenChannel, conversation_id: str, arrival: Arrival, received: Received) -> None:
        said = {
            "seq": received.seq, "role": "contact", "key": "", "parts": arrival.parts, "text": arrival.text, "node_id": "",
            "turn_id": str(received.inbox_id), "created_at": received.at, "client_id": "", "flags": {},
        }  # fmt: skip
        self._live.publish(conversation_id, {"type": "message", "message": said})
        self._live.changed(channel.workspace_id, conversation_id)


def _arrival(channel: OpenChannel, message: InboundMessage, body_hash: str, asked: Asked | None) -> Arrival:
    reply = message.reply
    if len(reply.text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise TooLarge("This message is longer than 64 kB. Send a shorter one.", limit=MAX_TEXT_BYTES)
    text = clean(reply.text)
    fields: dict[str, Any] = json_values(dict(message.contact))
    if len(str(fields)) > MAX_TEXT_BYTES:
        raise TooLarge("What is said about the contact is larger than 64 kB. Send less.", limit=MAX_TEXT_BYTES)
    language = message.language[:2].lower()
    files = [(_new_fetch(file), file) for file in message.files[:MOST_FILES]]
    attachments = tuple(Attachment(file_id=f.id, name=f.name, mime=i.mime, size=i.size) for f, i in files)
    said = reply.model_copy(update={"text": text, "attachments": (*reply.attachments, *attachments)})
    media = [Media(media=i.media, file_id=f.id, name=f.name) for f, i in files]
    return Arrival(
        workspace_id=channel.workspace_id,
        channel_id=channel.id,
        revision=channel.revision,
        dedupe_key=f"hook:{clean(message.dedupe_key)}"[:500],
        external_user_id=clean(message.external_user_id)[:200],
        contact=fields,
        language=language if language in LANGUAGES else None,
        reply=json_values(said.model_dump(mode="json")),
        parts=json_values([*_parts(text), *map(dump_part, media)]),
        text=text,
        body_hash=body_hash,
        gather_ms=round(message.follows_seconds * 1000),
        begins_anew=message.begins_anew,
        files=[f for f, _ in files],
        cursor=None if asked is None else asked.cursor,
        epoch=0 if asked is None else asked.epoch,
    )


def _new_fetch(file: InboundFile) -> NewFetch:
    """The name is ours, as of every file that a contact sends."""
    name = f"{file.media}-{secrets.token_hex(4)}.{extension_of(file.mime, file.media)}"
    return NewFetch(str(uuid4()), name, asdict(file))


def _parts(text: str) -> list[dict[str, Any]]:
    return [dump_part(Text(text=text))] if text else []


def _nobody_answers(problem: str) -> BuilderError:
    sentences = {
        "channel_off": "This channel is switched off. Switch it on in Patchcord, then send the event again.",
        "agent_off": "This agent is switched off. Switch it on in Patchcord, then send the event again.",
        "no_version": "This agent has nothing published yet. Publish its flow, then send the event again.",
    }
    return Conflict(sentences.get(problem, "Nobody can answer at this address now."), reason=problem)
