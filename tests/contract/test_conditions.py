"""Conditions: what the operators mean, and that nothing a person or a contact types makes them raise."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from graph_runtime.contract.conditions import UNARY, Condition, Operator, compare, evaluate, number, references

CONDITION: TypeAdapter[Condition] = TypeAdapter(Condition)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("left", "op", "right", "expected"),
    [
        ("500 000", "gte", 500000, True),
        ("1 200,50", "eq", 1200.5, True),
        (12, "eq", "12", True),
        ("Yes", "eq", "yes", True),
        ("ДА", "eq", "да", True),
        (None, "eq", "", True),
        (None, "gt", 1, False),
        ("abc", "lt", "abd", False),
        ("2026-05-01", "lt", "2026-11-21", True),
        ("I want a REFUND", "contains", "refund", True),
        (["a", "b"], "contains", "B", True),
        (["a"], "not_contains", "b", True),
        ("b", "in", "a, b, c", True),
        ("b", "in", ["a", "B"], True),
        ("z", "not_in", ["a"], True),
        ("  ", "empty", None, True),
        (0, "empty", None, False),
        ([], "empty", None, True),
        ("так", "is_true", None, True),
        (False, "is_true", None, False),
        ("Kyiv office", "starts_with", "kyiv", True),
        ("order-123", "matches", "order-*", True),
        ("order-123", "matches", "order-???", True),
        ("order-1234", "matches", "order-???", False),
        ("", "matches", "*", True),
        (True, "eq", "true", True),
        (True, "eq", 1, False),
    ],
)
def test_operators(left: Any, op: Operator, right: Any, expected: bool) -> None:
    assert compare(left, op, right) is expected


@given(json_values, st.sampled_from(get_args(Operator)), json_values)
def test_any_values_compare_without_raising(left: Any, op: Operator, right: Any) -> None:
    assert compare(left, op, right) in (True, False)


@given(json_values, json_values)
def test_opposites_are_opposite(left: Any, right: Any) -> None:
    for yes, no in (("eq", "ne"), ("contains", "not_contains"), ("in", "not_in"), ("empty", "not_empty")):
        assert compare(left, yes, right) is not compare(left, no, right)  # type: ignore[arg-type]


def test_a_hostile_wildcard_ends_quickly() -> None:
    assert compare("a" * 5000 + "b", "matches", "*a" * 200 + "*c") is False


def test_groups_and_references() -> None:
    condition = CONDITION.validate_python(
        {
            "all": [
                {"left": {"ref": "var.budget"}, "op": "gte", "right": {"value": 500}},
                {"not": {"any": [{"left": {"ref": "contact.city"}, "op": "eq", "right": {"text": "{{ var.city }}"}}]}},
            ]
        }
    )
    values = {"var.budget": "700", "contact.city": "Lviv"}
    assert list(references(condition)) == ["var.budget", "contact.city"]
    assert evaluate(condition, values.get, lambda text: "Kyiv") is True
    assert evaluate(condition, values.get, lambda text: "Lviv") is False


def test_an_empty_group() -> None:
    assert evaluate(CONDITION.validate_python({"all": []}), lambda r: None, str) is True
    assert evaluate(CONDITION.validate_python({"any": []}), lambda r: None, str) is False


@pytest.mark.parametrize(
    "bad", [{"left": {"ref": "a"}, "op": "eval"}, {"code": "x"}, {"left": {"py": "1"}, "op": "eq"}, 3]
)
def test_anything_else_is_not_a_condition(bad: Any) -> None:
    with pytest.raises(ValueError, match="validation error"):
        CONDITION.validate_python(bad)


def test_numbers() -> None:
    assert number("1 000 000") == 1_000_000
    assert number("1,000,000") == 1_000_000
    assert number("nan") is None
    assert number("inf") is None
    assert number("9" * 400) is None
    assert number(True) is None
    assert {"empty"} <= UNARY
