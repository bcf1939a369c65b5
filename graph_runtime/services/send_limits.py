"""What this process holds back by itself: rates of channel, recipient and workspace, pauses, and broken channels."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from graph_runtime.contract.channels import ChannelOffer, Rate
from graph_runtime.engine.breaker import Breakers

WORKSPACE_RATE: Final = Rate(messages=500, seconds=1.0, burst=500)
MOST_KEYS: Final = 50_000
SLACK_SECONDS: Final = 0.1
"""A vendor counts by its own clock, and one request takes longer on its way than another."""
BULK_PART: Final = 0.9
"""Of a channel's rate; whoever is answered while a broadcast goes out finds room."""

Wanted = Sequence[tuple[tuple[str, str], Rate]]


class Buckets:
    """What was sent under each key. `clock` in seconds, monotonic.

    A leaky bucket that remembers one moment spaces messages out (generic cell rate algorithm). A rate whose burst is no
    larger than its messages is a vendor's limit: then no stretch of `seconds`, wherever it begins, holds more than
    `messages`, which a bucket alone does not promise.
    """

    def __init__(self, clock: Callable[[], float], *, keys: int = MOST_KEYS) -> None:
        self._clock = clock
        self._keys = keys
        self._next: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[str, str], deque[float]] = {}

    def take(self, wanted: Wanted, share: float = 1.0) -> float:
        """Take one from every bucket, or from none: seconds until it can be taken, 0 when it was.

        `share`: this process's part of each rate.
        """
        longest = max(self.waits(wanted, share), default=0.0)
        if longest > 0:
            return longest
        now = self._clock()
        for key, rate in wanted:
            self._next[key] = max(self._next.get(key, now), now) + rate.seconds / (rate.messages * share)
            if _is_strict(rate):
                self._last.setdefault(key, deque(maxlen=int(rate.messages))).append(now)
        if len(self._next) > self._keys:
            self._next = {key: at for key, at in self._next.items() if at > now}
            self._last = {key: last for key, last in self._last.items() if key in self._next}
        return 0.0

    def waits(self, wanted: Wanted, share: float = 1.0) -> list[float]:
        """Seconds until one can be taken from each bucket; 0 and less: at once."""
        now = self._clock()
        return [self._wait(key, rate, share, now) for key, rate in wanted]

    def _wait(self, key: tuple[str, str], rate: Rate, share: float, now: float) -> float:
        step = rate.seconds / (rate.messages * share)
        wait = self._next.get(key, now) - (max(rate.burst, 1) - 1) * step - now
        last = self._last.get(key)
        most = max(1, int(rate.messages * share))
        if last is not None and len(last) >= most:
            wait = max(wait, last[-most] + max(rate.seconds, most * step) + SLACK_SECONDS - now)
        return wait


def _is_strict(rate: Rate) -> bool:
    return 1 <= rate.burst <= rate.messages


class SendLimits:
    """Asked before each claim and each request; told how each one ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets = Buckets(clock)
        self._breakers = Breakers(clock)
        self._held_until: dict[tuple[str, str], float] = {}
        self.share = 1.0
        """One over the number of living senders."""

    def leave_alone(self, queue: str = "chat") -> list[str]:
        """Channels that need not be claimed for now."""
        now = self._clock()
        self._held_until = {held: until for held, until in self._held_until.items() if until > now}
        return [channel for of, channel in self._held_until if of in ("", queue)]

    def hold(self, channel_id: str, seconds: float, queue: str = "") -> None:
        """Ask nothing of a channel for so long; `queue` "": for any queue."""
        if seconds > 0:
            held = queue, channel_id
            self._held_until[held] = max(self._held_until.get(held, 0.0), self._clock() + seconds)

    def wait(
        self, offer: ChannelOffer, workspace_id: str, channel_id: str, recipient: str, queue: str = "chat",
        *, patience: float = 0.0,
    ) -> float:  # fmt: skip
        """Seconds to wait before this request; 0: go, and tell `succeeded`, `failed` or `released` afterwards.

        `patience`: for so long the message stays where it is; what the channel keeps waiting longer need not be claimed.
        """
        held = self._held_until.get(("", channel_id), 0.0) - self._clock()
        if held > 0:
            return held
        wanted = [(("workspace", workspace_id), WORKSPACE_RATE)]
        if (rate := offer.channel_rate) is not None:
            wanted.append((("channel", channel_id), rate))
            if queue == "bulk":
                wanted.append((("bulk", channel_id), replace(rate, messages=rate.messages * BULK_PART, burst=1)))
        of_channel = len(wanted)
        if offer.recipient_rate is not None:
            wanted.append((("recipient", f"{channel_id} {recipient}"), offer.recipient_rate))
        for name, rate in offer.recipient_limits(recipient) if offer.recipient_limits is not None else ():
            wanted.append((("shared", f"{channel_id} {name}"), rate))
        if not self._breakers.admits(channel_id):
            return self._breakers.seconds_left(channel_id) or 1.0
        wait = self._buckets.take(wanted, self.share)
        if wait > 0:
            self._breakers.released(channel_id)
            if (of_all := max(self._buckets.waits(wanted[:of_channel], self.share))) > patience:
                self.hold(channel_id, of_all, queue)
        return wait

    def succeeded(self, channel_id: str) -> None:
        """The receiver works."""
        self._breakers.succeeded(channel_id)

    def failed(self, channel_id: str) -> None:
        """The receiver did not answer properly; after several in a row it is left in peace for half a minute."""
        self._breakers.failed(channel_id)
        self.hold(channel_id, self._breakers.seconds_left(channel_id))

    def released(self, channel_id: str) -> None:
        """The attempt said nothing about the receiver's health."""
        self._breakers.released(channel_id)
