"""The rules of sending without a database: back-off, send classes, rates, breakers."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from graph_runtime.contract.capabilities import Capabilities
from graph_runtime.contract.channels import ChannelOffer, Rate
from graph_runtime.contract.errors import (
    BuilderError,
    CredentialRejected,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from graph_runtime.services.send_limits import Buckets, SendLimits
from graph_runtime.services.send_rules import BACK_OFF, GAVE_UP, after_error, back_off, before_sending
from graph_runtime.storage.outbox import Claimed, Ended

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def _send(*_: Any) -> str:
    return ""


def offer(send_class: Any, **more: Any) -> ChannelOffer:
    return ChannelOffer(capabilities=Capabilities(100, 0, 0, False, False, False, send_class), send=_send, **more)


def claimed(*, unknown_s: float | None = None, first_s: float = 0.0, attempt: int = 1, once: bool = False) -> Claimed:
    """A claimed message; `unknown_s`, `first_s`: how long ago in seconds."""
    unknown = None if unknown_s is None else NOW - timedelta(seconds=unknown_s)
    return Claimed(
        uuid4(), uuid4(), uuid4(), uuid4(), "x", 1, "u", 1, [], "msg_1", attempt, 1, NOW,
        NOW - timedelta(seconds=first_s), unknown, False, 0, once,
    )  # fmt: skip


def test_the_retry_clock_is_jittered_fully_and_ends_at_ten_minutes() -> None:
    tops = [back_off(n, lambda low, high: high) for n in range(1, 9)]
    assert tops == [1, 3, 10, 30, 120, 600, 600, 600] == [*BACK_OFF, 600, 600]
    assert back_off(3, lambda low, high: low) == 0.0
    assert all(0 <= back_off(2) <= 3 for _ in range(100))


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (offer("keyed"), claimed(), "send"),
        (offer("blind"), claimed(), "send"),
        (offer("keyed"), claimed(unknown_s=1), "send"),
        (offer("keyed", key_seconds=3600), claimed(unknown_s=1, first_s=3599), "send"),
        (offer("keyed", key_seconds=3600), claimed(unknown_s=1, first_s=3601), "duplicate"),
        (offer("keyed", key_seconds=3600), claimed(unknown_s=1, first_s=3601, once=True), GAVE_UP),
        (offer("reconcile"), claimed(unknown_s=5), Ended("deferred", again=15.0)),
        (offer("reconcile"), claimed(unknown_s=20), "find"),
        (offer("blind"), claimed(unknown_s=1), "duplicate"),
        (offer("blind"), claimed(unknown_s=1, once=True), GAVE_UP),
    ],
)
def test_before_a_message_whose_first_attempt_may_have_arrived(
    kind: ChannelOffer, message: Claimed, expected: object
) -> None:  # fmt: skip
    assert before_sending(kind, message) == expected


@pytest.mark.parametrize(
    ("kind", "error", "outcome", "again", "pause"),
    [
        ("blind", Unreachable("x"), "retry", 1.0, 0),
        ("blind", RateLimited("x", retry_after=35), "retry", 35, 35),
        ("blind", RateLimited("x"), "retry", 1.0, 1.0),
        ("keyed", OutcomeUnknown("x"), "unknown", 1.0, 0),
        ("reconcile", OutcomeUnknown("x"), "unknown", 20.0, 0),
        ("blind", OutcomeUnknown("x"), "unknown", 1.0, 0),
        ("keyed", Refused("x"), "failed", 0, 0),
        ("keyed", CredentialRejected("x"), "failed", 0, 0),
    ],
)
def test_after_an_error(kind: str, error: BuilderError, outcome: str, again: float, pause: float) -> None:
    ended = after_error(offer(kind), claimed(), error, lambda low, high: high)
    assert (ended.outcome, ended.again, ended.pause, ended.reason) == (outcome, again, pause, error.code)


def test_at_most_once_is_given_up_only_where_nothing_folds_repeats() -> None:
    message = claimed(once=True)
    assert after_error(offer("blind"), message, OutcomeUnknown("x")) == GAVE_UP
    assert after_error(offer("keyed"), message, OutcomeUnknown("x")).outcome == "unknown"
    assert after_error(offer("blind"), message, Unreachable("x")).outcome == "retry"


class Time:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    time = Time()
    buckets = Buckets(time)
    wanted = [(("channel", "a"), Rate(messages=10, seconds=1, burst=3))]
    assert [round(buckets.take(wanted), 3) for _ in range(4)] == [0, 0, 0, 0.1]
    sent = 0
    for _ in range(1000):
        time.at += 0.01
        sent += buckets.take(wanted) == 0
    assert 88 <= sent <= 95, "ten a second, and a little less for the way"
    assert buckets.take([(("channel", "b"), Rate(1))]) == 0


def test_one_full_bucket_takes_nothing_from_the_others() -> None:
    time = Time()
    buckets = Buckets(time)
    channel, person = (("channel", "a"), Rate(2, burst=2)), (("recipient", "p"), Rate(1))
    assert buckets.take([channel, person]) == 0
    assert buckets.take([channel, person]) == pytest.approx(1.1)
    assert buckets.take([channel]) == 0


@pytest.mark.parametrize("senders", [1, 3, 7])
@pytest.mark.parametrize("rate", [Rate(30, 1, burst=30), Rate(80, 1, burst=20), Rate(20, 60, burst=5), Rate(10)])
def test_no_stretch_of_time_holds_more_than_the_limit(rate: Rate, senders: int) -> None:
    time = Time()
    wanted = [(("channel", "a"), rate)]
    all_of_them = [Buckets(time) for _ in range(senders)]
    sent: list[float] = []
    for _ in range(3000):
        time.at += rate.seconds / 500
        for one in all_of_them:
            while one.take(wanted, 1 / senders) == 0:
                sent.append(time.at)
    most = max(n + 1 - bisect_right(sent, at - rate.seconds) for n, at in enumerate(sent))
    assert most <= rate.messages
    assert len(sent) >= 0.7 * 6 * rate.messages, "and the limit is nearly used"


def test_a_broadcast_leaves_room_for_answers_and_holds_only_itself() -> None:
    time = Time()
    limits = SendLimits(time)
    kind = offer("blind", channel_rate=Rate(10, 1, burst=4))
    assert limits.wait(kind, "w", "c", "u0", "bulk") == 0
    assert limits.wait(kind, "w", "c", "u1", "bulk") > 0
    assert (limits.leave_alone("bulk"), limits.leave_alone("chat")) == (["c"], [])
    assert [limits.wait(kind, "w", "c", f"u{n}") for n in (2, 3)] == [0, 0]


def test_rates_are_shared_among_senders() -> None:
    time = Time()
    buckets = Buckets(time)
    wanted = [(("channel", "a"), Rate(10))]
    buckets.take(wanted, 0.5)
    assert buckets.take(wanted, 0.5) == pytest.approx(0.2)


def test_a_broken_channel_is_left_alone_and_tried_by_one() -> None:
    time = Time()
    limits = SendLimits(time)
    kind = offer("keyed")
    for _ in range(5):
        assert limits.wait(kind, "w", "c", "u") == 0
        limits.failed("c")
    assert limits.leave_alone() == ["c"]
    assert limits.wait(kind, "w", "c", "u") == 30
    assert limits.wait(kind, "w", "other", "u") == 0
    time.at += 30.1
    assert limits.leave_alone() == []
    assert limits.wait(kind, "w", "c", "u") == 0
    assert limits.wait(kind, "w", "c", "u2") == 1.0, "one probe decides"
    limits.succeeded("c")
    assert limits.wait(kind, "w", "c", "u2") == 0
