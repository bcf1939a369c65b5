"""Calculations as a JSON tree of named functions; pure, total, never raises on any value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from graph_runtime.contract.conditions import Operand, Ref, Resolve, TextValue, Value, number, operand_value

Function = Literal[
    "add", "sub", "mul", "div", "round", "floor", "ceil", "abs", "min", "max",
    "concat", "length", "now", "today", "add_days", "days_between",
]  # fmt: skip
MAX_TEXT = 20_000
MAX_NUMBER = 1e15
MAX_DEPTH = 10
_IMPOSSIBLE = math.nan
"""A part that cannot be calculated; it spoils the whole, where an empty variable would count as 0."""


class Calculation(BaseModel):
    """A function of its arguments, which may be calculations themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fn: Function
    args: list[Formula] = Field(default_factory=list, max_length=20)


def _tag(v: Any) -> str:
    is_calculation = "fn" in v if isinstance(v, dict) else isinstance(v, Calculation)
    return "calculation" if is_calculation else "operand"


Formula = Annotated[
    Annotated[Calculation, Tag("calculation")] | Annotated[Operand, Tag("operand")],
    Discriminator(_tag),
]
Calculation.model_rebuild()


def calculate(formula: Formula, resolve: Resolve, render: Callable[[str], str], now: datetime) -> Any:
    """The value of a formula. Nothing counts as 0; what cannot be calculated (text + 1, a division by 0) is None."""
    value = _value(formula, resolve, render, now, 0)
    return None if _is_impossible(value) else value


def _value(formula: Formula, resolve: Resolve, render: Callable[[str], str], now: datetime, depth: int) -> Any:
    if not isinstance(formula, Calculation):
        return operand_value(formula, resolve, render)
    if depth > MAX_DEPTH:
        return _IMPOSSIBLE
    args = [_value(a, resolve, render, now, depth + 1) for a in formula.args]
    if formula.fn == "now":
        return now.isoformat(timespec="seconds")
    if formula.fn == "today":
        return now.date().isoformat()
    if formula.fn == "concat":
        return "".join(_text(a) for a in args)[:MAX_TEXT]
    if formula.fn == "length":
        first = args[0] if args else None
        return len(first) if isinstance(first, str | list | dict) else 0
    if formula.fn in ("add_days", "days_between"):
        days = _dates(formula.fn, args)
        return _IMPOSSIBLE if days is None else days
    result = _tidy(_arithmetic(formula.fn, args))
    return _IMPOSSIBLE if result is None else result


def _is_impossible(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _arithmetic(fn: str, args: list[Any]) -> float | None:
    numbers = [_number(a) for a in args]
    if not numbers or any(n is None for n in numbers):
        return None
    values = [n for n in numbers if n is not None]
    first, rest = values[0], values[1:]
    if fn == "add":
        return math.fsum(values)
    if fn == "sub":
        return first - math.fsum(rest)
    if fn == "mul":
        return math.prod(values)
    if fn == "div":
        by = math.prod(rest)
        return first / by if by else None
    if fn == "round":
        digits = int(min(max(rest[0], 0), 6)) if rest else 0
        # Half away from zero, as people round money; Python's own rounds half to even.
        shifted = abs(first) * 10**digits
        return math.copysign(math.floor(shifted + 0.5 + 1e-9) / 10**digits, first)
    if fn in ("floor", "ceil"):
        return float(math.floor(first) if fn == "floor" else math.ceil(first))
    if fn == "abs":
        return abs(first)
    return min(values) if fn == "min" else max(values)


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return 0.0
    found = number(value)
    return found if found is not None and abs(found) <= MAX_NUMBER else None


def _tidy(value: float | None) -> float | int | None:
    if value is None or not math.isfinite(value) or abs(value) > MAX_NUMBER:
        return None
    return int(value) if value.is_integer() else round(value, 9)


def _dates(fn: str, args: list[Any]) -> str | int | None:
    first = _day(args[0]) if args else None
    if first is None or len(args) < 2:
        return None
    if fn == "days_between":
        second = _day(args[1])
        return (second - first).days if second else None
    days = number(args[1])
    if days is None or abs(days) > 40_000:
        return None
    try:
        return (first + timedelta(days=int(days))).isoformat()
    except OverflowError:
        return None


def _day(value: Any) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def _text(value: Any) -> str:
    if value is None or _is_impossible(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_NUMBER:
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(_text(v) for v in value)
    return str(value)


def formula_references(formula: Formula) -> Iterator[str]:
    """Every reference path a formula reads (texts are not looked into; see `templates.variables`)."""
    if isinstance(formula, Calculation):
        for part in formula.args:
            yield from formula_references(part)
    elif isinstance(formula, Ref):
        yield formula.ref


def formula_texts(formula: Formula) -> Iterator[str]:
    """Every Liquid text inside a formula."""
    if isinstance(formula, Calculation):
        for part in formula.args:
            yield from formula_texts(part)
    elif isinstance(formula, TextValue):
        yield formula.text


EMPTY_FORMULA: Formula = Value(value=None)
