"""Filters as Chroma and Pinecone write them: an object of fields and operators, joined by `$and`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.vectors.serving import Wrong

Holds = Callable[[dict[str, Any]], bool]


def holds(asked: Any, *, status: int = 400) -> Holds:
    """Whether fields fulfil it. Raises: Wrong for what neither vendor takes."""
    if not isinstance(asked, dict) or len(asked) != 1:
        raise Wrong(status, f"one field or operator at a time: {asked}")
    ((key, value),) = asked.items()
    if key == "$and":
        if not isinstance(value, list) or not value:
            raise Wrong(status, "$and")
        parts = [holds(part, status=status) for part in value]
        return lambda fields: all(part(fields) for part in parts)
    if key.startswith("$") or not isinstance(value, dict) or len(value) != 1:
        raise Wrong(status, f"not a condition: {asked}")
    ((operator, operand),) = value.items()
    if operator == "$in" and isinstance(operand, list) and operand and all(isinstance(o, str) for o in operand):
        return lambda fields: fields.get(key) in operand
    if operator == "$gte" and type(operand) is int:
        return lambda fields: isinstance(fields.get(key), int) and fields[key] >= operand
    raise Wrong(status, f"Invalid where clause: {asked}")


def flat(fields: Any, *, status: int = 400) -> dict[str, Any]:
    """Metadata: texts and numbers, neither null nor nested. Raises: Wrong."""
    if not isinstance(fields, dict) or not all(type(v) in (str, int, float, bool) for v in fields.values()):
        raise Wrong(status, "metadata")
    return fields
