"""Rules, masks, durations and typed fields."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.durations import duration_seconds
from graph_runtime.contract.rules import Rule, fits_mask, fits_schema, is_kept
from graph_runtime.contract.structure import TypedField, fit, object_schema

TODAY = date(2026, 3, 2)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "enum", "properties", "required", "items", "minimum", "maxLength", "a"]), inner
        ),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("rule", "value", "kept"),
    [
        ({"kind": "required"}, "", False),
        ({"kind": "required"}, 0, True),
        ({"kind": "required"}, [], False),
        ({"kind": "length", "minimum": 2, "maximum": 3}, "abcd", False),
        ({"kind": "length", "minimum": 2, "maximum": 3}, "", True),
        ({"kind": "range", "minimum": 1, "maximum": 10}, "пять", True),
        ({"kind": "range", "minimum": 1, "maximum": 10}, "11", False),
        ({"kind": "range", "minimum": 1}, "some", False),
        ({"kind": "mask", "mask": "AB-####"}, "ab-1234", True),
        ({"kind": "mask", "mask": "AB-####"}, "AB-12345", False),
        ({"kind": "one_of", "values": ["Red", "White"]}, " red. ", True),
        ({"kind": "not_one_of", "values": ["Red"]}, "RED", False),
        ({"kind": "email"}, "later", False),
        ({"kind": "date"}, "завтра", True),
        ({"kind": "schema", "schema_text": '{"type": "object", "required": ["a"]}'}, '{"a": 1}', True),
        ({"kind": "schema", "schema_text": '{"type": "object", "required": ["a"]}'}, "{}", False),
        ({"kind": "schema", "schema_text": "not json"}, "{}", False),
    ],
)
def test_rules(rule: dict[str, Any], value: Any, kept: bool) -> None:
    assert is_kept(Rule.model_validate(rule), value, language="en", today=TODAY) is kept


@pytest.mark.parametrize(
    ("text", "mask", "fits"),
    [
        ("abc", "a*", True),
        ("abc", "*c", True),
        ("abc", "*b*", True),
        ("abc", "?", False),
        ("a1", "?#", True),
        ("", "*", True),
        ("x", "", True),
    ],
)
def test_masks(text: str, mask: str, fits: bool) -> None:
    assert fits_mask(text, mask) is fits


def test_a_wicked_mask_is_quick() -> None:
    assert not fits_mask("a" * 500, "*a" * 99 + "b")


@given(value=JSON, schema=JSON)
def test_any_schema_and_value_give_an_answer(value: Any, schema: Any) -> None:
    assert fits_schema(value, schema) in (True, False)
    is_kept(Rule(kind="schema", schema_text=json.dumps(schema)), value, language="en", today=TODAY)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("PT24H", 86_400),
        ("P1DT12H", 129_600),
        ("P1W", 604_800),
        ("PT30S", 30),
        ("P", None),
        ("PT0S", None),
        ("1 day", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        ("number", "пять", 5),
        ("number", 5.5, 5.5),
        ("number", True, None),
        ("boolean", "yes", True),
        ("boolean", False, False),
        ("date", "12 March", "2026-03-12"),
        ("choice", "RED", "red"),
        ("choice", "green", None),
        ("list", ["a", " ", 3], ["a", "3"]),
        ("list", "a, b", ["a", "b"]),
        ("email", "no", None),
        ("text", {"a": 1}, None),
        ("text", "  x ", "x"),
        ("text", None, None),
    ],
)
def test_what_a_model_returns_is_fitted(kind: Any, given_value: Any, expected: Any) -> None:
    field = TypedField(id="f", label="x", type=kind, options=("red", "white"))
    assert fit(given_value, field, language="ru", today=TODAY) == expected


def test_a_schema_demands_every_field_and_allows_null() -> None:
    schema = object_schema([TypedField(id="f", label="Colour", type="choice", options=("red",), save_to="colour")])
    assert schema["required"] == ["colour"]
    assert schema["properties"]["colour"]["enum"] == ["red", None]
    assert schema["additionalProperties"] is False
