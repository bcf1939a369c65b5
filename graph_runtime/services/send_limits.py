"""What this process holds back by itself: rates of channel, recipient and workspace, pauses, and broken channels."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from graph_runtime.contract.channels import ChannelOffer, Rate
from graph_runtime.engine.breaker import Breakers

WORKSPACE_RATE: Final = Rate(messages=500, seconds=1.0, burst=500)
MOST_KEYS: Final = 50_000


class Buckets:
    """Leaky buckets that remember one moment each (generic cell rate algorithm). `clock` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float], *, keys: int = MOST_KEYS) -> None:
        self._clock = clock
        self._keys = keys
        self._next: dict[tuple[str, str], float] = {}

    def take(self, wanted: list[tuple[tuple[str, str], Rate]], share: float = 1.0) -> float:
        """Take one from every bucket, or from none: seconds until it can be taken, 0 when it was.

        `share`: this process's part of each rate.
        """
        now = self._clock()
        steps = [(key, rate, rate.seconds / (rate.messages * share)) for key, rate in wanted]
        waits = [self._next.get(key, now) - (max(rate.burst, 1) - 1) * step - now for key, rate, step in steps]
        if waits and max(waits) > 0:
            return max(waits)
        for key, _, step in steps:
            self._next[key] = max(self._next.get(key, now), now) + step
        if len(self._next) > self._keys:
            self._next = {key: at for key, at in self._next.items() if at > now}
        return 0.0


class SendLimits:
    """Asked before each claim and each request; told how each one ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets = Buckets(clock)
        self._breakers = Breakers(clock)
        self._held_until: dict[str, float] = {}
        self.share = 1.0
        """One over the number of living senders."""

    def leave_alone(self) -> list[str]:
        """Channels that need not be claimed for now."""
        now = self._clock()
        self._held_until = {channel: until for channel, until in self._held_until.items() if until > now}
        return list(self._held_until)

    def hold(self, channel_id: str, seconds: float) -> None:
        """Ask nothing of a channel for so long."""
        if seconds > 0:
            self._held_until[channel_id] = max(self._held_until.get(channel_id, 0.0), self._clock() + seconds)

    def wait(self, offer: ChannelOffer, workspace_id: str, channel_id: str, recipient: str) -> float:
        """Seconds to wait before this request; 0: go, and tell `succeeded`, `failed` or `released` afterwards."""
        held = self._held_until.get(channel_id, 0.0) - self._clock()
        if held > 0:
            return held
        wanted = [(("workspace", workspace_id), WORKSPACE_RATE)]
        if offer.channel_rate is not None:
            wanted.append((("channel", channel_id), offer.channel_rate))
        if offer.recipient_rate is not None:
            wanted.append((("recipient", f"{channel_id} {recipient}"), offer.recipient_rate))
        for name, rate in offer.recipient_limits(recipient) if offer.recipient_limits is not None else ():
            wanted.append((("shared", f"{channel_id} {name}"), rate))
        if not self._breakers.admits(channel_id):
            return self._breakers.seconds_left(channel_id) or 1.0
        wait = self._buckets.take(wanted, self.share)
        if wait > 0:
            self._breakers.released(channel_id)
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
