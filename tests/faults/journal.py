"""An append-only record of one party: JSON lines with the time, flushed, so that it survives any death but its disk's."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Journal:
    """Every line is `{"at": seconds, "kind": …, …}`; `at` is the wall clock, the same for all parties of one machine."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.entries: list[Entry] = []
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def note(self, kind: str, **data: Any) -> Entry:
        """Write one entry."""
        entry = {"at": round(time.time(), 4), "kind": kind, **data}
        with self._lock:
            self.entries.append(entry)
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()
        return entry

    def close(self) -> None:
        """No more entries."""
        self._file.close()


def read(path: Path) -> list[Entry]:
    """All complete entries; the last line may be torn."""
    entries: list[Entry] = []
    if not path.exists():
        return entries
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries
