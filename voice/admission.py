"""Whether this process lets one more call in: pure decisions from readings of its own load, and the loop that reads."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

import structlog

log = structlog.get_logger(__name__)

Verdict = Literal["", "calls", "processor", "lag"]
""" "" lets calls in; anything else is what there is too much of."""

WINDOW_SECONDS: Final = 5.0
JUDGED_AFTER_SECONDS: Final = 2.0
"""Of readings: loading what calls need takes a second of full work, and says nothing about them."""

EASED_PROCESSOR: Final = 0.85
EASED_LAG: Final = 0.5
"""Of its limit: what was too much must fall below this share before it is enough again."""

LATE_SHARE: Final = 0.1
LOOK_SECONDS: Final = 0.1
TOLD_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """`processor`: share of a core that the thread of the calls may take, 0 to 1. `lag`: seconds that a tenth of all moments
    may be late by."""

    calls: int = 200
    processor: float = 0.85
    lag: float = 0.04


@dataclass(frozen=True, slots=True)
class Reading:
    """`at`: monotonic seconds; `processor`: seconds the thread has worked since it began; `lag`: seconds this reading came
    late."""

    at: float
    processor: float
    lag: float


class Admission:
    """Judges the readings of the last five seconds. What was too much has to ease clearly before calls are let in again, so
    that the answer does not change with every call; a place that becomes free is free at once."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._readings: deque[Reading] = deque()
        self._is_busy = False
        self._is_late = False

    @property
    def most_calls(self) -> int:
        """At a time."""
        return self._limits.calls

    def note(self, reading: Reading) -> None:
        """Take a reading; each is later than the one before."""
        self._readings.append(reading)
        while reading.at - self._readings[0].at > WINDOW_SECONDS:
            self._readings.popleft()
        if reading.at - self._readings[0].at >= JUDGED_AFTER_SECONDS:
            limits = self._limits
            self._is_busy = self.processor >= limits.processor * (EASED_PROCESSOR if self._is_busy else 1.0)
            self._is_late = self.lag >= limits.lag * (EASED_LAG if self._is_late else 1.0)

    def verdict(self, calls: int) -> Verdict:
        """For one more call when `calls` are held."""
        if calls >= self._limits.calls:
            return "calls"
        if self._is_busy:
            return "processor"
        return "lag" if self._is_late else ""

    @property
    def processor(self) -> float:
        """Share of a core within the window."""
        if len(self._readings) < 2:
            return 0.0
        first, last = self._readings[0], self._readings[-1]
        return (last.processor - first.processor) / max(last.at - first.at, LOOK_SECONDS)

    @property
    def lag(self) -> float:
        """Seconds that a tenth of the readings was late by, or more; a single standstill does not count."""
        late = sorted((r.lag for r in self._readings), reverse=True)
        return late[int(len(late) * LATE_SHARE)] if late else 0.0


class Watch:
    """Reads the load of the event loop it runs on ten times a second and tells every change of the verdict.

    `calls`: how many are held now. `tell` may take its time or fail: it is told what holds then, and again.
    """

    def __init__(
        self,
        admission: Admission,
        calls: Callable[[], int],
        tell: Callable[[Verdict], Awaitable[None]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.thread_time,
    ) -> None:
        self._admission = admission
        self._calls = calls
        self._tell = tell
        self._monotonic = monotonic
        self._processor = processor
        self._told: Verdict | None = None
        self._telling: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read until `close`."""
        self._reading = asyncio.create_task(self._read(), name="load")

    async def close(self) -> None:
        """Read no more, and wait until what is being told is told."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.told()

    async def told(self) -> None:
        """Wait until what is being told is told, not for long."""
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=TOLD_SECONDS)

    async def _read(self) -> None:
        while True:
            due = self._monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self.look(due)

    def look(self, due: float) -> None:
        """One reading, which should have come at `due`."""
        now = self._monotonic()
        self._admission.note(Reading(now, self._processor(), max(0.0, now - due)))
        verdict = self._admission.verdict(self._calls())
        if verdict != self._told and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._say(verdict), name="verdict")

    async def _say(self, verdict: Verdict) -> None:
        figures = {"calls": self._calls(), "processor": round(self._admission.processor, 2),
                   "lag_ms": round(self._admission.lag * 1000)}  # fmt: skip
        try:
            await self._tell(verdict)
        except Exception as error:  # noqa: BLE001 (whatever it is, the next reading tells it again)
            log.warning("verdict_not_told", reason=type(error).__name__)
            return
        if verdict:
            log.warning("new_calls_to_the_desk", reason=verdict, **figures)
        elif self._told:
            log.info("new_calls_are_taken", **figures)
        self._told = verdict
