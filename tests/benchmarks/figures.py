"""The form every measurement is reported in: figures, yardsticks, goals; as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """`measured op value` must hold."""

    key: str
    op: Literal["<=", ">="]
    value: float
    measured: float

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.measured <= self.value if self.op == "<=" else self.measured >= self.value


@dataclass
class Report:
    """One benchmark's outcome. Keys end in their unit (`_ms`, `_per_s`, `_bytes`) or `_ratio`."""

    name: str
    figures: dict[str, float] = field(default_factory=dict)
    yardsticks: dict[str, float] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def goal(self, key: str, op: Literal["<=", ">="], value: float) -> None:
        """Add a goal on one of the figures."""
        self.goals.append(Goal(key, op, value, self.figures[key]))

    def show(self, arguments: Sequence[str]) -> int:
        """Print it as asked; the exit code."""
        options = parser(self.name).parse_args(arguments)
        if options.json:
            print(json.dumps(self.as_json()))
        else:
            self._print_table()
        missed = [g for g in self.goals if not g.met]
        if options.check and missed:
            print(f"missed: {', '.join(g.key for g in missed)}", file=sys.stderr)
            return 1
        return 0

    def as_json(self) -> dict[str, object]:
        """The one object of `--json`."""
        return {
            "name": self.name,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "figures": self.figures,
            "yardsticks": self.yardsticks,
            "goals": [asdict(g) | {"met": g.met} for g in self.goals],
            "notes": self.notes,
        }

    def _print_table(self) -> None:
        width = max(map(len, [*self.figures, *self.yardsticks]))
        for title, values in (("measured", self.figures), ("yardsticks in the same run", self.yardsticks)):
            print(title)
            for key, value in values.items():
                print(f"  {key:<{width}}  {value:>10,.2f}")
        print("goals")
        for g in self.goals:
            print(f"  {'met   ' if g.met else 'MISSED'}  {g.key:<{width}}  {g.measured:>10,.2f} {g.op} {g.value:g}")
        for note in self.notes:
            print(note)


def parser(name: str) -> argparse.ArgumentParser:
    """The flags every benchmark has."""
    options = argparse.ArgumentParser(prog=f"./patchcord bench {name}")
    options.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options.add_argument("--check", action="store_true", help="exit code 1 when a goal is missed")
    return options
