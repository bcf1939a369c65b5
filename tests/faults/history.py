"""The journals of one run in one value: what clients did and got, what the database holds, what fakes were asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


@dataclass
class History:
    """Times are seconds since 1970. `leaks` are places in which a canary secret was found."""

    driver: Rows = field(default_factory=list)
    actions: Rows = field(default_factory=list)
    vendor: Rows = field(default_factory=list)
    receiver: Rows = field(default_factory=list)
    conversations: Rows = field(default_factory=list)
    inbox: Rows = field(default_factory=list)
    messages: Rows = field(default_factory=list)
    turns: Rows = field(default_factory=list)
    outbox: Rows = field(default_factory=list)
    letters: Rows = field(default_factory=list)
    timers: Rows = field(default_factory=list)
    model_events: Rows = field(default_factory=list)
    claims: Rows = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def store(self, path: Path) -> None:
        """Keep it for looking at again."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, path: Path) -> History:
        """What `store` wrote."""
        return cls(**json.loads(path.read_text("utf-8")))

    def noted(self, kind: str) -> Rows:
        """The driver's entries of a kind."""
        return [e for e in self.driver if e["kind"] == kind]
