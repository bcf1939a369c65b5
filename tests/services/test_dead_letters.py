"""Dead letters: who may see and decide, what replaying does, and that every decision is in the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.errors import AccessDenied, NotFound
from graph_runtime.engine.run import SORRY
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import Channel, Place, SendingProcess, sending
from tests.fakes.webhook_receiver import WebhookReceiver, receiving
from tests.integration.test_deliveries import QUIET, all_are, flags, until

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


async def refused(side: SendingProcess, channel: Channel, *texts: str) -> None:
    """Let the receiver refuse a message to each of several people."""
    for n, text in enumerate(texts):
        await channel.post(side, f"u{n}", text)
    while await side.sender.once():
        pass


def audit(admin: Admin, place: Place) -> list[Any]:
    rows = admin.execute(
        "SELECT action FROM audit WHERE workspace_id = %s AND action LIKE 'dead_letter%%' ORDER BY seq",
        (place.workspace_id,),
    )
    return [row[0] for row in rows.fetchall()]


async def test_a_refused_message_is_sent_again_under_its_key(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("bad_request")
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        await refused(side, channel, "hello")
        (letter,) = await side.letters.list(place.who)
        assert (letter.source, letter.reason, letter.text, letter.attempts) == ("outbox", "refused", "hello", 1)
        assert (letter.channel_kind, letter.agent, letter.can_replay) == ("webhook", "Agent", True)
        assert "400" in letter.error
        assert flags(admin, place) == [{"undelivered": "refused"}]
        await side.letters.replay(place.who, letter.id)
        assert flags(admin, place) == [{}]
        assert await side.letters.list(place.who) == []
        assert await side.sender.once() == 1
        assert all_are(admin, place, "sent")
        with pytest.raises(NotFound):
            await side.letters.replay(place.who, letter.id)
    assert lane.journal[0].key == lane.journal[1].key
    assert audit(admin, place) == ["dead_letter.replayed"]


async def test_all_alike_and_only_those_are_replayed(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane, other_lane = receiver.lane(), receiver.lane()
    lane.fail("bad_request", times=3)
    lane.fail("unauthorized", times=1)
    other_lane.fail("bad_request")
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(lane), label="x")
        other = await side.add(place, "webhook", receiver.url(other_lane))
        for text in "abcd":
            await refused(side, channel, text)
        await refused(side, other, "e")
        groups = await side.letters.groups(place.who)
        assert next((g.reason, g.letters) for g in groups) == ("refused", 3)
        assert sorted((g.reason, g.letters) for g in groups) == [
            ("credential_rejected", 1),
            ("refused", 1),
            ("refused", 3),
        ]
        letters = await side.letters.list(place.who, reason="refused", channel_id=channel.row.id)
        assert [letter.text for letter in letters] == ["c", "b", "a"]
        assert await side.letters.replay_alike(place.who, letters[0].id) == 3
        while await side.sender.once():
            pass
        assert lane.texts == ["a", "b", "c"]
        assert {letter.text for letter in await side.letters.list(place.who)} == {"d", "e"}


async def test_discarding_leaves_it_undelivered(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("bad_request")
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        await refused(side, channel, "hello")
        (letter,) = await side.letters.list(place.who)
        await side.letters.discard(place.who, letter.id)
        assert await side.letters.list(place.who) == []
        assert await side.sender.once() == 0
    assert flags(admin, place) == [{"undelivered": "refused"}]
    assert audit(admin, place) == ["dead_letter.discarded"]


async def test_only_who_may_decides(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("bad_request")
    viewer = Principal(place.workspace_id, None, "viewer", PERMISSIONS["viewer"])
    nobody = Principal(place.workspace_id, None, "api", frozenset())
    stranger = Place(postgres.admin_url, QUIET).who
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        await refused(side, channel, "hello")
        (letter,) = await side.letters.list(viewer)
        for decide in (side.letters.replay, side.letters.replay_alike, side.letters.discard):
            with pytest.raises(AccessDenied):
                await decide(viewer, letter.id)
            with pytest.raises(NotFound):
                await decide(stranger, letter.id)
        for read in (side.letters.list, side.letters.groups):
            with pytest.raises(AccessDenied):
                await read(nobody)
        assert await side.letters.list(stranger) == []
        assert len(await side.letters.list(place.who)) == 1


async def test_an_event_that_was_put_aside_runs_again(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        talk = (await channel.post(side, "u1", "hello")).conversation_id
        # Three attempts that died are already counted when the fourth begins.
        body, headers = channel.signed({"user_id": "u1", "text": "poison"})
        admin.execute(
            "UPDATE conversation SET lease_owner = 1, lease_until = now() + interval '1 h' WHERE id = %s", (talk,)
        )
        admin.execute("SELECT pg_advisory_lock(1)")
        try:
            await side.hooks.receive("webhook", channel.public_id, body, headers)
            admin.execute("UPDATE inbox SET attempts = 3 WHERE conversation_id = %s AND state = 'pending'", (talk,))
        finally:
            admin.execute("SELECT pg_advisory_unlock(1)")
        await side.runner.run_pending(place.workspace_id, talk)
        await until(lambda: len(lane.accepted) == 2)
        assert lane.texts == ["hello", SORRY["en"]]
        (letter,) = await side.letters.list(place.who)
        assert (letter.source, letter.reason, letter.text, letter.attempts) == (
            "inbox",
            "too_many_attempts",
            "poison",
            3,
        )
        status = admin.execute("SELECT status FROM conversation WHERE id = %s", (talk,)).fetchone()
        assert status == ("quarantined",)
        await side.letters.replay(place.who, letter.id)
        await side.settle()
        await until(lambda: len(lane.accepted) == 3)
        assert lane.texts[-1] == "poison"
        assert admin.execute("SELECT status FROM conversation WHERE id = %s", (talk,)).fetchone() == ("open",)
        assert await side.letters.list(place.who) == []
