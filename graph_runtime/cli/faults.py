"""`./patchcord faults`: hands over to the harness under tests/faults."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(arguments: Sequence[str]) -> int:
    """`[--full] [--seed N] [--only F1,F4] [--json] …`; the exit code is 1 when a gate is missed."""
    if not (ROOT / "tests" / "faults").is_dir():
        print("The fault harness is not part of this installation; it lives in the repository.", file=sys.stderr)
        return 2
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return int(importlib.import_module("tests.faults.command").main(arguments))
