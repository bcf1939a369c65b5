"""Results that stay with the repository: one small file for each fault, layout and size, the newest one; no histories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graph_runtime.places import REPOSITORY

KEPT = REPOSITORY / "tests" / "faults" / "results"
VIOLATIONS = 20
"""So many stand in a file; how many there were is counted in "measured"."""


def keep(result: dict[str, Any], folder: Path) -> None:
    """Store what `Result.as_json` gave in place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    small = result | {"violations": result["violations"][:VIOLATIONS]}
    text = json.dumps(small, indent=1, ensure_ascii=False)
    _path(folder, result["id"], result["layout"], is_full=not result["reduced"]).write_text(f"{text}\n", "utf-8")


def kept(folder: Path, fault: str, layout: str, *, is_full: bool) -> dict[str, Any] | None:
    """The newest result; None when there is none."""
    path = _path(folder, fault, layout, is_full=is_full)
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def shown(folder: Path, fault: str, layout: str) -> dict[str, Any] | None:
    """For the table: the full result, and the reduced one when there is no full one."""
    return kept(folder, fault, layout, is_full=True) or kept(folder, fault, layout, is_full=False)


def _path(folder: Path, fault: str, layout: str, *, is_full: bool) -> Path:
    return folder / f"{fault}-{layout}{'-full' if is_full else ''}.json"
