"""A broadcast to many while people chat (F24): chat hardly notices, the vendor's rate is kept, everybody gets it once."""

from __future__ import annotations

import asyncio
import statistics
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from graph_runtime.contract.channels import Rate
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.chain_world import ChainProcess, chaining, message
from tests.delivery_world import CONNECTORS, Channel, Place
from tests.fakes.push_channels import BLIND
from tests.fakes.webhook_receiver import WebhookReceiver, receiving
from tests.integration.test_deliveries import QUIET, until

Admin = psycopg.Connection[tuple[object, ...]]
PEOPLE = 200
RATE = Rate(messages=100, seconds=1.0, burst=10)
CHATS = 25


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _a_vendor_with_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BLIND.channel is not None
    limited = replace(BLIND, channel=replace(BLIND.channel, channel_rate=RATE))
    monkeypatch.setitem(CONNECTORS, BLIND.id, limited)


async def chat(p: ChainProcess, channel: Channel, name: str) -> list[float]:
    """Somebody writes again and again; how long each answer took to arrive."""
    taken = []
    for n in range(CHATS):
        began = time.monotonic()
        await channel.post(p, name, f"hello {n}")
        taken.append(time.monotonic() - began)
    return taken


async def test_chat_goes_on_during_a_broadcast(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    admin.execute("DELETE FROM workspace")
    place = Place(postgres.admin_url, QUIET)
    many, few = receiver.lane(), receiver.lane()
    async with chaining(postgres.app_url, datetime.now(UTC)) as p:
        broadcast = await p.add(place, "fake_blind", receiver.url(many))
        webhook = await p.add(place, "webhook", receiver.url(few))
        chain = await p.chain(place.who, message("news", "News"))
        people = [await p.contact(place, broadcast, f"b{n}") for n in range(PEOPLE)]
        calm = await chat(p, webhook, "calm")
        await p.enroll(place.who, chain, *people)
        running = asyncio.create_task(p.by_the_database().run())
        meanwhile = await chat(p, webhook, "busy")
        await until(lambda: len(many.accepted) >= PEOPLE, 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert sorted(a.data["to"] for a in many.accepted) == sorted(f"b{n}" for n in range(PEOPLE))
    times = sorted(a.at for a in many.accepted)
    most = max(bisect_left(times, at + 1.0) - n for n, at in enumerate(times))
    assert most <= RATE.messages
    # One process does everything here and the machine is shared, so this only tells a starved chat from a live one.
    assert statistics.median(meanwhile) <= max(5 * statistics.median(calm), 0.25)
