"""The outcome of one scenario: sizes, figures, gates, violations; as a line of the table and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.faults.facts import Violation

Layout = Literal["embedded", "redis"]
Status = Literal["passed", "failed", "not built", "not run"]


@dataclass(frozen=True)
class Gate:
    """`measured` must be at most (or at least) `value`."""

    name: str
    measured: float
    op: Literal["<=", ">=", "=="]
    value: float

    @property
    def is_met(self) -> bool:
        """Whether it holds."""
        return {
            "<=": self.measured <= self.value,
            ">=": self.measured >= self.value,
            "==": self.measured == self.value,
        }[self.op]


@dataclass
class Result:
    """`reduced`: smaller numbers than delivery.md asks for. `note`: what was not covered, and why. `commit`: of the
    code that was played, with "+" when it had changes beside it.

    `layout`: who wakes those that run turns. `load`: the machine's average over the minute before it began.
    `promised`: delivery.md's number, where a full size is smaller.
    """

    id: str
    title: str
    seed: int
    reduced: bool = True
    layout: Layout = "embedded"
    load: float = 0.0
    commit: str = ""
    date: str = ""
    machine: str = ""
    sizes: dict[str, float] = field(default_factory=dict)
    promised: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    gates: list[Gate] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    note: str = ""
    missing: Literal["", "not built", "not run"] = ""
    crashed: str = ""
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """The one word for the table."""
        if self.missing:
            return self.missing
        if self.crashed or self.violations or not all(gate.is_met for gate in self.gates):
            return "failed"
        return "passed"

    def gate(self, name: str, measured: float, op: Literal["<=", ">=", "=="], value: float) -> None:
        """Add a gate, and the figure with it."""
        self.figures[name] = measured
        self.gates.append(Gate(name, measured, op, value))

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        gates = [asdict(gate) | {"met": gate.is_met} for gate in self.gates]
        return asdict(self) | {"gates": gates, "status": self.status, "measured": self.measured}

    def store(self, folder: Path) -> None:
        """Beside its history."""
        (folder / "result.json").write_text(json.dumps(self.as_json(), indent=1, ensure_ascii=False), "utf-8")

    @property
    def measured(self) -> str:
        """For the table: sizes, broken invariants, gates, other figures."""
        parts = [
            f"{_number(value)}{f' (of {_number(self.promised[name])})' if name in self.promised else ''} {name}"
            for name, value in self.sizes.items()
        ]
        broken = Counter(v.invariant for v in self.violations)
        if self.missing == "":
            parts.append(", ".join(f"{name} broken {n}×" for name, n in broken.items()) or "I1–I7 hold")
            parts.append(f"{self.seconds:.0f} s, load before {_number(self.load)}")
        known = {gate.name for gate in self.gates}
        parts += [
            f"{'' if gate.is_met else 'MISSED '}{gate.name} {_number(gate.measured)} ({gate.op} {_number(gate.value)})"
            for gate in self.gates
        ]
        parts += [f"{name} {_number(value)}" for name, value in self.figures.items() if name not in known]
        return " · ".join(
            [*parts, *([self.crashed[:200]] if self.crashed else []), *([self.note] if self.note else [])]
        )


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def table(results: Sequence[dict[str, Any]]) -> str:
    """For a terminal, from what `as_json` gave."""
    lines = []
    for r in results:
        lines.append(f"{r['id']:<6} {r['status']:<9} {r['seconds']:6.0f} s  {r['title']}")
        lines.append(f"       {r['measured']}")
        lines += [f"         {v['invariant']}: {v['what']} [{v['where']}]" for v in r["violations"][:5]]
    return "\n".join(lines)


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """For docs/faults.md, from what `as_json` gave."""
    lines = ["| # | fault | layout | played | seed | outcome | measured |", "|---|---|---|---|---|---|---|"]
    for r in results:
        played, seed = ("", "") if r["missing"] else (f"{r['date'][:10]} {r['commit']}".strip(), str(r["seed"]))
        size = ", reduced" if r["reduced"] and not r["missing"] else ""
        measured = str(r["measured"]).replace("|", "/")
        lines.append(
            f"| {r['id']} | {r['title']} | {r['layout']} | {played} | {seed} | {r['status']}{size} | {measured} |"
        )
    return "\n".join(lines) + "\n"
