"""Results that stay with the repository: the newest of each fault, layout and size, of full ones for each seed; no histories."""

from __future__ import annotations

import json
from collections.abc import Iterable
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
    is_full, seed = not result["reduced"], result["seed"]
    _path(folder, result["id"], result["layout"], seed if is_full else None).write_text(f"{text}\n", "utf-8")


def kept(folder: Path, fault: str, layout: str, *, is_full: bool, seed: int | None = None) -> dict[str, Any] | None:
    """The newest result; None when there is none. `seed`: only of this one, which only full results distinguish."""
    found = _full(folder, fault, layout) if is_full else _read([_path(folder, fault, layout, None)])
    if is_full and seed is not None:
        found = [result for result in found if result["seed"] == seed]
    return max(found, key=lambda result: str(result["date"]), default=None)


def shown(folder: Path, fault: str, layout: str) -> list[dict[str, Any]]:
    """For the table: full results by seed, and the reduced one when there is none of them."""
    return _full(folder, fault, layout) or _read([_path(folder, fault, layout, None)])


def _full(folder: Path, fault: str, layout: str) -> list[dict[str, Any]]:
    return sorted(_read(folder.glob(f"{fault}-{layout}-full-*.json")), key=lambda result: int(result["seed"]))


def _read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]


def _path(folder: Path, fault: str, layout: str, seed: int | None) -> Path:
    """`seed` None: of the reduced numbers."""
    return folder / f"{fault}-{layout}{'' if seed is None else f'-full-{seed}'}.json"
