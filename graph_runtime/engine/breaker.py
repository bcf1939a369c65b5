"""A circuit breaker per model account: after several failures in a row it is left in peace for a while."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from graph_runtime.telemetry.metrics import BREAKER


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    open_until: float | None = None
    probing: bool = False


class Breakers:
    """Closed → (n failures in a row) open → (pause) half-open, where one call tries and decides.

    `clock` in seconds, monotonic. Lives in the process: every process finds out for itself.
    """

    def __init__(self, clock: Callable[[], float], *, failures: int = 5, seconds: float = 30.0) -> None:
        self._clock = clock
        self._limit = failures
        self._seconds = seconds
        self._circuits: dict[Hashable, _Circuit] = {}

    def admits(self, key: Hashable) -> bool:
        """Whether a call may be made now. After True, tell `succeeded`, `failed` or `released`."""
        circuit = self._circuits.get(key)
        if circuit is None or circuit.open_until is None:
            return True
        if circuit.probing or self._clock() < circuit.open_until:
            return False
        circuit.probing = True
        self._show(key)
        return True

    def seconds_left(self, key: Hashable) -> float:
        """Until the next try is admitted; 0 when it is now."""
        circuit = self._circuits.get(key)
        until = circuit.open_until if circuit else None
        return max(0.0, until - self._clock()) if until is not None else 0.0

    def succeeded(self, key: Hashable) -> None:
        """The account works: forget its failures."""
        if self._circuits.pop(key, None) is not None:
            self._show(key)

    def failed(self, key: Hashable) -> None:
        """The account did not answer properly."""
        circuit = self._circuits.setdefault(key, _Circuit())
        circuit.failures += 1
        if circuit.probing or circuit.failures >= self._limit:
            circuit.open_until = self._clock() + self._seconds
        circuit.probing = False
        self._show(key)

    def released(self, key: Hashable) -> None:
        """The call said nothing about the account's health (wrong key, refused request, cancelled)."""
        circuit = self._circuits.get(key)
        if circuit is not None:
            circuit.probing = False

    def _show(self, key: Hashable) -> None:
        """The worst circuit of a kind (the first part of a key) as a figure."""
        kind = _kind(key)
        states = [2 if c.open_until is not None and not c.probing else int(c.probing)
                  for k, c in self._circuits.items() if _kind(k) == kind]  # fmt: skip
        BREAKER.labels(kind).set(max(states, default=0))


def _kind(key: Hashable) -> str:
    return str(key[0]) if isinstance(key, tuple) and key else str(key)
