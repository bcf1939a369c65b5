"""What the fake was asked and what it is going to say, in words of no vendor."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request as the fake understood it."""

    model: str
    messages: tuple[tuple[str, str], ...]
    schema: dict[str, Any] | None = None
    tools: tuple[str, ...] = ()
    stream: bool = False

    @property
    def last(self) -> str:
        """The last thing a person said."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")


@dataclass(frozen=True)
class Planned:
    """An answer. `tool_calls` are (name, arguments). Token figures are what the vendor will claim."""

    text: str = ""
    tool_calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    finish: str = "stop"  # stop, length, tools, filter
    input_tokens: int = 40
    output_tokens: int = 7
    cached_tokens: int = 16
    usage: bool = True

    @property
    def pieces(self) -> list[str]:
        """The text in word-size pieces."""
        return re.findall(r"\S*\s*", self.text)[:-1] if self.text else []


def automatic(asked: Asked) -> Planned:
    """The answer when none was planned: the smallest object of the schema, else an echo."""
    if asked.schema is not None:
        return Planned(json.dumps(smallest(asked.schema), ensure_ascii=False))
    return Planned(f"You said: {asked.last}")


def smallest(schema: Any) -> Any:
    """A value that fits a JSON Schema."""
    if not isinstance(schema, dict):
        return None
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return smallest(schema[key][0])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: smallest(part) for name, part in schema.get("properties", {}).items()}
    return {"array": [], "string": "text", "integer": 1, "number": 0.9, "boolean": True}.get(kind)


def sse(data: Any, event: str = "") -> str:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
