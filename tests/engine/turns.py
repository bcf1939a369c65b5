"""Runs conversations in memory for the engine's tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from graph_runtime.contract.flow import Flow
from graph_runtime.contract.messages import Reply
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.run import TurnResult, run_turn
from graph_runtime.engine.turn import Doors, Trigger
from tests.engine.small_nodes import CATALOG

Kind = Literal["start", "message", "timer", "restart"]
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Talk:
    """One conversation; keeps its state between turns as bytes, as storage does."""

    document: Flow
    bundle: dict[str, Flow] = field(default_factory=dict)
    fused: bool = True
    doors: Doors = field(default_factory=lambda: Doors(MemoryJournal()))
    language: str = "en"
    more: dict[str, Any] = field(default_factory=dict)
    state: bytes | None = None
    turn: int = 0
    said: list[str] = field(default_factory=list)
    last: TurnResult | None = None
    now: datetime = NOON
    alone: bool = True

    def __post_init__(self) -> None:
        self.compiled = compile_flow(self.document, self.bundle, CATALOG, fused=self.fused, alone=self.alone)

    async def go(self, text: str | None = None, kind: Kind | None = None) -> TurnResult:
        """One turn: the start, or the contact's answer, or (kind "timer") nobody's."""
        self.turn += 1
        kind = kind or ("start" if text is None else "message")
        reply = None if text is None else Reply(text=text)
        trigger = Trigger(
            kind,
            "ws",
            "conv",
            f"turn-{self.turn}",
            self.turn,
            self.now,
            language=self.language,
            reply=reply,
            **self.more,
        )
        self.last = await run_turn(self.compiled, self.state, trigger, self.doors)
        self.state = self.last.state
        self.said += [m.text for m in self.last.messages]
        return self.last

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def copy(self) -> Talk:
        """The same conversation at the same place, to go another way."""
        return replace(self, said=[*self.said])
