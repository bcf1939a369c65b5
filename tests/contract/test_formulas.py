"""Calculations: what they give, and that no value makes them raise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from graph_runtime.contract.formulas import Formula, calculate, formula_references, formula_texts

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FORMULA: TypeAdapter[Formula] = TypeAdapter(Formula)
VALUES = {"price": "19,99", "count": 3, "none": None, "word": "abc", "list": ["a", "b"], "day": "2026-03-10"}


def value(formula: dict[str, Any]) -> Any:
    return calculate(FORMULA.validate_python(formula), lambda ref: VALUES.get(ref.removeprefix("var.")), str.upper, NOW)


def call(fn: str, *args: Any) -> dict[str, Any]:
    return {"fn": fn, "args": [a if isinstance(a, dict) else {"value": a} for a in args]}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (call("add", 1, 2, 3), 6),
        (call("add", {"ref": "var.none"}, 1), 1),
        (call("sub", 10, 3, 2), 5),
        (call("mul", {"ref": "var.price"}, {"ref": "var.count"}), 59.97),
        (call("div", 10, 4), 2.5),
        (call("div", 10, 0), None),
        (call("add", call("div", 10, 0), 1), None),
        (call("add", {"ref": "var.word"}, 1), None),
        (call("round", 2.5), 3),
        (call("round", -2.5), -3),
        (call("round", 1.005, 2), 1.01),
        (call("floor", -1.5), -2),
        (call("ceil", 1.1), 2),
        (call("abs", -4), 4),
        (call("min", 3, 1, 2), 1),
        (call("max", 3, 1, 2), 3),
        (call("concat", "a", 1.0, True, {"ref": "var.list"}), "a1truea, b"),
        (call("concat", {"text": "hi"}), "HI"),
        (call("length", {"ref": "var.list"}), 2),
        (call("length", {"ref": "var.none"}), 0),
        (call("today"), "2026-03-02"),
        (call("now"), "2026-03-02T12:00:00+00:00"),
        (call("add_days", {"ref": "var.day"}, 5), "2026-03-15"),
        (call("add_days", "soon", 5), None),
        (call("days_between", call("today"), {"ref": "var.day"}), 8),
        (call("mul", 1e15, 1e15), None),
        ({"value": "plain"}, "plain"),
    ],
)
def test_values(formula: dict[str, Any], expected: Any) -> None:
    assert value(formula) == expected


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(ValidationError):
        FORMULA.validate_python(call("__import__", "os"))


def test_depth_has_an_end() -> None:
    formula: dict[str, Any] = {"value": 1}
    for _ in range(30):
        formula = call("add", formula)
    assert value(formula) is None


def test_what_a_formula_reads_is_known() -> None:
    formula = FORMULA.validate_python(
        call("add", {"ref": "var.a"}, call("mul", {"text": "{{ var.b }}"}, {"ref": "var.c"}))
    )
    assert list(formula_references(formula)) == ["var.a", "var.c"]
    assert list(formula_texts(formula)) == ["{{ var.b }}"]


ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.text(), max_size=2)
)


@given(
    fn=st.sampled_from(["add", "sub", "mul", "div", "round", "floor", "ceil", "abs", "min", "max", "concat", "length",
                        "add_days", "days_between"]),
    values=st.lists(ANY, max_size=5),
)  # fmt: skip
def test_no_value_makes_it_raise(fn: str, values: list[Any]) -> None:
    formula = FORMULA.validate_python({"fn": fn, "args": [{"ref": f"var.{i}"} for i in range(len(values))]})
    calculate(formula, lambda ref: values[int(ref.removeprefix("var."))], str, NOW)
