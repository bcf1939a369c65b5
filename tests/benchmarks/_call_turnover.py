"""The load of `bench calls --only hour`: so many callers who talk, of whom somebody hangs up and somebody calls all the time.

`python -m tests.benchmarks._call_turnover PORT CALLS MINUTES` prints one JSON object for each minute.
"""

from __future__ import annotations

import json
import random
import sys
import time

import numpy as np

from tests.benchmarks._call_load import Caller, Load, _line

SHORTEST_SECONDS, LONGEST_SECONDS = 20.0, 100.0
MEASURED_AFTER_SECONDS = 4.0
"""A call that has just begun is not even yet."""


class Turnover(Load):
    """Calls of different lengths; the chance is the same every time."""

    def __init__(self, port: int, calls: int) -> None:
        super().__init__(None)
        self.begun = self.lost = 0
        self._port, self._wanted = port, calls
        self._chance = random.Random(1)
        self._frames, self._begins, self._ends = _line(talks=True)
        self._times: dict[Caller, tuple[float, float]] = {}
        """(from when on it is measured, when it hangs up)."""

        self._jitter: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []

    def change(self, *, is_ramp: bool = False) -> None:
        """Whose time is over hangs up; somebody else calls."""
        now = self.now()
        for caller, (measured_from, over_at) in list(self._times.items()):
            caller.is_measured = now > measured_from
            if caller.is_lost or now > over_at:
                self.lost += caller.is_lost
                self._hang_up(caller)
        if len(self.callers) < self._wanted:
            start = self._chance.randrange(len(self._frames))
            caller = Caller(self._port, self.now, self._frames, start, self._begins, self._ends)
            seconds = self._chance.uniform(SHORTEST_SECONDS * (not is_ramp), LONGEST_SECONDS)
            self._times[caller] = (now + MEASURED_AFTER_SECONDS, now + seconds)
            self.add(caller)
            self.begun += 1

    def minute(self) -> dict[str, float]:
        """What came since the last time."""
        for caller in self.callers:
            self._keep(caller)
        jitter = np.concatenate(self._jitter) if self._jitter else np.zeros(1)
        self._jitter.clear()
        return {
            "p50_ms": float(np.percentile(jitter, 50)), "p99_ms": float(np.percentile(jitter, 99)),
            "p999_ms": float(np.percentile(jitter, 99.9)), "calls": float(len(self.callers)),
            "begun": float(self.begun), "lost_calls": float(self.lost),
        }  # fmt: skip

    def _hang_up(self, caller: Caller) -> None:
        self._keep(caller)
        del self._times[caller], self._of[caller.sock.fileno()]
        if not caller.is_lost:
            self._epoll.unregister(caller.sock.fileno())
        caller.sock.close()
        self.callers.remove(caller)
        for slot in self._slots:
            if caller in slot:
                slot.remove(caller)

    def _keep(self, caller: Caller) -> None:
        if len(caller.arrivals) > 1:
            self._jitter.append(np.abs(np.diff(np.array(caller.arrivals)) * 1000 - 20))
            del caller.arrivals[:-1]


def main(port: int, calls: int, minutes: int) -> None:
    """Until the time is over."""
    load = Turnover(port, calls)
    for _ in range(calls):
        load.change(is_ramp=True)
        load.run(0.1)
    for _ in range(minutes):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            load.change()
            load.run(0.2)
        print(json.dumps(load.minute()), flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
