"""JSON with variables keeps its shape whatever the values are; places in answers are read as they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract import json_texts, pointers
from graph_runtime.contract.errors import InputInvalid, TemplateInvalid
from graph_runtime.contract.web_requests import Pair, address

VALUES: dict[str, Any] = {"var.n": 5, "var.s": 'a"b', "var.l": [1, "x"], "var.none": None}


def fill(source: str, values: dict[str, Any] = VALUES) -> Any:
    def render(text: str) -> str:
        for name, value in values.items():
            text = text.replace("{{ " + name + " }}", "" if value is None else str(value))
        return text

    return json_texts.fill(source, values.get, render)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"a": "{{ var.s }}"}', {"a": 'a"b'}),
        ('{"a": {{ var.n }}, "b": "{{ var.n }}"}', {"a": 5, "b": "5"}),
        ('{"a": {{ var.l }}, "b": [{{ var.none }}]}', {"a": [1, "x"], "b": [None]}),
        ('{"{{ var.n }}": true, "c": null, "d": 1.5}', {"5": True, "c": None, "d": 1.5}),
        ('{"a": "x {{ var.n }} y \\" {"}', {"a": 'x 5 y " {'}),
        ("{{ var.l }}", [1, "x"]),
        ("[]", []),
    ],
)
def test_filling(source: str, expected: Any) -> None:
    assert fill(source) == expected


@pytest.mark.parametrize(
    "source", ['{"a": }', "{'a': 1}", '{"a": {{ var.n }', "{", "[1,]", '{"a": NaN}', '{"a" {{ var.n }}}']
)
def test_what_is_no_json_is_refused(source: str) -> None:
    with pytest.raises(TemplateInvalid):
        json_texts.parse(source)


@given(st.text())
def test_no_value_changes_the_shape(value: str) -> None:
    filled = fill('{"a": "{{ var.x }}", "b": {{ var.x }}, "c": ["- {{ var.x }} -"]}', {"var.x": value})
    assert filled == {"a": value, "b": value, "c": [f"- {value} -"]}
    assert json.loads(json.dumps(filled)) == filled


@given(st.text())
def test_no_value_changes_where_a_request_goes(value: str) -> None:
    def render(text: str) -> str:
        return text.replace("{{ v }}", value)

    url = address("https://api.example.com/a/{{ v }}/b?q={{ v }}", [Pair(name="n", value="{{ v }}")], render)
    assert url.startswith("https://api.example.com/a/")
    assert url.count("/") == 5
    assert url.count("?") == 1
    assert url.count("&") == 1
    assert not set(url) & set(" #\\\"'\r\n")


ANSWER = {"data": {"items": [{"name": "Tea", "n.o": 1}, {"name": "Cup"}, {}]}, "x y": {"1": "one"}, "": 0}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", ANSWER), ("$.data.items[1].name", "Cup"), ("data.items[*].name", ["Tea", "Cup"]), ("data.items[9]", None),
        ('data.items[0]["n.o"]', 1), ("x y.1", "one"), ('["x y"]["1"]', "one"), ("data.nothing.more", None),
        ("data.items.name", None), ("data[*]", None),
    ],
)  # fmt: skip
def test_places_in_an_answer(pointer: str, expected: Any) -> None:
    assert pointers.read(ANSWER, pointer) == expected


@pytest.mark.parametrize("pointer", ["a[", "a[b]", "a..", "[]", "a" * 600 + ".b"])
def test_what_is_no_place_is_refused(pointer: str) -> None:
    with pytest.raises(InputInvalid):
        pointers.parse(pointer)
