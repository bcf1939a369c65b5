"""Structured answers: finds the JSON in what a model wrote and makes it fit the schema, or says that it does not."""

from __future__ import annotations

import json
import re
from typing import Any

from connectors._langchain.texts import clean_all

Schema = dict[str, Any]

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
_MAX_DEPTH = 20
_DATA = frozenset({"properties", "enum", "const", "default", "required", "examples"})


class Misfit(ValueError):
    """The answer does not fit the schema; the text names the place, never the content."""


def instruction(schema: Schema) -> str:
    """The sentence that asks a model without native structured output for JSON."""
    return (
        "Answer with one JSON object and nothing else: no explanation, no code fence. "
        "It must fit this JSON Schema:\n" + json.dumps(schema, ensure_ascii=False)
    )


def closed(schema: Schema) -> tuple[Schema, bool]:
    """The schema with every object closed, and whether a vendor's strict mode can take it (all fields required)."""
    strict = True

    def walk(node: Any) -> Any:
        nonlocal strict
        if isinstance(node, list):
            return [walk(n) for n in node]
        if not isinstance(node, dict):
            return node
        out = {k: v if k in _DATA else walk(v) for k, v in node.items()}
        if isinstance(node.get("properties"), dict):  # names of fields, not words of the schema language
            out["properties"] = {name: walk(part) for name, part in node["properties"].items()}
        if isinstance(out.get("properties"), dict) and out.get("type", "object") in ("object", ["object", "null"]):
            out.setdefault("additionalProperties", False)
            if out["additionalProperties"] is not False or set(out["properties"]) != set(out.get("required", ())):
                strict = False
        return out

    return walk(schema), strict


def read(text: str, schema: Schema) -> dict[str, Any]:
    """The object in an answer, fitted to the schema. Raises: Misfit."""
    data = find_object(text)
    if data is None:
        raise Misfit("no JSON object")
    fitted: dict[str, Any] = fit(clean_all(data), schema)
    return fitted


def find_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text: bare, in a code fence, among other words or with commas too many."""
    candidates = [text.strip(), *(m[1].strip() for m in _FENCE.finditer(text)), *_braced(text)]
    for candidate in candidates:
        for attempt in (candidate, _TRAILING_COMMA.sub(r"\1", candidate)):
            try:
                found = json.loads(attempt)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                return found
    return None


def _braced(text: str) -> list[str]:
    start, depth, in_string, escaped = -1, 0, False, False
    for at, char in enumerate(text):
        if in_string:
            if char == '"' and not escaped:
                in_string = False
            escaped = char == "\\" and not escaped
        elif char == '"' and depth:
            in_string, escaped = True, False
        elif char == "{":
            start = at if depth == 0 else start
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if depth == 0:
                return [text[start : at + 1]]
    return []


def fit(value: Any, schema: Any, where: str = "answer", depth: int = 0) -> Any:
    """The value when it fits, with harmless differences repaired ("5" for 5, "true" for true). Raises: Misfit."""
    if not isinstance(schema, dict) or not schema:
        return value
    if depth > _MAX_DEPTH:
        raise Misfit(f"{where} is nested too deeply")
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _fit_any(value, options, where, depth)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    value = _repair(value, kinds)
    if kinds and not any(_is_kind(value, k) for k in kinds):
        raise Misfit(f"{where} is not of type {' or '.join(kinds)}")
    _check_limits(value, schema, where)
    if isinstance(value, dict):
        return _fit_object(value, schema, where, depth)
    if isinstance(value, list):
        return [fit(v, schema.get("items"), f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    return value


def _fit_any(value: Any, options: list[Any], where: str, depth: int) -> Any:
    for option in options:
        try:
            return fit(value, option, where, depth + 1)
        except Misfit:
            continue
    raise Misfit(f"{where} fits none of the allowed forms")


def _fit_object(value: dict[str, Any], schema: Schema, where: str, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            if not _nullable(properties.get(name)):
                raise Misfit(f"{where}.{name} is missing")
            value = {**value, name: None}
    if schema.get("additionalProperties") is False:
        value = {k: v for k, v in value.items() if k in properties}
    return {k: fit(v, properties.get(k), f"{where}.{k}", depth + 1) for k, v in value.items()}


def _nullable(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kinds = schema.get("type", [])
    options = schema.get("anyOf") or schema.get("oneOf") or ()
    return kinds == "null" or "null" in kinds or any(_nullable(o) for o in options)


def _is_kind(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    return isinstance(value, _KINDS.get(kind, (object,)))


def _repair(value: Any, kinds: list[str]) -> Any:
    if isinstance(value, float) and value.is_integer() and "integer" in kinds and "number" not in kinds:
        return int(value)
    if not isinstance(value, str) or "string" in kinds:
        return value
    text = value.strip()
    if {"integer", "number"} & set(kinds) and re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", text):
        if "." not in text:
            return int(text)
        return float(text) if "number" in kinds else value
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if "null" in kinds and text.lower() in ("", "null", "none"):
        return None
    return value


def _check_limits(value: Any, schema: Schema, where: str) -> None:
    if "enum" in schema and value not in schema["enum"]:
        raise Misfit(f"{where} is not one of the allowed values")
    if "const" in schema and value != schema["const"]:
        raise Misfit(f"{where} is not the expected value")
    if _is_kind(value, "number") and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        raise Misfit(f"{where} is out of range")
    for kind, low, high in ((str, "minLength", "maxLength"), (list, "minItems", "maxItems")):
        if isinstance(value, kind) and not schema.get(low, 0) <= len(value) <= schema.get(high, len(value)):
            raise Misfit(f"{where} has the wrong length")
