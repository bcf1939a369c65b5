"""Rules an answer must keep, as data: length, range, mask, list, JSON Schema. Pure and safe on any input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from graph_runtime.contract.answers import read_date, read_email, read_number, read_phone
from graph_runtime.contract.answers.words import normal
from graph_runtime.contract.forms import SettingsItem, setting

RuleKind = Literal["required", "length", "range", "mask", "one_of", "not_one_of", "email", "phone", "date", "schema"]
MAX_CHECKED = 20_000
_SIZED: list[Any] = ["length", "range"]


class Rule(SettingsItem):
    """One rule; `message` is said to the contact when it is broken."""

    id: str = setting("Id", default="", widget="id")
    kind: RuleKind = setting(
        "Rule",
        default="required",
        options={
            "required": "Is not empty", "length": "Length in characters", "range": "Number in a range",
            "mask": "Looks like a mask", "one_of": "Is one of a list", "not_one_of": "Is none of a list",
            "email": "Is an e-mail address", "phone": "Is a phone number", "date": "Is a date",
            "schema": "Fits a JSON Schema",
        },
    )  # fmt: skip
    minimum: float | None = setting("At least", default=None, show_when={"kind": _SIZED})
    maximum: float | None = setting("At most", default=None, show_when={"kind": _SIZED})
    mask: str = setting(
        "Mask",
        default="",
        show_when={"kind": ["mask"]},
        placeholder="AB-####",
        help="# is one digit, ? is one character, * is any text.",
        max_length=200,
    )
    values: tuple[str, ...] = setting("Values", default=(), show_when={"kind": ["one_of", "not_one_of"]})
    schema_text: str = setting(
        "JSON Schema", default="", widget="schema", show_when={"kind": ["schema"]}, max_length=20_000
    )
    message: str = setting(
        "What to say when it is broken",
        default="",
        widget="line_template",
        outside=True,
        max_length=1000,
        placeholder="An order number looks like AB-1234.",
    )


def is_kept(rule: Rule, value: Any, *, language: str, today: date) -> bool:
    """Whether a value keeps the rule. Every rule but `required` accepts an empty value."""
    text = _text(value)
    is_empty = not text.strip() and not isinstance(value, list | dict)
    if rule.kind == "required":
        return not is_empty and value not in ([], {})
    if is_empty:
        return True
    if rule.kind == "schema":
        return _fits_schema_text(value, rule.schema_text)
    if rule.kind in ("length", "range"):
        size = float(len(text.strip())) if rule.kind == "length" else _number(value, language)
        return size is not None and _within(size, rule.minimum, rule.maximum)
    if rule.kind == "mask":
        return fits_mask(text.strip(), rule.mask)
    if rule.kind in ("one_of", "not_one_of"):
        is_listed = normal(text).strip(" .") in {normal(v).strip(" .") for v in rule.values}
        return is_listed is (rule.kind == "one_of")
    if rule.kind == "email":
        return read_email(text) is not None
    if rule.kind == "phone":
        return read_phone(text, language) is not None
    return read_date(text, today) is not None


def fits_mask(text: str, mask: str) -> bool:
    """Whole-text match without case: `#` a digit, `?` a character, `*` any run."""
    text, mask = text.casefold()[:500], mask.casefold()[:200]
    if not mask:
        return True
    reached = {0}
    for sign in mask:
        if sign == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {i + 1 for i in reached if i < len(text) and _same(sign, text[i])}
    return len(text) in reached


def _same(sign: str, char: str) -> bool:
    return sign == "?" or (sign == "#" and char.isdigit()) or sign == char


def _within(size: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or size >= minimum) and (maximum is None or size <= maximum)


def _number(value: Any, language: str) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return read_number(_text(value), language)


def _text(value: Any) -> str:
    return "" if value is None else value[:MAX_CHECKED] if isinstance(value, str) else str(value)[:MAX_CHECKED]


def _fits_schema_text(value: Any, schema_text: str) -> bool:
    try:
        schema = json.loads(schema_text) if schema_text.strip() else {}
        value = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return False
    return fits_schema(value, schema)


def fits_schema(value: Any, schema: Any, depth: int = 0) -> bool:
    """The part of JSON Schema that cannot run for ever.

    Understood: type, enum, const, properties, required, additionalProperties: false, items, minItems, maxItems,
    minimum, maximum, minLength, maxLength. Other keywords (`pattern`, `$ref`) are passed over.
    """
    if not isinstance(schema, Mapping) or depth > 12:
        return True
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if kinds and not any(_is_kind(value, k) for k in kinds):
        return False
    allowed = schema.get("enum")
    if (isinstance(allowed, list) and value not in allowed) or ("const" in schema and value != schema["const"]):
        return False
    if isinstance(value, dict):
        return _fits_object(value, schema, depth)
    if isinstance(value, list):
        items = schema.get("items", {})
        return _sized(len(value), schema, "Items") and all(fits_schema(v, items, depth + 1) for v in value[:1000])
    if isinstance(value, str):
        return _sized(len(value), schema, "Length")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _within(value, _limit(schema.get("minimum")), _limit(schema.get("maximum")))
    return True


def _fits_object(value: dict[str, Any], schema: Mapping[str, Any], depth: int) -> bool:
    properties = schema.get("properties", {})
    properties = properties if isinstance(properties, dict) else {}
    required = schema.get("required", [])
    if isinstance(required, list) and any(not isinstance(name, str) or name not in value for name in required):
        return False
    if schema.get("additionalProperties") is False and set(value) - set(properties):
        return False
    return all(fits_schema(value[name], part, depth + 1) for name, part in properties.items() if name in value)


def _sized(size: int, schema: Mapping[str, Any], what: str) -> bool:
    return _within(size, _limit(schema.get(f"min{what}")), _limit(schema.get(f"max{what}")))


def _limit(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_kind(value: Any, kind: Any) -> bool:
    if kind in ("number", "integer"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (kind == "number" or float(value).is_integer())
    classes: dict[Any, Any] = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}
    return isinstance(kind, str) and kind in classes and isinstance(value, classes[kind])
