"""Hooks: what vendors post to us; verified, stored and committed before anybody is told that it arrived."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from graph_runtime.contract.channels import InboundMessage, SignatureRefused
from graph_runtime.contract.errors import BuilderError, Conflict, InputInvalid, TooLarge
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.messages import Reply, Text, dump_part
from graph_runtime.engine.checkpoint import clean, json_values
from graph_runtime.services.live import Live
from graph_runtime.services.open_channels import OpenChannel, OpenChannels
from graph_runtime.services.trigger_messages import MessageTriggers
from graph_runtime.services.turn_starts import TurnStarts
from graph_runtime.storage.outbox import OutboxStore
from graph_runtime.storage.receiving import Arrival, Received, or_away
from graph_runtime.telemetry.metrics import WEBHOOK_REJECTS

log = structlog.get_logger(__name__)
MAX_TEXT_BYTES: Final = 64_000
FRESH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Hooked:
    """What one event became. `conversation_id` "" for events that nobody answers; `is_new` False: it came before."""

    conversation_id: str
    is_new: bool


class Hooks:
    """The way in for channels that push to us. Whoever holds the channel's secret may speak for its contacts."""

    def __init__(
        self, channels: OpenChannels, triggers: MessageTriggers, outbox: OutboxStore, starts: TurnStarts, live: Live
    ) -> None:
        self._channels = channels
        self._triggers = triggers
        self._outbox = outbox
        self._starts = starts
        self._live = live

    def check_headers(self, connector: str, headers: Mapping[str, str]) -> None:
        """What can be refused before the body or the database is touched. Raises: NotFound, SignatureRefused."""
        missing = [name for name in self._channels.offer(connector).required_headers if not headers.get(name)]
        if missing:
            WEBHOOK_REJECTS.labels("no_signature").inc()
            raise SignatureRefused(f"The header {missing[0]} is missing. Sign the request.", header=missing[0])

    async def receive(
        self, connector: str, public_id: str, body: bytes, headers: Mapping[str, str]
    ) -> list[Hooked]:  # fmt: skip
        """Take in one request. When this returns, every event of it is committed. Header names are in lower case.

        Raises: NotFound, SignatureRefused, InputInvalid, TooLarge, Conflict (nobody to answer), DatabaseAway.
        """
        self.check_headers(connector, headers)
        offer = self._channels.offer(connector)
        if offer.verify is None or offer.parse is None:
            raise Conflict("This kind of channel takes nothing in.", reason="no_inbound")
        with or_away():
            try:
                channel = await self._verified(connector, public_id, body, headers)
                messages = offer.parse(body, headers)
            except (SignatureRefused, InputInvalid) as error:
                WEBHOOK_REJECTS.labels(error.code).inc()
                raise
            body_hash = hashlib.sha256(body).hexdigest()
            return [await self._take(channel, public_id, m, (body, headers, body_hash)) for m in messages]

    async def _verified(
        self, connector: str, public_id: str, body: bytes, headers: Mapping[str, str], *, fresh: bool = False
    ) -> OpenChannel:
        channel = await self._channels.by_public_id(connector, public_id, fresh=fresh)
        assert channel.offer.verify is not None
        try:
            channel.offer.verify(channel.current_settings(), body, headers, channel.now())
        except SignatureRefused:
            # The secret may just have been changed elsewhere; forgeries do not make us ask more than once a second.
            if time.monotonic() - channel.loaded < FRESH_SECONDS:
                raise
            newer = await self._channels.by_public_id(connector, public_id, fresh=True)
            channel.offer.verify(newer.current_settings(), body, headers, newer.now())
            return newer
        return channel

    async def _take(
        self,
        channel: OpenChannel,
        public_id: str,
        message: InboundMessage,
        request: tuple[bytes, Mapping[str, str], str],
    ) -> Hooked:
        body, headers, body_hash = request
        if message.delivered_key:
            await self._outbox.confirm(channel.workspace_id, channel.id, message.delivered_key, message.vendor_id)
        if not message.starts_a_turn:
            return Hooked("", is_new=False)
        received, turn = await self._triggers.receive(
            _arrival(channel, message, body_hash), channel.agent_id, channel.connector
        )
        if received.problem == "stale":
            channel = await self._verified(channel.connector, public_id, body, headers, fresh=True)
            received, turn = await self._triggers.receive(
                _arrival(channel, message, body_hash), channel.agent_id, channel.connector
            )
        if received.problem == "changed":
            log.warning("hook_changed_body", connector=channel.connector, inbox_id=str(received.inbox_id))
        elif received.problem:
            raise _nobody_answers(received.problem)
        conversation_id = str(received.conversation_id)
        if received.is_new:
            self._show(channel, conversation_id, message.reply, received)
            if received.must_lease:
                self._starts.begin(channel.workspace_id, conversation_id, turn)
            else:
                self._starts.go_on(channel.workspace_id, conversation_id, turn)
        return Hooked(conversation_id, received.is_new)

    def _show(self, channel: OpenChannel, conversation_id: str, reply: Reply, received: Received) -> None:
        text = clean(reply.text)
        said = {
            "seq": received.seq, "role": "contact", "key": "", "parts": _parts(text), "text": text, "node_id": "",
            "turn_id": str(received.inbox_id), "created_at": received.at, "client_id": "", "flags": {},
        }  # fmt: skip
        self._live.publish(conversation_id, {"type": "message", "message": said})
        self._live.changed(channel.workspace_id, conversation_id)


def _arrival(channel: OpenChannel, message: InboundMessage, body_hash: str) -> Arrival:
    reply = message.reply
    if len(reply.text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise TooLarge("This message is longer than 64 kB. Send a shorter one.", limit=MAX_TEXT_BYTES)
    text = clean(reply.text)
    fields: dict[str, Any] = json_values(dict(message.contact))
    if len(str(fields)) > MAX_TEXT_BYTES:
        raise TooLarge("What is said about the contact is larger than 64 kB. Send less.", limit=MAX_TEXT_BYTES)
    language = message.language[:2].lower()
    return Arrival(
        workspace_id=channel.workspace_id,
        channel_id=channel.id,
        revision=channel.revision,
        dedupe_key=f"hook:{clean(message.dedupe_key)}"[:500],
        external_user_id=clean(message.external_user_id)[:200],
        contact=fields,
        language=language if language in LANGUAGES else None,
        reply=json_values(reply.model_copy(update={"text": text}).model_dump(mode="json")),
        parts=json_values(_parts(text)),
        text=text,
        body_hash=body_hash,
    )


def _parts(text: str) -> list[dict[str, Any]]:
    return [dump_part(Text(text=text))] if text else []


def _nobody_answers(problem: str) -> BuilderError:
    sentences = {
        "channel_off": "This channel is switched off. Switch it on in Patchcord, then send the event again.",
        "agent_off": "This agent is switched off. Switch it on in Patchcord, then send the event again.",
        "no_version": "This agent has nothing published yet. Publish its flow, then send the event again.",
    }
    return Conflict(sentences.get(problem, "Nobody can answer at this address now."), reason=problem)
