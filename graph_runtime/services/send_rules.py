"""What to do before an attempt and after it failed: the three send classes and the retry clock, as pure functions."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

from graph_runtime.contract.channels import ChannelOffer
from graph_runtime.contract.errors import (
    BuilderError,
    CredentialRejected,
    OutcomeUnknown,
    RateLimited,
    RecipientMoved,
    Refused,
    Unreachable,
)
from graph_runtime.storage.outbox import Claimed, Ended

BACK_OFF: Final = (1.0, 3.0, 10.0, 30.0, 120.0, 600.0)
GAVE_UP: Final = Ended(
    "failed", reason="outcome_unknown",
    error="The message may have arrived. It was not repeated, because it must never arrive twice.",
)  # fmt: skip

Jitter = Callable[[float, float], float]
"""A number between two others; `random.uniform`."""


def back_off(attempt: int, jitter: Jitter = random.uniform) -> float:
    """Seconds until the next attempt, full jitter. `attempt` counts from 1."""
    return jitter(0.0, BACK_OFF[min(max(attempt, 1), len(BACK_OFF)) - 1])


def send_class(offer: ChannelOffer, claimed: Claimed) -> Literal["keyed", "reconcile", "blind"]:
    """The class that holds now: a receiver that has forgotten the key by this time folds nothing."""
    kind = offer.capabilities.send_class
    if kind == "keyed":
        is_remembered = offer.key_seconds is None or _seconds(claimed.first_send_at, claimed.at) < offer.key_seconds
        return "keyed" if is_remembered else "blind"
    return "reconcile" if kind == "reconcile" else "blind"


def before_sending(offer: ChannelOffer, claimed: Claimed) -> Literal["send", "find", "duplicate"] | Ended:
    """How to go on with a message whose earlier attempt may have arrived.

    "send": at once; "find": look for the earlier attempt first; "duplicate": send, and say that it may be a second time.
    """
    if claimed.unknown_since is None:
        return "send"
    kind = send_class(offer, claimed)
    if kind == "keyed":
        return "send"
    if kind == "reconcile":
        left = offer.evidence_seconds - _seconds(claimed.unknown_since, claimed.at)
        return Ended("deferred", again=left) if left > 0 else "find"
    return GAVE_UP if claimed.at_most_once else "duplicate"


def after_error(
    offer: ChannelOffer, claimed: Claimed, error: BuilderError, jitter: Jitter = random.uniform
) -> Ended:  # fmt: skip
    """What a failed attempt means for the message."""
    again = back_off(claimed.attempt, jitter)
    if isinstance(error, RateLimited):
        pause = error.retry_after if error.retry_after is not None else max(again, 1.0)
        return Ended("retry", reason=error.code, error=error.message, again=pause, pause=pause)
    if isinstance(error, RecipientMoved):
        return Ended("retry", reason=error.code, error=error.message, again=0.0 if claimed.attempt < 3 else again)
    if isinstance(error, OutcomeUnknown):
        return _unknown(offer, claimed, error, again)
    if isinstance(error, Refused | CredentialRejected):
        return Ended("failed", reason=error.code, error=error.message)
    reason = error.code if isinstance(error, Unreachable) else "channel_broken"
    return Ended("retry", reason=reason, error=error.message, again=again)


def _unknown(offer: ChannelOffer, claimed: Claimed, error: OutcomeUnknown, again: float) -> Ended:
    kind = send_class(offer, claimed)
    if kind == "blind" and claimed.at_most_once:
        return GAVE_UP
    again = max(again, offer.evidence_seconds) if kind == "reconcile" else again
    return Ended("unknown", reason=error.code, error=error.message, again=again)


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
