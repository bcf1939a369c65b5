"""The checks that need no running program: formatting, lint rules, import directions and types."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from graph_runtime.places import REPOSITORY

TYPED = ("graph_runtime", "nodes", "connectors", "builder_ui", "voice", "migrations", "tests", "rxconfig.py")


def run(arguments: Sequence[str]) -> int:
    """Run every check, all of them even when one fails, and return 0 when all passed."""
    if arguments:
        print("./patchcord check takes no arguments.", file=sys.stderr)
        return 2
    failed = [name for name, command in commands() if stage(name, command)]
    print(f"Failed: {', '.join(failed)}." if failed else "All checks passed.", flush=True)
    return 1 if failed else 0


def commands() -> list[tuple[str, list[str]]]:
    """Each check by name, with the programs of this environment."""
    programs = Path(sys.executable).parent
    present = [name for name in TYPED if (REPOSITORY / name).exists()]
    return [
        ("lint rules", [str(programs / "ruff"), "check", "--quiet", "."]),
        ("formatting", [str(programs / "ruff"), "format", "--check", "."]),
        ("import directions", [str(programs / "lint-imports")]),
        ("types", [str(programs / "mypy"), "--no-error-summary", *present]),
    ]


def stage(name: str, command: Sequence[str]) -> int:
    """Run one command with a line that says how it went; its own output is shown only when it failed."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        sys.stdout.write(done.stdout.decode(errors="replace"))
    print(f"{'failed' if done.returncode else 'ok':>7}  {name}  ({time.monotonic() - began:.1f} s)", flush=True)
    return done.returncode
