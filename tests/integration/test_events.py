"""What happens is told to subscriptions: signed, in order, again until received, and apart from the replies."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.messages import Reply
from graph_runtime.services.event_sending import BACK_OFF, EventRules, back_off
from graph_runtime.services.event_subscriptions import EVENT_TYPES
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import EVENT_RULES, Place, SendingProcess, Subscription, sending
from tests.engine.small_nodes import flow
from tests.fakes.webhook_receiver import Arrived, Lane, WebhookReceiver, receiving
from tests.integration.test_deliveries import QUIET, until

Admin = psycopg.Connection[tuple[object, ...]]
ENDS = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "Day?", "save_to": "day"}), "e": ("end", {"text": "won"})},
    {"s.next": "q", "q.answered": "e"},
)
FAILS = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "Day?"}), "b": ("boom", {})}, {"s.next": "q", "q.answered": "b"}
)  # fmt: skip


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


def is_genuine(arrived: Arrived, secret: str) -> bool:
    """As the specification says: base64 of HMAC-SHA256 over `id.timestamp.body`, keyed by the decoded secret."""
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = f"{arrived.headers['webhook-id']}.{arrived.headers['webhook-timestamp']}.".encode() + arrived.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    entries = [entry.split(",", 1) for entry in arrived.headers["webhook-signature"].split(" ")]
    assert all(version == "v1" for version, _ in entries)
    is_fresh = abs(time.time() - int(arrived.headers["webhook-timestamp"])) < 300
    return is_fresh and any(hmac.compare_digest(expected, given) for _, given in entries)


def events(lane: Lane) -> list[Any]:
    """Bodies of what was taken in."""
    return [json.loads(a.body) for a in lane.accepted]


def types(lane: Lane) -> list[str]:
    return [event["type"] for event in events(lane)]


def log_of(admin: Admin, place: Place) -> list[tuple[Any, ...]]:
    """(type, state, attempt, reason) in order."""
    return admin.execute(
        "SELECT type, state, attempt, reason FROM event_delivery WHERE workspace_id = %s ORDER BY place",
        (place.workspace_id,),
    ).fetchall()


def states(admin: Admin, place: Place) -> list[Any]:
    return [row[1] for row in log_of(admin, place)]


async def talk(side: SendingProcess, place: Place, *texts: str, user: str = "v1") -> str:
    """A contact of the API begins and says this; nothing but events leaves."""
    conversation = await side.conversations.start(
        place.who, agent_id=place.agent_id, external_user_id=user, dedupe_key=f"{user}{time.monotonic_ns()}"
    )
    await side.settle()
    for text in texts:
        await side.conversations.receive(place.who, conversation, Reply(text=text), dedupe_key=f"{text}{user}")
        await side.settle()
    return conversation


async def drain(side: SendingProcess) -> None:
    while await side.event_sender.once():
        pass


async def test_a_whole_conversation_is_told_signed_and_in_order(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place, lane = Place(postgres.admin_url, ENDS), receiver.lane()
    async with sending(postgres.app_url) as side:
        made = await side.subscribe(place, receiver.url(lane))
        conversation = await talk(side, place, "Monday")
        await until(lambda: len(lane.accepted) == 5)
    assert types(lane) == ["conversation.started", "turn.ended", "turn.ended", "flow.finished", "conversation.ended"]
    assert all(is_genuine(a, made.secret) for a in lane.accepted)
    assert not is_genuine(lane.accepted[0], "whsec_" + base64.b64encode(b"x" * 32).decode())
    assert lane.repeats() == {}
    assert all(a.key.startswith("evt_") for a in lane.accepted)
    started, first, second, finished, ended = (event["data"] for event in events(lane))
    assert {event["data"]["conversation_id"] for event in events(lane)} == {conversation}
    assert {event["data"]["agent_id"] for event in events(lane)} == {place.agent_id}
    assert started["contact"] == {"fields": {}, "variables": {}}
    assert first["messages"] == [{"seq": 1, "role": "agent", "text": "Day?"}]
    assert (first["turn"], first["trigger"], first["waits"]) == (1, "start", "reply")
    assert second["messages"] == [{"seq": 2, "role": "contact", "text": "Monday"}]
    assert (finished["result"], finished["turn"]) == ("won", 2)
    assert (ended["ended_by"], ended["result"], ended["turns"]) == ("flow", "won", 2)
    at = datetime.fromisoformat(events(lane)[0]["timestamp"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert states(admin, place) == ["sent"] * 5


async def test_only_what_was_subscribed_about_the_chosen_agents_and_while_on(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    ends, other, off = receiver.lane(), receiver.lane(), receiver.lane()
    elsewhere = Place(postgres.admin_url, QUIET)
    row = admin.execute(
        "INSERT INTO agent (workspace_id, name, public_id) VALUES (%s, 'Other', %s) RETURNING id::text",
        (place.workspace_id, elsewhere.agent_id),
    ).fetchone()
    assert row is not None
    async with sending(postgres.app_url, is_started=False) as side:
        await side.subscribe(place, receiver.url(ends), "conversation.ended", agent_ids=[place.agent_id])
        await side.subscribe(place, receiver.url(other), agent_ids=[str(row[0])])
        switched = await side.subscribe(place, receiver.url(off))
        await side.subscriptions.set_on(place.who, switched.row.id, is_on=False)
        await side.subscribe(elsewhere, receiver.url(receiver.lane("elsewhere")))
        conversation = await talk(side, place, "hello")
        await side.conversations.end(place.who, conversation, result="ended_by_api")
        await drain(side)
    assert types(ends) == ["conversation.ended"]
    assert events(ends)[0]["data"]["ended_by"] == "member"
    assert events(ends)[0]["data"]["result"] == "ended_by_api"
    assert (other.journal, off.journal, receiver.lane("elsewhere").journal) == ([], [], [])


async def test_a_failed_turn_says_where_and_an_undeliverable_message_why(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place, lane, hook = Place(postgres.admin_url, FAILS), receiver.lane(), receiver.lane()
    hook.fail("bad_request")
    async with sending(postgres.app_url) as side:
        await side.subscribe(place, receiver.url(lane), "turn.failed", "turn.ended", "message.undeliverable")
        channel = await side.add(place, "webhook", receiver.url(hook))
        hooked = await channel.post(side, "u1", "hello")
        await until(lambda: len(lane.accepted) == 2)
        await channel.post(side, "u1", "Monday")
        await until(lambda: len(lane.accepted) == 3)
        (letter,) = await side.letters.list(place.who)
    first, undeliverable, failed = (event for event in events(lane))
    assert (first["type"], undeliverable["type"]) == ("turn.ended", "message.undeliverable")
    assert undeliverable["data"]["letter_id"] == letter.id
    assert (undeliverable["data"]["reason"], undeliverable["data"]["seq"]) == ("refused", 2)
    assert undeliverable["data"]["conversation_id"] == hooked.conversation_id
    assert failed["type"] == "turn.failed"
    assert (failed["data"]["error"], failed["data"]["node_id"], failed["data"]["turn"]) == ("node_failed", "b", 2)
    assert failed["data"]["detail"]


async def test_conversations_with_the_tester_are_told_to_nobody(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    async with sending(postgres.app_url, is_started=False) as side:
        await side.subscribe(place, receiver.url(receiver.lane()))
        conversation = await talk(side, place)
        before = len(log_of(admin, place))
        admin.execute("UPDATE conversation SET is_test = true WHERE id = %s", (conversation,))
        await side.conversations.receive(place.who, conversation, Reply(text="hi"), dedupe_key="t")
        await side.settle()
        await side.conversations.end(place.who, conversation, result="ended_by_api")
    assert before == 2
    assert len(log_of(admin, place)) == before


@pytest.mark.parametrize(
    "case",
    [
        ("server_error", 500, "server_error"),
        ("bad_request", 400, "rejected"),
        ("unauthorized", 401, "rejected"),
        ("redirect", 307, "redirect"),
        ("reset_before_accept", None, "outcome_unknown"),
        ("reset_after_accept", None, "outcome_unknown"),
        ("hang", None, "outcome_unknown"),
    ],
    ids=lambda case: case[0],
)
async def test_whatever_is_not_taken_in_comes_again_under_its_id(
    postgres: EmbeddedPostgres,
    receiver: WebhookReceiver,
    place: Place,
    admin: Admin,
    case: tuple[Any, int | None, str],
) -> None:
    lane, (fault, status, reason) = receiver.lane(), case
    lane.fail(fault, times=2)
    rules = EventRules(jitter=EVENT_RULES.jitter, answer_seconds=0.5 if fault == "hang" else 20.0)
    async with sending(postgres.app_url, is_started=False, event_rules=rules) as side:
        made = await side.subscribe(place, receiver.url(lane), "conversation.started")
        await talk(side, place)
        assert await side.event_sender.once() == 1
        (row,) = await side.event_log.list(place.who, made.row.id)
        assert (row.state, row.attempts, row.status, row.reason) == ("pending", 1, status, reason)
        assert row.next_attempt_at is not None
        assert row.error
        assert row.ms is not None
        assert row.ms >= 500 or fault != "hang"
        side.start_sending()
        await until(lambda: states(admin, place) == ["sent"])
        (row,) = await side.event_log.list(place.who, made.row.id)
    assert (row.attempts, row.status, json.loads(row.answer)) == (3, 200, {"id": "r3"})
    assert len({(a.key, a.body) for a in lane.journal}) == 1
    assert all(is_genuine(a, made.secret) for a in lane.journal)
    assert "followed" not in receiver.lanes


async def test_nobody_listens_for_a_while(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url) as side:
        await side.subscribe(place, receiver.url(lane), "turn.ended")
        with receiver.refusing():
            await talk(side, place, "a", "b")
            await until(lambda: ("turn.ended", "pending", 1, "unreachable") in log_of(admin, place))
        await until(lambda: states(admin, place) == ["sent"] * 3)
    assert [event["data"]["turn"] for event in events(lane)] == [1, 2, 3]


async def test_a_pause_that_is_asked_for_is_kept_for_all_its_events_and_no_others(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    limited, free = receiver.lane(), receiver.lane()
    limited.fail("rate_limited", seconds=2)
    async with sending(postgres.app_url) as side, sending(postgres.app_url):
        await side.subscribe(place, receiver.url(limited), "conversation.started")
        await side.subscribe(place, receiver.url(free), "conversation.started")
        await talk(side, place, user="a")
        await until(lambda: limited.journal)
        await talk(side, place, user="b")
        await until(lambda: len(free.accepted) == 2)
        assert len(limited.journal) == 1
        await until(lambda: len(limited.accepted) == 2)
    first, second = limited.journal[:2]
    assert second.at - first.at >= 1.9


async def test_a_failing_event_holds_back_its_conversation_only_and_not_for_ever(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url, is_started=False) as side:
        await side.subscribe(place, receiver.url(lane), "turn.ended")
        slow = await talk(side, place, "one", user="slow")
        lane.fail("bad_request")
        assert await side.event_sender.once() == 1
        admin.execute("UPDATE event_delivery SET next_attempt_at = 'infinity' WHERE attempt = 1")  # not while we look
        quick = await talk(side, place, user="quick")
        await drain(side)
        assert [event["data"]["conversation_id"] for event in events(lane)] == [quick]
        # After five failures what follows goes on without it.
        admin.execute(
            "UPDATE event_delivery SET attempt = 4, next_attempt_at = now() WHERE conversation_id = %s AND attempt = 1",
            (slow,),
        )
        lane.fail("bad_request")
        assert await side.event_sender.once() == 1
        admin.execute("UPDATE event_delivery SET next_attempt_at = 'infinity' WHERE attempt = 5")
        await drain(side)
        assert [e["data"]["turn"] for e in events(lane) if e["data"]["conversation_id"] == slow] == [2]


async def test_two_processes_never_send_the_same_event_and_keep_the_order(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url, is_started=False) as one, sending(postgres.app_url, is_started=False) as two:
        await one.subscribe(place, receiver.url(lane), "turn.ended")
        for user in range(10):
            await talk(one, place, *"abcde", user=f"u{user}")
        one.start_sending()
        two.start_sending()
        await until(lambda: states(admin, place) == ["sent"] * 60, 30)
    # A machine that is busy may have waited for an answer in vain; what it then sent again is counted as an attempt.
    assert len(lane.journal) == admin.execute("SELECT sum(attempt) FROM event_delivery").fetchone()[0]  # type: ignore[index]
    assert len({arrived.key for arrived in lane.journal}) == 60
    by_conversation: dict[str, list[int]] = {}
    for event in events(lane):
        turns = by_conversation.setdefault(event["data"]["conversation_id"], [])
        if not turns or turns[-1] != event["data"]["turn"]:
            turns.append(event["data"]["turn"])
    assert [*by_conversation.values()] == [[1, 2, 3, 4, 5, 6]] * 10


async def test_an_address_inside_the_network_is_not_called_unless_allowed(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url, is_started=False) as side:
        made = await side.subscribe(place, receiver.url(lane), "turn.failed")
        admin.execute("UPDATE event_subscription SET allow_private_host = false, revision = revision + 1")
        await side.event_log.send_test(place.who, made.row.id)
        await side.event_sender.once()
        (row,) = await side.event_log.list(place.who, made.row.id)
    assert (row.state, row.reason, row.status) == ("pending", "refused", None)
    assert lane.journal == []


async def test_a_broken_endpoint_is_left_in_peace(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    lane.fail("server_error", times=1000)
    async with sending(postgres.app_url, is_started=False) as side:
        await side.subscribe(place, receiver.url(lane), "conversation.started")
        for n in range(20):
            await talk(side, place, user=f"u{n}")
        await side.event_sender.once()
        tried = len(lane.journal)
        assert 5 <= tried <= 8
        admin.execute("UPDATE event_delivery SET next_attempt_at = now()")
        assert await side.event_sender.once() == 0
    assert len(lane.journal) == tried


async def test_a_slow_subscription_delays_no_reply_and_no_other_subscription(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    stuck, quick, hook = receiver.lane(), receiver.lane(), receiver.lane()
    stuck.fail("hang", times=1000)
    rules = EventRules(jitter=EVENT_RULES.jitter, answer_seconds=15)
    async with sending(postgres.app_url, event_rules=rules) as side:
        await side.subscribe(place, receiver.url(stuck), "conversation.started")
        await side.subscribe(place, receiver.url(quick), "conversation.started")
        channel = await side.add(place, "webhook", receiver.url(hook))
        for n in range(40):
            await channel.post(side, f"u{n}", f"hello {n}")
        began = time.monotonic()
        await until(lambda: len(hook.accepted) == 40 and len(quick.accepted) == 40, 10)
        assert time.monotonic() - began < 5
        assert 8 <= len(stuck.journal) <= 16
        await side.stop_sending()


async def test_what_a_dead_process_left_is_sent_under_the_same_id(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url, is_started=False) as side:
        made: Subscription = await side.subscribe(place, receiver.url(lane), "conversation.started")
        await talk(side, place)
        admin.execute(
            "UPDATE event_delivery SET state = 'sending', owner = 1, send_started_at = now(), claim_epoch = 1, attempt = 1"
        )
        assert await side.event_sender.once() == 0
        assert await side.events.look_after() == 1
        assert await side.event_sender.once() == 1
        (row,) = await side.event_log.list(place.who, made.row.id)
    assert (row.state, row.attempts) == ("sent", 2)


async def test_a_conversation_that_is_erased_takes_its_events_along(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    async with sending(postgres.app_url, is_started=False) as side:
        await side.subscribe(place, receiver.url(receiver.lane()))
        gone, stays = await talk(side, place, user="a"), await talk(side, place, user="b")
        admin.execute("DELETE FROM conversation WHERE id = %s", (gone,))
    left = admin.execute("SELECT DISTINCT conversation_id::text FROM event_delivery").fetchall()
    assert left == [(stays,)]


async def test_a_deleted_subscription_sends_nothing_more(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    lane = receiver.lane()
    async with sending(postgres.app_url, is_started=False) as side:
        made = await side.subscribe(place, receiver.url(lane))
        await talk(side, place)
        await side.subscriptions.delete(place.who, made.row.id)
        assert log_of(admin, place) == []
        await talk(side, place, user="b")
        assert await side.event_sender.once() == 0
    assert lane.journal == []


def test_the_retry_clock_grows_and_reaches_its_end() -> None:
    longest = [back_off(n, lambda _, high: high) for n in range(1, 12)]
    assert longest == [*BACK_OFF, BACK_OFF[-1], BACK_OFF[-1]]
    assert back_off(1, lambda low, _: low) == BACK_OFF[0] / 2
    assert sum(longest) < 72 * 3600
    assert len(EVENT_TYPES) == len(set(EVENT_TYPES))


async def test_nothing_is_lost_while_turns_run_on(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, place: Place, admin: Admin
) -> None:
    """Every committed turn has its event, whatever ran beside it."""
    lane = receiver.lane()
    lane.fail("server_error", times=3)
    async with sending(postgres.app_url) as side:
        await side.subscribe(place, receiver.url(lane), "turn.ended")
        await asyncio.gather(*(talk(side, place, "a", "b", user=f"u{n}") for n in range(20)))
        await until(lambda: states(admin, place) == ["sent"] * 60, 40)
    told = {(event["data"]["conversation_id"], event["data"]["turn"]) for event in events(lane)}
    turns = admin.execute("SELECT conversation_id::text, seq FROM turn WHERE workspace_id = %s", (place.workspace_id,))
    assert told == {*turns.fetchall()}
