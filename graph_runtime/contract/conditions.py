"""Conditions as a JSON tree with typed operators; pure, total, never raises on any input value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Operator = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte",
    "contains", "not_contains", "starts_with", "ends_with",
    "in", "not_in", "empty", "not_empty", "is_true", "is_false", "matches",
]  # fmt: skip
UNARY: frozenset[str] = frozenset({"empty", "not_empty", "is_true", "is_false"})


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Ref(_Data):
    """A value of the conversation by path: `var.budget`, `contact.first_name`, `message.text`, `step.n_1.label`."""

    ref: str = Field(min_length=1, max_length=200)


class Value(_Data):
    """A constant."""

    value: str | int | float | bool | list[str | int | float | bool] | None


class TextValue(_Data):
    """A Liquid text, rendered before comparing."""

    text: str = Field(max_length=4000)


def _operand_tag(v: Any) -> str:
    keys = v if isinstance(v, dict) else type(v).model_fields if isinstance(v, BaseModel) else {}
    return "ref" if "ref" in keys else "text" if "text" in keys else "value"


Operand = Annotated[
    Annotated[Ref, Tag("ref")] | Annotated[Value, Tag("value")] | Annotated[TextValue, Tag("text")],
    Discriminator(_operand_tag),
]


class Comparison(_Data):
    """`left op right`; `right` is left out for unary operators."""

    left: Operand
    op: Operator
    right: Operand | None = None


class All(_Data):
    """True when every part is true; an empty group is true."""

    all: list[Condition] = Field(max_length=50)


class AnyOf(_Data):
    """True when at least one part is true; an empty group is false."""

    any: list[Condition] = Field(max_length=50)


class Not(_Data):
    """True when the part is false."""

    # `not` is a keyword, so the field has an alias.
    part: Condition = Field(alias="not")


def _condition_tag(v: Any) -> str:
    keys = v if isinstance(v, dict) else {}
    if isinstance(v, BaseModel):
        return {"All": "all", "AnyOf": "any", "Not": "not"}.get(type(v).__name__, "comparison")
    return "all" if "all" in keys else "any" if "any" in keys else "not" if "not" in keys else "comparison"


Condition = Annotated[
    Annotated[All, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")]
    | Annotated[Comparison, Tag("comparison")],
    Discriminator(_condition_tag),
]
for _m in (All, AnyOf, Not):
    _m.model_rebuild()

Resolve = Callable[[str], Any]
"""Value of a reference path; None when it does not exist."""


def evaluate(condition: Condition, resolve: Resolve, render: Callable[[str], str]) -> bool:
    """Interpret a condition. A missing variable counts as empty; a comparison of unlike kinds is false."""
    if type(condition) is Comparison:  # nearly always; asking a model's class about others takes longer than comparing
        left = operand_value(condition.left, resolve, render)
        right = None if condition.right is None else operand_value(condition.right, resolve, render)
        return compare(left, condition.op, right)
    if isinstance(condition, All):
        return all(evaluate(c, resolve, render) for c in condition.all)
    if isinstance(condition, AnyOf):
        return any(evaluate(c, resolve, render) for c in condition.any)
    assert isinstance(condition, Not)
    return not evaluate(condition.part, resolve, render)


def operand_value(operand: Operand, resolve: Resolve, render: Callable[[str], str]) -> Any:
    """The value an operand stands for."""
    if isinstance(operand, Ref):
        return resolve(operand.ref)
    if isinstance(operand, TextValue):
        return render(operand.text)
    return operand.value


def compare(left: Any, op: Operator, right: Any) -> bool:
    """Apply one operator. Text compares without case; "12" and 12 are the same number."""
    if op in UNARY:
        return _unary(left, op)
    if op in ("eq", "ne"):
        return _same(left, right) is (op == "eq")
    if op in ("gt", "gte", "lt", "lte"):
        return _ordered(left, op, right)
    if op in ("in", "not_in"):
        items = right if isinstance(right, list) else [x.strip() for x in _text(right).split(",")]
        return any(_same(left, item) for item in items) is (op == "in")
    if op in ("contains", "not_contains"):
        if isinstance(left, list):
            return any(_same(item, right) for item in left) is (op == "contains")
        return (_text(right).casefold() in _text(left).casefold()) is (op == "contains")
    if op == "matches":
        return _matches(_text(left), _text(right))
    a, b = _text(left).casefold(), _text(right).casefold()
    return a.startswith(b) if op == "starts_with" else a.endswith(b)


def _unary(left: Any, op: str) -> bool:
    is_empty = left is None or left in ("", [], {}) or (isinstance(left, str) and not left.strip())
    if op in ("empty", "not_empty"):
        return is_empty is (op == "empty")
    truth = left is True or _text(left).strip().casefold() in ("true", "yes", "1", "да", "так")
    return truth is (op == "is_true")


def _matches(text: str, pattern: str) -> bool:
    """Wildcard match: `*` any run, `?` one character. Not a regular expression: those can be made to run for ever."""
    text, pattern = text.casefold(), pattern.casefold()
    t = p = 0
    star, mark = -1, 0
    while t < len(text):
        if p < len(pattern) and (pattern[p] == "?" or pattern[p] == text[t]) and pattern[p] != "*":
            t, p = t + 1, p + 1
        elif p < len(pattern) and pattern[p] == "*":
            star, mark, p = p, t, p + 1
        elif star >= 0:
            mark += 1
            t, p = mark, star + 1
        else:
            return False
    return all(c == "*" for c in pattern[p:])


def number(value: Any) -> float | None:
    """A number out of a number or a text such as "1 200,50"; None when it is not one."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e300 else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    text = value.strip().replace("\u00a0", "").replace("\u202f", "").replace(" ", "")
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    else:
        text = text.replace(",", "")
    try:
        result = float(text)
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return _text(left).casefold() == _text(right).casefold()
    a, b = number(left), number(right)
    if a is not None and b is not None:
        return a == b
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(x, y) for x, y in zip(left, right, strict=True))
    return _text(left).strip().casefold() == _text(right).strip().casefold()


def _ordered(left: Any, op: str, right: Any) -> bool:
    a: Any = number(left)
    b: Any = number(right)
    if a is None or b is None:
        # ISO dates and times sort as text; anything else has no order.
        a, b = _text(left), _text(right)
        if not (_looks_like_time(a) and _looks_like_time(b)):
            return False
    return bool({"gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b}[op])


def _looks_like_time(text: str) -> bool:
    return len(text) >= 10 and text[:4].isdigit() and text[4] == "-" and text[5:7].isdigit() and text[7] == "-"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def references(condition: Condition) -> Iterator[str]:
    """Every reference path a condition reads (texts are not looked into; see `templates.variables`)."""
    if isinstance(condition, All):
        for c in condition.all:
            yield from references(c)
    elif isinstance(condition, AnyOf):
        for c in condition.any:
            yield from references(c)
    elif isinstance(condition, Not):
        yield from references(condition.part)
    else:
        for operand in (condition.left, condition.right):
            if isinstance(operand, Ref):
                yield operand.ref
