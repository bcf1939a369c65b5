"""Messages leave once, in order, whatever the receiver does; what cannot be delivered is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from graph_runtime.contract import signatures
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import Channel, Place, SendingProcess, sending
from tests.engine.small_nodes import flow
from tests.fakes.webhook_receiver import Lane, WebhookReceiver, receiving

Admin = psycopg.Connection[tuple[object, ...]]
PUSH = ("webhook", "fake_reconcile", "fake_blind")


@pytest.fixture(autouse=True)
def _nothing_left_to_send(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@pytest.fixture
def place(postgres: EmbeddedPostgres) -> Place:
    return Place(postgres.admin_url)


async def until(what: Callable[[], Any], seconds: float = 6.0) -> None:
    """Until it is true."""
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110  # it becomes true in another thread or process
            await asyncio.sleep(0.01)


def outbox(admin: Admin, place: Place) -> list[tuple[Any, ...]]:
    """(state, attempt, possibly_duplicate, error_class) in order."""
    return admin.execute(
        "SELECT state, attempt, possibly_duplicate, error_class FROM outbox WHERE workspace_id = %s ORDER BY place",
        (place.workspace_id,),
    ).fetchall()


def all_are(admin: Admin, place: Place, *states: str) -> bool:
    return [row[0] for row in outbox(admin, place)] == [*states]


def flags(admin: Admin, place: Place) -> list[Any]:
    """Of the agent's messages, in order."""
    rows = admin.execute(
        "SELECT flags FROM message WHERE workspace_id = %s AND role = 'agent' ORDER BY conversation_id, seq",
        (place.workspace_id,),
    )
    return [row[0] for row in rows.fetchall()]


def letters(admin: Admin, place: Place) -> list[Any]:
    rows = admin.execute("SELECT reason FROM dead_letter WHERE workspace_id = %s ORDER BY id", (place.workspace_id,))
    return [row[0] for row in rows.fetchall()]


async def talk(side: SendingProcess, place: Place, channel: Channel, text: str, user: str = "u1") -> str:
    """A contact of any kind of channel writes; returns when it is answered. Two messages leave."""
    if channel.row.connector == "webhook":
        return (await channel.post(side, user, text)).conversation_id
    access = channel.access(place, user)
    conversation = await side.conversations.current(access) or await side.begin(access)
    await side.say(access, conversation, text)
    return conversation


QUIET = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "{{ message.text }}"})}, {"s.next": "q", "q.answered": "q"}
)  # fmt: skip
"""Says back what it hears, in one message; "" at the start of a channel that cannot begin with a message."""


async def test_answers_arrive_signed_and_in_order(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        for n in range(5):
            await channel.post(side, "u1", f"hello {n}")
        await until(lambda: all_are(admin, place, *["sent"] * 10))
    assert lane.texts == [f"{part} hello {n}" for n in range(5) for part in (1, 2)]
    assert lane.repeats() == {}
    first = lane.accepted[0]
    assert first.data["user_id"] == "u1"
    signatures.verify([channel.secret], first.headers, first.body, datetime.now(UTC))
    vendor_ids = admin.execute("SELECT DISTINCT vendor_id FROM outbox WHERE workspace_id = %s", (place.workspace_id,))
    assert {str(row[0]) for row in vendor_ids} == {f"r{n}" for n in range(1, 11)}


async def test_a_failing_message_holds_back_only_its_own_recipient(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("server_error", times=3)
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        await channel.post(side, "slow", "first")
        await until(lambda: lane.journal)
        await channel.post(side, "quick", "second")
        await until(lambda: all_are(admin, place, *["sent"] * 4))
    assert [t for t in lane.texts if "first" in t] == ["1 first", "2 first"]
    assert [t for t in lane.texts if "second" in t] == ["1 second", "2 second"]
    assert lane.repeats() == {}
    assert sum(row[1] for row in outbox(admin, place)) == 7
    assert not any(row[2] for row in outbox(admin, place))


async def test_a_pause_is_kept_and_is_the_channels_own(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    limited, free = receiver.lane(), receiver.lane()
    limited.fail("rate_limited", seconds=3)
    async with sending(postgres.app_url) as side, sending(postgres.app_url) as another:
        one = await side.add(place, "webhook", receiver.url(limited))
        two = await side.add(place, "webhook", receiver.url(free))
        await one.post(side, "u1", "paused")
        await until(lambda: limited.journal)
        began = time.monotonic()
        for n in range(10):
            await one.post(another, f"more{n}", "waits")
            await two.post(side, f"u{n}", "goes")
        await until(lambda: len(free.accepted) == 20)
        assert time.monotonic() - began < 3
        await until(lambda: len(limited.accepted) == 22)
    assert limited.journal[1].at - limited.journal[0].at >= 3
    assert len(limited.journal) == 23
    assert outbox(admin, place)[0][:3] == ("sent", 2, False)


async def test_a_slow_receiver_takes_no_place_from_another(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    slow, quick = receiver.lane(), receiver.lane()
    slow.fail("slow", times=500, seconds=4)
    async with sending(postgres.app_url) as side:
        one = await side.add(place, "webhook", receiver.url(slow))
        two = await side.add(place, "webhook", receiver.url(quick))
        for n in range(100):
            await one.post(side, f"u{n}", "x")
        await until(lambda: slow.journal)
        began = time.monotonic()
        await two.post(side, "u1", "now")
        await until(lambda: len(quick.accepted) == 2)
        assert time.monotonic() - began < 3
        assert len(slow.journal) < 100


@pytest.mark.parametrize("connector", PUSH)
async def test_a_reset_after_accepting(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin, connector: str
) -> None:
    lane = receiver.lane()
    lane.fail("none", times=2)
    lane.fail("reset_after_accept")
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, connector, receiver.url(lane))
        await talk(side, place, channel, "a")
        await until(lambda: len(lane.journal) >= 2)
        await talk(side, place, channel, "b")
        count = 4 if connector == "webhook" else 6
        await until(lambda: all_are(admin, place, *["sent"] * count))
        if connector == "webhook":
            assert len(lane.accepted) == 5
            assert [a.data["text"] for a in lane.delivered] == ["1 a", "2 a", "1 b", "2 b"]
            repeated = [a for a in lane.accepted if lane.repeats().get(a.key)]
            assert len({a.body_hash for a in repeated}) == 1
        elif connector == "fake_reconcile":
            # The evidence that it arrived was found, so it was not repeated.
            assert len(lane.accepted) == 6
        else:
            assert len(lane.accepted) == 7
    marked = [row[2] for row in outbox(admin, place)]
    shown = [bool(f.get("possibly_duplicate")) for f in flags(admin, place)]
    assert marked == shown
    assert sum(marked) == (connector == "fake_blind")


@pytest.mark.parametrize("connector", PUSH)
async def test_nothing_arrived_so_nothing_is_marked(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin, connector: str
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, connector, receiver.url(lane))
        with receiver.refusing():
            await talk(side, place, channel, "a")
            await until(lambda: any(row[3] == "unreachable" for row in outbox(admin, place)))
        count = 2 if connector == "webhook" else 4
        await until(lambda: all_are(admin, place, *["sent"] * count), 40)
    assert len(lane.accepted) == count
    assert not any(row[2] for row in outbox(admin, place))


async def test_at_most_once_is_not_repeated_and_shown(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place = Place(postgres.admin_url, QUIET)
    lane = receiver.lane()
    lane.fail("reset_after_accept")
    async with sending(postgres.app_url) as side:
        # What it says at the start is empty, and is not sent.
        channel = await side.add(place, "fake_blind", receiver.url(lane), on_unknown="at_most_once")
        await talk(side, place, channel, "code 1234")
        await talk(side, place, channel, "goes on")
        await until(lambda: all_are(admin, place, "sent", "unknown", "sent"))
        await side.stop_sending()
        assert letters(admin, place) == ["outcome_unknown"]
        assert [f for f in flags(admin, place) if f] == [{"undelivered": "outcome_unknown"}]
        assert lane.texts.count("code 1234") == 1
        (letter,) = await side.letters.list(place.who)
        assert (letter.text, letter.can_replay, letter.attempts) == ("code 1234", True, 1)
        # Somebody decides to send it all the same: that is flagged.
        side.start_sending()
        await side.letters.replay(place.who, letter.id)
        await until(lambda: lane.texts.count("code 1234") == 2)
        await until(lambda: {"possibly_duplicate": True} in flags(admin, place))
        assert await side.letters.list(place.who) == []


async def test_what_expires_becomes_a_dead_letter_and_the_next_goes_on(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("server_error", times=3)
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        await channel.post(side, "u1", "hello")
        admin.execute(
            "UPDATE outbox SET expires_at = clock_timestamp() + interval '0.1 s' WHERE workspace_id = %s AND ordinal = 2",
            (place.workspace_id,),
        )
        await side.sender.once()
        assert len(lane.journal) == 1
        await asyncio.sleep(0.15)
        assert await side.deliveries.look_after() == 1
        await until(lambda: letters(admin, place) == ["expired"])
        side.start_sending()
        await until(lambda: all_are(admin, place, "failed", "sent"))
    assert lane.texts == ["2 hello"]
    assert flags(admin, place) == [{"undelivered": "expired"}, {}]


async def test_a_long_text_leaves_in_parts_each_once(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place = Place(postgres.admin_url, QUIET)
    lane = receiver.lane()
    words = " ".join(f"word{n:02}" for n in range(14))
    async with sending(postgres.app_url) as side:
        channel = await side.add(place, "fake_blind", receiver.url(lane))
        conversation = await side.begin(channel.access(place))
        await until(lambda: outbox(admin, place) == [] or all_are(admin, place, "sent"))
        before = len(lane.journal)
        lane.fail("none")
        lane.fail("server_error")
        await side.say(channel.access(place), conversation, words)
        await until(lambda: outbox(admin, place)[-1][0] == "sent" and len(lane.journal) > before + 1)
    said = lane.texts[-3:]
    assert " ".join(said) == words
    assert all(len(text) <= 40 for text in said)
    assert len(lane.journal) - before == 4
    assert lane.repeats() == {}
    assert [a.key.rpartition("_")[2] for a in lane.accepted[-3:]] == ["0", "1", "2"]


async def test_two_processes_never_send_the_same_message(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place = Place(postgres.admin_url, QUIET)
    lane = receiver.lane()
    async with sending(postgres.app_url, is_started=False) as one, sending(postgres.app_url, is_started=False) as two:
        channel = await one.add(place, "webhook", receiver.url(lane))
        # Every recipient has a line of messages before anybody sends.
        for n in range(6):
            posts = [channel.post(one, f"u{user}", f"u{user} {n}") for user in range(20)]
            await asyncio.gather(*posts)
        one.start_sending()
        two.start_sending()
        await until(lambda: len(lane.accepted) >= 120, 60)
        await until(lambda: all_are(admin, place, *["sent"] * 120), 20)
    assert len(lane.journal) == 120
    assert lane.repeats() == {}
    for user in range(20):
        assert [t for t in lane.texts if t.startswith(f"u{user} ")] == [f"u{user} {n}" for n in range(6)]


async def test_a_status_that_comes_by_itself_settles_what_was_unknown(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place = Place(postgres.admin_url, QUIET)
    lane = receiver.lane()
    lane.fail("reset_after_accept")
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        await channel.post(side, "u1", "hello")
        await side.sender.once()
        assert outbox(admin, place) == [("pending", 1, False, "outcome_unknown")]
        confirm = side.outbox.confirm
        assert not await confirm(place.workspace_id, channel.row.id, "msg_other", "v1")
        assert await confirm(place.workspace_id, channel.row.id, lane.journal[0].key, "v1")
        assert outbox(admin, place)[0][0] == "sent"
        assert await side.sender.once() == 0
    assert len(lane.journal) == 1


async def test_an_address_inside_the_network_is_refused_unless_allowed(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane: Lane = receiver.lane()
    async with sending(postgres.app_url) as side:
        allowed = await side.add(place, "webhook", receiver.url(lane))
        await allowed.post(side, "u1", "in")
        await until(lambda: len(lane.accepted) == 2)
        # The connection of the other channel is still open, and must not be there to use.
        refused = await side.add(place, "webhook", receiver.url(lane), allow_private_host=False)
        await refused.post(side, "u2", "out")
        await until(lambda: letters(admin, place) == ["refused"] * 2)
    assert len(lane.journal) == 2


async def test_a_deleted_channel_leaves_its_messages_as_letters(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(receiver.lane()))
        hooked = await channel.post(side, "u1", "hello")
        assert await side.setup.delete(place.who, channel.row.id) == 2
        assert letters(admin, place) == ["channel_gone"] * 2
        assert [letter.can_replay for letter in await side.letters.list(place.who)] == [False] * 2
        # The conversation is still there to read, and answers into the void without failing.
        detail = await side.conversations.get(place.who, hooked.conversation_id)
        assert [m["flags"] for m in detail.messages[1:]] == [{"undelivered": "channel_gone"}] * 2
