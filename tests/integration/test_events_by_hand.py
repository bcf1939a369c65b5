"""Subscriptions that are switched off by what happened, events sent again by hand, test events, new secrets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from graph_runtime.contract.errors import Conflict, NotFound
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import Place, sending
from tests.fakes.webhook_receiver import WebhookReceiver, receiving
from tests.integration.test_deliveries import QUIET, until
from tests.integration.test_events import drain, events, is_genuine, log_of, states, talk, types

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(autouse=True)
def _nothing_left_to_send(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@pytest.fixture
def place(postgres: EmbeddedPostgres) -> Place:
    return Place(postgres.admin_url, QUIET)


async def test_410_switches_off_and_what_waits_stays(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("gone")
    async with sending(postgres.app_url, is_started=False) as side:
        made = await side.subscribe(place, receiver.url(lane), "turn.ended")
        await talk(side, place, "a")
        assert await side.event_sender.once() == 1
        row = await side.subscriptions.get(place.who, made.row.id)
        assert (row.is_on, row.off_reason, row.off_at is not None) == (False, "gone", True)
        assert await side.event_sender.once() == 0
        assert [r[1:] for r in log_of(admin, place)] == [("failed", 1, "gone"), ("pending", 0, "")]
        await talk(side, place, user="later")
        assert len(log_of(admin, place)) == 2, "while it is off nothing is noted"
        with pytest.raises(Conflict):
            await side.event_log.send_test(place.who, made.row.id)
        row = await side.subscriptions.set_on(place.who, made.row.id, is_on=True)
        assert (row.is_on, row.off_reason, row.failing_since) == (True, "", None)
        await drain(side)
    assert [event["data"]["turn"] for event in events(lane)] == [2]


async def test_days_of_failures_switch_it_off_and_a_success_forgives(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("server_error")

    def fail_since(days: float) -> None:
        admin.execute("UPDATE event_delivery SET next_attempt_at = now() WHERE state = 'pending'")
        admin.execute(
            "UPDATE event_subscription SET failing_since = now() - make_interval(secs => %s)", (days * 86400,)
        )

    async with sending(postgres.app_url, is_started=False) as side:
        made = await side.subscribe(place, receiver.url(lane), "conversation.started")
        await talk(side, place)
        await side.event_sender.once()
        assert (await side.subscriptions.get(place.who, made.row.id)).failing_since is not None
        fail_since(6)
        await side.event_sender.once()
        row = await side.subscriptions.get(place.who, made.row.id)
        assert (row.is_on, row.failing_since, row.last_ok_at is not None) == (True, None, True)
        await talk(side, place, user="b")
        lane.fail("server_error", times=3)
        fail_since(4.9)
        await side.event_sender.once()
        assert (await side.subscriptions.get(place.who, made.row.id)).is_on
        fail_since(5.1)
        await side.event_sender.once()
        row = await side.subscriptions.get(place.who, made.row.id)
        assert (row.is_on, row.off_reason) == (False, "failing")


async def test_what_nobody_takes_expires_and_is_sent_again_by_hand(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("server_error", times=2)
    began = datetime.now(UTC)
    async with sending(postgres.app_url, is_started=False) as side:
        made = await side.subscribe(place, receiver.url(lane), "conversation.started")
        await talk(side, place, user="a")
        await talk(side, place, user="b")
        assert await side.event_sender.once() == 2
        admin.execute("UPDATE event_delivery SET expires_at = now()")
        assert await side.events.look_after() == 2
        assert [r[1:] for r in log_of(admin, place)] == [("failed", 1, "expired")] * 2
        newest, oldest = await side.event_log.list(place.who, made.row.id, state="failed")
        assert await side.event_log.list(place.who, made.row.id, before=newest.id) == [oldest]
        again = await side.event_log.replay(place.who, made.row.id, newest.id)
        assert (again.state, again.attempts) == ("pending", 0)
        await drain(side)
        assert await side.event_log.replay_failed(place.who, made.row.id, datetime.now(UTC)) == 0
        assert await side.event_log.replay_failed(place.who, made.row.id, began) == 1
        await drain(side)
        assert states(admin, place) == ["sent", "sent"]
        # A received event may be sent once more, and its receiver knows it by its id.
        await side.event_log.replay(place.who, made.row.id, newest.id)
        await drain(side)
        with pytest.raises(NotFound):
            await side.event_log.replay(place.who, made.row.id, made.row.id)
    assert [a.key for a in lane.accepted] == [newest.key, oldest.key, newest.key]


async def test_a_test_event_reaches_this_subscription_alone(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place
) -> None:
    lane, other = receiver.lane(), receiver.lane()
    async with sending(postgres.app_url) as side:
        made = await side.subscribe(place, receiver.url(lane), "turn.failed")
        await side.subscribe(place, receiver.url(other))
        sent = await side.event_log.send_test(place.who, made.row.id)
        await until(lambda: lane.accepted)
    assert types(lane) == ["test"]
    assert lane.accepted[0].key == sent.key
    assert is_genuine(lane.accepted[0], made.secret)
    assert other.journal == []


async def test_both_secrets_sign_during_the_overlap(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url, is_started=False) as side:
        made = await side.subscribe(place, receiver.url(lane), "turn.failed")
        row, second = await side.subscriptions.rotate_secret(place.who, made.row.id, overlap_hours=2)
        assert row.previous_until is not None
        await side.event_log.send_test(place.who, made.row.id)
        await drain(side)
        assert is_genuine(lane.journal[0], made.secret)
        assert is_genuine(lane.journal[0], second)
        admin.execute("UPDATE event_subscription SET previous_until = now(), revision = revision + 1")
        await side.event_log.send_test(place.who, made.row.id)
        await drain(side)
        assert not is_genuine(lane.journal[1], made.secret)
        assert is_genuine(lane.journal[1], second)
        _, third = await side.subscriptions.rotate_secret(place.who, made.row.id, overlap_hours=0)
        await side.event_log.send_test(place.who, made.row.id)
        await drain(side)
        assert not is_genuine(lane.journal[2], second)
        assert is_genuine(lane.journal[2], third)
