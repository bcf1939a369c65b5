"""How the words of one turn go out: at once, after as long as a person would have typed, or once somebody approved them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from graph_runtime.contract.answering import Answering
from graph_runtime.contract.calls import PHONE
from graph_runtime.engine.program import CompiledFlow
from graph_runtime.engine.run import TurnResult
from graph_runtime.services.gathering import ANSWERED_AT_ONCE
from graph_runtime.storage.turns import LeasedTurn

WOULD_WAIT = {"would_wait": True}
"""Flags of a message in a test, where nobody is asked."""


@dataclass(frozen=True, slots=True)
class Manner:
    """Of one turn; its agent's settings count as they were when it was leased."""

    turn: LeasedTurn
    compiled: CompiledFlow
    answering: Answering

    @classmethod
    def of(cls, turn: LeasedTurn, compiled: CompiledFlow) -> Manner:
        """By the settings of the agent."""
        return cls(turn, compiled, _read(orjson.dumps(turn.answering)))

    def must_approve(self, node_id: str) -> bool:
        """Whether what a step says waits for a person. What this program says by itself never does."""
        step = self.compiled.steps.get(node_id)
        if step is None or step.type is None or self._has_a_person():
            return False
        return self.answering.must_approve(
            step=getattr(step.settings, "approval", "agent"), is_model_text=step.type.says_model_text,
            channel=self.turn.channel_kind,
        )  # fmt: skip

    def hides(self, node_id: str) -> bool:
        """Whether the text of a step must not be seen while it is being made."""
        turn = self.turn
        if turn.is_test or turn.channel_kind == PHONE:
            return False
        return turn.holds or self.answering.delay.is_on or self.must_approve(node_id)

    def delay(self, result: TurnResult) -> float:
        """Seconds until what the turn came to is sent."""
        turn = self.turn
        if turn.kind != "message" or turn.attempts > 1 or turn.is_test or turn.channel_kind in ANSWERED_AT_ONCE:
            return 0.0
        if turn.holds or not result.messages or self.must_approve(result.messages[0].node_id):
            return 0.0  # a person's time comes in between anyway
        text = "\n".join(m.text for m in result.messages)
        return self.answering.delay.seconds(text, f"{turn.inbox_id}")

    def mark(self, record: dict[str, Any]) -> None:
        """Say in a turn's record which of its messages wait, and by which rules."""
        waiting = [m for m in record["messages"] if self.must_approve(m["node_id"])]
        for message in waiting:
            if self.turn.is_test:
                message["flags"] = WOULD_WAIT
            else:
                message["approve"] = True
        if waiting and not self.turn.is_test:
            rules = self.answering.approval
            record["approval"] = {"on_timeout": rules.on_timeout, "queue_id": rules.queue_id}
            if rules.wait_minutes:
                record["approval"]["wait_seconds"] = rules.wait_minutes * 60

    def _has_a_person(self) -> bool:
        """Somebody has just taken the conversation: what is said about that comes before their own words."""
        person = (self.turn.payload.get("reply") or {}).get("person") or {}
        return self.turn.kind == "hand_off" and person.get("event") == "accepted"


@lru_cache(maxsize=500)
def _read(stored: bytes) -> Answering:
    """Agents are few and their turns many."""
    return Answering.of(orjson.loads(stored))
