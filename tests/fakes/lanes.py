"""A lane of the model fake: its own journal, planned answers and faults, so that tests do not disturb one another."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tests.fakes.wires.plan import Asked, Planned, automatic

FaultKind = Literal[
    "rate_limited",  # 429 with retry-after
    "no_credit",  # 429 that no waiting helps against
    "server_error",  # 500
    "overloaded",  # 503 or 529
    "unauthorized",  # 401
    "not_found",  # 404: no such model
    "bad_request",  # 400
    "too_long",  # 400: context exceeded
    "no_schema",  # 400 when a schema is asked for
    "redirect",  # 307 to another place
    "invalid_json",  # 200 with something that is not JSON
    "hang",  # accepts, never answers
    "slow_first_token",  # `seconds` of silence, then the answer
    "cut",  # connection breaks in the middle of the stream
    "ended",  # the stream ends in the middle, politely
    "stall",  # the stream stops in the middle, the connection stays
    "error_in_stream",  # an error event after 200
]
FAULTS: tuple[str, ...] = get_args(FaultKind)


@dataclass
class Fault:
    """Something that goes wrong for the next `times` calls. `seconds`: the pause, or what retry-after says."""

    kind: FaultKind
    times: int = 1
    seconds: float = 1.0


@dataclass
class Call:
    """One request that reached the fake. `left_early`: the caller went away before the answer was complete."""

    vendor: str
    path: str
    key: str
    body: dict[str, Any]
    asked: Asked | None
    fault: str = ""
    left_early: bool = False
    done: bool = False


@dataclass
class Lane:
    """Everything the fake remembers of one base address."""

    name: str = ""
    journal: list[Call] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    answers: deque[Planned] = field(default_factory=deque)
    always: Planned | None = None
    models: tuple[str, ...] = ("small", "large")
    wrong_keys: frozenset[str] = frozenset({"wrong-key"})
    pause_seconds: float = 0.0

    def fail(self, kind: FaultKind, *, times: int = 1, seconds: float = 1.0) -> None:
        """Let the next calls go wrong."""
        if kind not in FAULTS:
            raise ValueError(f"no such fault: {kind}")
        self.faults.append(Fault(kind, times, seconds))

    def answer(self, text: str = "", **more: Any) -> None:
        """Plan the next answer."""
        self.answers.append(Planned(text, **more))

    def next_fault(self) -> Fault | None:
        """Take one use of the first fault."""
        if not self.faults:
            return None
        fault = self.faults[0]
        fault.times -= 1
        if fault.times <= 0:
            self.faults.popleft()
        return fault

    def next_answer(self, asked: Asked) -> Planned:
        """The planned answer, else the standing one, else the automatic one."""
        if self.answers:
            return self.answers.popleft()
        return self.always or automatic(asked)
