"""What a conversation remembers between turns: variables, memory and outputs of steps, the last message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ConversationState:
    """JSON values only. Keys of `variables`: prefix of the (sub-)flow, "" for the main one; of the others: step ids."""

    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    message: dict[str, Any] = field(default_factory=dict)
    on_call: dict[str, Any] = field(default_factory=dict)
    """What a phone call waits for, of this turn only."""
    is_loaded: bool = False

    def load(self, data: dict[str, Any] | None) -> None:
        """Take over what LangGraph's channel holds; only the first node of a turn has anything to take."""
        if self.is_loaded:
            return
        data = data or {}
        self.variables = data.get("v", {})
        self.memory = data.get("m", {})
        self.outputs = data.get("o", {})
        self.message = self.message or data.get("l", {})
        self.is_loaded = True

    def dump(self) -> dict[str, Any]:
        """The channel's value; empty parts are left out."""
        parts = {
            "v": {k: v for k, v in self.variables.items() if v},
            "m": {k: v for k, v in self.memory.items() if v},
            "o": {k: v for k, v in self.outputs.items() if v},
            "l": self.message,
            "w": self.on_call,
        }
        return {k: v for k, v in parts.items() if v}

    def scope(self, prefix: str) -> dict[str, Any]:
        """The variables of one (sub-)flow, to read and write."""
        return self.variables.setdefault(prefix, {})

    def forget(self, prefix: str) -> None:
        """Drop everything a sub-flow kept, so that its next visit starts afresh."""
        for part in (self.variables, self.memory, self.outputs):
            for key in [k for k in part if k.startswith(prefix)]:
                del part[key]
