"""A worker is killed or frozen in the middle of telling an event; another tells it again under the same id."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import psycopg
import pytest

from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import Place, sending
from tests.fakes.webhook_receiver import WebhookReceiver, receiving
from tests.integration.test_deliveries import QUIET, until
from tests.integration.test_deliveries_killed import worker
from tests.integration.test_events import is_genuine, log_of, states, talk

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(autouse=True)
def _nothing_left_to_send(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


async def test_killed_while_telling(postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin) -> None:
    place, lane = Place(postgres.admin_url, QUIET), receiver.lane()
    async with sending(postgres.app_url, is_started=False) as side:
        made = await side.subscribe(place, receiver.url(lane), "turn.ended")
        lane.fail("hang")
        async with worker(postgres.app_url) as child:
            await talk(side, place, "hello")
            await until(lambda: lane.journal, 20)
            assert states(admin, place) == ["sending", "pending"]
            child.send_signal(signal.SIGKILL)
            await child.communicate()
        side.start_sending()
        await until(lambda: states(admin, place) == ["sent", "sent"], 20)
    assert [json.loads(a.body)["data"]["turn"] for a in lane.journal] == [1, 1, 2]
    assert lane.journal[0].key == lane.journal[1].key
    assert lane.journal[0].body == lane.journal[1].body
    assert len(lane.delivered) == 2
    assert all(is_genuine(a, made.secret) for a in lane.journal)


async def test_many_kills_lose_nothing_and_break_no_order(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place, lane = Place(postgres.admin_url, QUIET), receiver.lane()
    async with sending(postgres.app_url, is_started=False) as side:
        await side.subscribe(place, receiver.url(lane), "turn.ended")
        for user in range(12):
            await talk(side, place, *"abcd", user=f"u{user}")
        for part in (5, 15, 30):
            async with worker(postgres.app_url) as child:
                await until(lambda part=part: len(lane.journal) >= part, 20)  # type: ignore[misc]
                child.send_signal(signal.SIGKILL)
                await child.communicate()
        side.start_sending()
        await until(lambda: states(admin, place) == ["sent"] * 60, 30)
    told: dict[str, list[int]] = {}
    for arrived in lane.delivered:
        data = json.loads(arrived.body)["data"]
        told.setdefault(data["conversation_id"], []).append(data["turn"])
    assert sorted(told.values()) == [[1, 2, 3, 4, 5]] * 12


async def test_a_frozen_worker_writes_nothing_when_it_wakes(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place, lane = Place(postgres.admin_url, QUIET), receiver.lane()
    lane.fail("slow", seconds=1.5)
    from graph_runtime.services.event_sending import EventRules

    rules = EventRules(jitter=lambda low, high: min(high, 0.2), lease_seconds=1)
    async with sending(postgres.app_url, is_started=False, event_rules=rules) as side:
        made = await side.subscribe(place, receiver.url(lane), "conversation.started")
        async with worker(postgres.app_url) as child:
            await talk(side, place)
            await until(lambda: lane.journal, 20)
            child.send_signal(signal.SIGSTOP)
            side.start_sending()
            await until(lambda: states(admin, place) == ["sent"], 20)
            (before,) = await side.event_log.list(place.who, made.row.id)
            await side.stop_sending()
            child.send_signal(signal.SIGCONT)
            # It wakes, finds its answer and its claim gone; what it sends afterwards is its own.
            await talk(side, place, user="next")
            await until(lambda: states(admin, place) == ["sent", "sent"], 20)
            after = (await side.event_log.list(place.who, made.row.id))[-1]
    assert after == before
    assert json.loads(after.answer) == {"id": "r2"}
    assert len(lane.delivered) == 2
    assert [row[2] for row in log_of(admin, place)] == [2, 1]
