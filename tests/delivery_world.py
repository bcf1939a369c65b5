"""A process that takes hooks in and sends, on a real database, with the webhook channel and two fake ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from connectors.webhook.connector import CONNECTOR as WEBHOOK
from graph_runtime.contract import signatures
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow
from graph_runtime.services.buttons import Buttons
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.channel_doors import ChannelDoors
from graph_runtime.services.channel_setup import ChannelRow, ChannelSetup
from graph_runtime.services.conversation_side import Part
from graph_runtime.services.dead_letters import DeadLetters
from graph_runtime.services.deliveries import Deliveries, SendRules
from graph_runtime.services.event_log import EventLog
from graph_runtime.services.event_sending import EventRules, EventSending
from graph_runtime.services.event_subscriptions import EVENT_TYPES, EventSubscriptions, SubscriptionRow
from graph_runtime.services.hooks import Hooks
from graph_runtime.services.intake import Hooked, Intake
from graph_runtime.services.open_channels import OpenChannels
from graph_runtime.services.open_subscriptions import OpenSubscriptions
from graph_runtime.services.principal import Principal, system_principal
from graph_runtime.services.turn_world import Outside
from graph_runtime.services.vault import Vault
from graph_runtime.storage.database import Database
from graph_runtime.storage.encryption import KeyRing
from graph_runtime.storage.event_outbox import EventStore
from graph_runtime.storage.event_subscriptions import EVENTS_CHANNEL
from graph_runtime.worker.sender import EVENT_PLACES, PLACES, Sender
from tests.conversation_world import Process, publish
from tests.engine.small_nodes import CATALOG, flow
from tests.fakes.push_channels import BLIND, RECONCILE

EVENT_RULES = EventRules(jitter=lambda low, high: min(high, 0.2), answer_seconds=2.0)
KEY = "for tests only, " * 3
CONNECTORS = {c.id: c for c in (WEBHOOK, BLIND, RECONCILE)}
ECHO = flow(
    {
        "s": ("start", {}),
        "one": ("say", {"text": "1 {{ message.text }}"}),
        "q": ("ask", {"text": "2 {{ message.text }}"}),
    },
    {"s.next": "one", "one.next": "q", "q.answered": "one"},
)
"""Answers whatever is said with two messages, "1 …" and "2 …"."""


class SendingProcess(Process):
    """The services of one process that also sends."""

    def __init__(
        self,
        database: Database,
        rules: SendRules,
        outside: Outside | None = None,
        event_rules: EventRules | None = None,
        *,
        catalog: Catalog | None = None,
        part: Part | None = None,
    ) -> None:
        catalog = catalog or Catalog(CATALOG.nodes, CONNECTORS)
        super().__init__(database, catalog, outside or Outside(), part)
        self.vault = vault = Vault(database, KeyRing([KEY]))
        doors, buttons = ChannelDoors(), Buttons(KEY)
        self.setup = ChannelSetup(database, catalog, vault, doors=doors)
        self.open_channels = OpenChannels(database, catalog, vault)
        self.deliveries = Deliveries(
            self.outbox, self.open_channels, self.live, self.store.news, rules=rules, doors=doors, buttons=buttons
        )
        self.intake = Intake(
            database,
            self.receiver,
            self.outbox,
            self.starts,
            self.live,
            buttons=buttons,
            doors=doors,
            triggers=self.message_triggers,
        )
        self.hooks = Hooks(self.open_channels, self.intake)
        self.letters = DeadLetters(database, self.runner.start)
        self.sender = Sender(self.deliveries, database.listen, PLACES, count=self.instance.senders, seconds=0.2)
        store = EventStore(database, self.instance.number)
        self.subscriptions = EventSubscriptions(database, vault)
        self.event_log = EventLog(database)
        self.events = EventSending(store, OpenSubscriptions(database, vault), rules=event_rules or EVENT_RULES)
        self.event_sender = Sender(self.events, database.listen, EVENT_PLACES, seconds=0.1, channel=EVENTS_CHANNEL)
        self._sending: list[asyncio.Task[None]] = []

    def start_sending(self) -> None:
        self._sending = [asyncio.create_task(s.run()) for s in (self.sender, self.event_sender)]

    async def stop_sending(self) -> None:
        for task in self._sending:
            task.cancel()
        if self._sending:
            await asyncio.gather(*self._sending, return_exceptions=True)
            await asyncio.gather(self.sender.close(1.0), self.event_sender.close(1.0))
            self._sending = []

    async def subscribe(self, place: Place, url: str, *types: str, **more: Any) -> Subscription:
        """A subscription to an address on this machine."""
        row, secret = await self.subscriptions.create(
            place.who, url, types or EVENT_TYPES, allow_private_host=True, **more
        )
        return Subscription(row, secret)

    async def add(self, place: Place, connector: str, url: str, *, label: str = "", **settings: Any) -> Channel:
        """A channel that sends to an address on this machine."""
        more = {"allow_private_host": True} if connector == "webhook" else {}
        row, secret = await self.setup.create(
            place.who, place.agent_id, connector, label=label, settings={"url": url, **more, **settings}
        )
        return Channel(row, secret)


class Place:
    """A workspace with an agent that runs a flow."""

    def __init__(self, admin_url: str, document: Flow = ECHO) -> None:
        access = publish(admin_url, document)
        self.workspace_id, self.agent_id = access.workspace_id, access.agent_id
        self.who: Principal = system_principal(self.workspace_id)


@dataclass(frozen=True)
class Subscription:
    """An event subscription that was made, and its secret."""

    row: SubscriptionRow
    secret: str


class Channel:
    """A channel that was set up, and its secret."""

    def __init__(self, row: ChannelRow, secret: str) -> None:
        self.row = row
        self.secret = secret
        self.public_id = row.path.rpartition("/")[2]

    def access(self, place: Place, user: str = "u1") -> ChannelAccess:
        return ChannelAccess(place.workspace_id, place.agent_id, self.row.id, user, self.row.connector)

    def signed(
        self, event: dict[str, Any] | bytes, key: str = "", at: datetime | None = None
    ) -> tuple[bytes, dict[str, str]]:
        """Body and headers as the other side makes them."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return body, signatures.signed_headers([self.secret], key or uuid4().hex, at or datetime.now(UTC), body)

    async def post(self, side: SendingProcess, user: str, text: str, key: str = "") -> Hooked:
        """One signed message of a contact; returns when it is answered."""
        body, headers = self.signed({"user_id": user, "text": text}, key)
        hooked = await side.hooks.receive("webhook", self.public_id, body, headers)
        await side.settle()
        return hooked[0]


@asynccontextmanager
async def sending(
    url: str,
    *,
    lease_seconds: int = 60,
    is_started: bool = True,
    outside: Outside | None = None,
    event_rules: EventRules | None = None,
    catalog: Catalog | None = None,
) -> AsyncIterator[SendingProcess]:
    """Start the services of one sending process and stop them. Retries come within a fifth of a second."""
    database = Database(url)
    await database.open()
    rules = SendRules(jitter=lambda low, high: min(high, 0.2), lease_seconds=lease_seconds)
    side = SendingProcess(database, rules, outside, event_rules, catalog=catalog)
    try:
        await side.open()
        if is_started:
            side.start_sending()
        yield side
    finally:
        await side.stop_sending()
        await side.intake.close()
        await side.deliveries.close()
        await side.events.close()
        await side.close(1.0)
        await database.close()
