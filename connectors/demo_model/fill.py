"""Puts what the demo model found into the JSON Schema that was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def properties(schema: Schema) -> dict[str, dict[str, Any]]:
    """The fields of an object schema, `anyOf [X, null]` opened."""
    found = schema.get("properties") or {}
    return {name: opened(part) for name, part in found.items() if isinstance(part, dict)}


def opened(part: dict[str, Any]) -> dict[str, Any]:
    """The part itself, or the first alternative that is not null."""
    options = part.get("anyOf") or part.get("oneOf") or ()
    chosen = next((o for o in options if isinstance(o, dict) and o.get("type") != "null"), None)
    return {**chosen, "description": part.get("description", "")} if chosen else part


def kind(part: Schema) -> str:
    """The type of a field, null left out."""
    given = part.get("type", "string")
    return next((k for k in given if k != "null"), "string") if isinstance(given, list) else str(given)


def nullable(part: Schema) -> bool:
    """Whether null is allowed."""
    given = part.get("type", ())
    options = part.get("anyOf") or part.get("oneOf") or ()
    in_enum = None in part.get("enum", ())
    return in_enum or "null" in ([given] if isinstance(given, str) else given) or any(nullable(o) for o in options)


def empty(part: dict[str, Any]) -> Any:
    """What stands for "not known" in a field: null if it may be, else the emptiest value of its type."""
    if nullable(part):
        return None
    part = opened(part)
    if part.get("enum"):
        return part["enum"][0]
    if kind(part) == "object":
        return {name: empty(p) for name, p in (part.get("properties") or {}).items()}
    low = part.get("minimum", 0)
    return {"array": [], "integer": low, "number": low, "boolean": False}.get(kind(part), "")


def fitted(part: dict[str, Any], value: Any) -> Any:
    """The value in the field's type, or `empty`."""
    inner = opened(part)
    wanted = kind(inner)
    allowed = inner.get("enum")
    if value is None or (allowed and value not in allowed):
        return empty(part)
    if wanted == "string":
        return str(value) if not isinstance(value, bool) else ("yes" if value else "no")
    if wanted in ("integer", "number"):
        right = isinstance(value, int | float) and not isinstance(value, bool)
        return (int(value) if wanted == "integer" else value) if right else empty(part)
    if wanted == "array":
        return [value] if not isinstance(value, list) else value
    return value if isinstance(value, {"boolean": bool, "object": dict}.get(wanted, object)) else empty(part)


def by_meaning(schema: Schema, *, choice: Any, flag: bool | None, share: float, reason: str) -> dict[str, Any]:
    """Fill a schema whose fields are told apart by type and name: a choice or verdict, how sure, and why."""
    out: dict[str, Any] = {}
    for name, part in (schema.get("properties") or {}).items():
        inner = opened(part)
        wanted = kind(inner)
        if wanted == "boolean":
            value: Any = flag if flag is not None else choice is not None
        elif wanted in ("number", "integer"):
            top = inner.get("maximum", 1)
            value = round(share * top, 2) if wanted == "number" else round(share * top)
        elif re.search(r"reason|why|explan|comment|rationale|because|note", name, re.IGNORECASE) and not inner.get(
            "enum"
        ):
            value = reason
        elif wanted == "array":
            value = [choice] if choice is not None else []
        else:
            value = choice if choice is not None else _other(inner)
        out[name] = fitted(part, value)
    return out


def _other(part: Schema) -> Any:
    """The member of an enum that means "none of these"."""
    return next((e for e in part.get("enum", ()) if str(e).lower() in ("else", "none", "other", "unknown", "")), None)
