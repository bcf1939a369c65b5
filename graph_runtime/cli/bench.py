"""`./patchcord bench NAME`: hands over to the measuring code under tests/benchmarks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "benchmarks"


def run(arguments: Sequence[str]) -> int:
    """`NAME [--json] [--check] …`; the exit code is 1 when `--check` finds a missed goal."""
    names = sorted(p.stem for p in FOLDER.glob("[!_]*.py") if "def main(" in p.read_text("utf-8"))
    if not arguments or arguments[0] not in names:
        print(f"Say what to measure: ./patchcord bench {' | '.join(names)} [--json] [--check]", file=sys.stderr)
        return 2
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return int(importlib.import_module(f"tests.benchmarks.{arguments[0]}").main(arguments[1:]))
