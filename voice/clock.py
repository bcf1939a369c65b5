"""The clock of a process that holds calls: 20 ms in ten slots, and heavier work in between, one piece at a time.

Asterisk does not pace what it is sent, so whatever this clock does is what the caller hears.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

PERIOD = 0.020
SLOTS = 10
LATE_SECONDS = 0.100
"""Later than this, the frames that are owed are given up: sent in a row they would only be thrown away by the phone."""

EARLY_SECONDS = 0.001
"""Timers of the event loop have steps of 1 ms; a frame may go out this much before its moment."""

NEVER = -1e9


class Ticking(Protocol):
    """Something that does its part of 20 ms."""

    def tick(self) -> None:
        """Once per 20 ms; must not raise and must not wait."""
        ...


@dataclass(slots=True)
class Slot:
    """Calls that are served together, and when."""

    due: float = 0.0
    last: float = NEVER
    before_last: float = NEVER
    members: list[Ticking] = field(default_factory=list)


@dataclass(slots=True)
class Beat:
    """Work that comes back every `period` seconds; it is skipped, not repeated, when the clock is late."""

    period: float
    due: float
    work: Callable[[], None]


class Clock:
    """Ticks every member once per 20 ms on an absolute schedule.

    At most two frames fall into any 20 ms. `late` counts ticks more than 5 ms after their moment, `lost` the ticks given
    up after a standstill. `monotonic` is in seconds; tests bring their own and call `run_due`.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._slots = [Slot() for _ in range(SLOTS)]
        self._beats: list[Beat] = []
        self._work: deque[Callable[[], None]] = deque()
        self._handle: asyncio.Handle | None = None
        self._wakes_at = NEVER
        self._is_running = False
        self._origin = monotonic()
        self.late = 0
        self.lost = 0

    def start(self) -> None:
        """Tick by the running event loop until `stop`."""
        self._is_running = True
        self._schedule()

    def stop(self) -> None:
        """Tick no more."""
        self._is_running = False
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def join(self, member: Ticking) -> None:
        """Serve `member` in the slot that has the fewest."""
        index = min(range(SLOTS), key=lambda i: len(self._slots[i].members))
        slot = self._slots[index]
        if not slot.members:
            slot.due = self._next_moment(PERIOD, index * PERIOD / SLOTS)
        slot.members.append(member)
        self._schedule()

    def leave(self, member: Ticking) -> None:
        """Serve it no more; nothing happens when it is not a member."""
        for slot in self._slots:
            if member in slot.members:
                slot.members = [m for m in slot.members if m is not member]  # a tick may be going through the old list
                return

    def every(self, period: float, offset: float, work: Callable[[], None]) -> Beat:
        """Do `work` each `period` seconds, `offset` after the clock's own beginning, when no frame is due."""
        beat = Beat(period, self._next_moment(period, offset), work)
        self._beats.append(beat)
        self._schedule()
        return beat

    def cancel(self, beat: Beat) -> None:
        """Do that work no more."""
        if beat in self._beats:
            self._beats.remove(beat)

    def soon(self, work: Callable[[], None]) -> None:
        """Do `work` once, after the frames that are due."""
        self._work.append(work)

    def run_due(self) -> float | None:
        """Do what is due: all frames, then one piece of other work. When to come back (monotonic), or None for never."""
        now = self._monotonic()
        for slot in self._slots:
            if slot.members and slot.due - EARLY_SECONDS <= now:
                self._run_slot(slot)
        for beat in self._beats:
            if beat.due - EARLY_SECONDS <= now:
                beat.due += max(1, int((now - beat.due) / beat.period) + 1) * beat.period
                self._work.append(beat.work)
        if self._work:
            self._work.popleft()()
        return self._next_due()

    def _run_slot(self, slot: Slot) -> None:
        now = self._monotonic()
        if now - slot.due > LATE_SECONDS:
            lost = int((now - slot.due) / PERIOD)
            slot.due += lost * PERIOD
            self.lost += lost * len(slot.members)
        while slot.due - EARLY_SECONDS <= now and now - slot.before_last >= PERIOD - EARLY_SECONDS:
            if now - slot.due > 0.005:
                self.late += len(slot.members)
            slot.due += PERIOD
            slot.before_last, slot.last = slot.last, now
            for member in slot.members:
                member.tick()

    def _next_due(self) -> float | None:
        if self._work:
            return self._monotonic()
        first = None
        for slot in self._slots:
            if slot.members:
                at = max(slot.due, slot.before_last + PERIOD)
                if first is None or at < first:
                    first = at
        for beat in self._beats:
            if first is None or beat.due < first:
                first = beat.due
        return first

    def _next_moment(self, period: float, offset: float) -> float:
        now = self._monotonic()
        first = self._origin + offset
        return first + max(0, int((now - first) / period) + 1) * period

    def _schedule(self) -> None:
        """Make sure that the loop wakes us in time."""
        if self._is_running:
            self._wake_at(self._next_due())

    def _wake_at(self, at: float | None) -> None:
        if at is None or (self._handle is not None and self._wakes_at <= at):
            return
        if self._handle is not None:
            self._handle.cancel()
        loop = asyncio.get_running_loop()
        self._wakes_at = at
        delay = at - self._monotonic()
        self._handle = loop.call_later(delay, self._wake) if delay > 0 else loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._handle = None
        at = self.run_due()
        if self._is_running:
            self._wake_at(at)
