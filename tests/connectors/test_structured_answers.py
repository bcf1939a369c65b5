"""Finding JSON in what models write, and making it fit a schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._langchain.structured import Misfit, closed, find_object, fit, read
from connectors._langchain.texts import Joiner, clean, clean_all

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "mood": {"enum": ["good", "bad"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "rich": {"type": "boolean"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ann", "age": 5}',
        '  {"name": "Ann", "age": 5}\n\n',
        'Sure!\n```json\n{"name": "Ann", "age": 5}\n```\nAnything else?',
        '```\n{"name": "Ann", "age": 5,}\n```',
        'The answer is {"name": "Ann", "age": 5} as you see.',
        '{"name": "Ann", "age": "5", "unasked": 1}',
        '{"name": "Ann", "age": 5.0}',
    ],
)
def test_the_object_is_found_and_fitted(text: str) -> None:
    assert read(text, PERSON) == {"name": "Ann", "age": 5}


def test_braces_inside_texts_do_not_confuse() -> None:
    assert find_object('say {"a": "} \\" {", "b": {"c": 1}} end }') == {"a": '} " {', "b": {"c": 1}}


def test_a_missing_field_that_may_be_null_becomes_null() -> None:
    assert read('{"name": "Ann"}', PERSON) == {"name": "Ann", "age": None}


@pytest.mark.parametrize(
    "data",
    [
        {"age": 5},
        {"name": 5, "age": 5},
        {"name": "Ann", "age": "five"},
        {"name": "Ann", "age": -1},
        {"name": "Ann", "age": True},
        {"name": "Ann", "age": 5, "mood": "odd"},
        {"name": "Ann", "age": 5, "tags": "one"},
        {"name": "Ann", "age": 5, "tags": [1]},
        {"name": "A" * 21, "age": 5},
        {"name": "Ann", "age": 5, "rich": "maybe"},
    ],
)
def test_what_does_not_fit_is_refused_without_repeating_it(data: dict[str, Any]) -> None:
    with pytest.raises(Misfit) as caught:
        fit(data, PERSON)
    assert str(caught.value).startswith("answer")
    assert "five" not in str(caught.value)
    assert "maybe" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "no json", "[1, 2]", '{"name": ', "{" * 5000, '{"a":' * 5000])
def test_no_object_is_no_answer(text: str) -> None:
    with pytest.raises(Misfit):
        read(text, PERSON)


def test_alternatives_are_tried_in_turn() -> None:
    schema = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert [fit(v, schema) for v in (3, "3", None, "null")] == [3, 3, None, None]
    with pytest.raises(Misfit):
        fit("three", schema)


def test_strict_mode_only_when_every_field_is_required() -> None:
    assert closed(PERSON)[1] is False
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    done, strict = closed(schema)
    assert strict
    assert done["additionalProperties"] is False
    assert "additionalProperties" not in schema


def test_a_field_called_properties_is_only_a_field() -> None:
    schema = {"type": "object", "properties": {"properties": {"type": "string"}}, "required": ["properties"]}
    assert closed(schema)[1]
    assert read('{"properties": "x"}', schema) == {"properties": "x"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), VALUES), st.text(alphabet="abc .,:`'", max_size=30))
def test_any_object_survives_the_words_around_it(data: dict[str, Any], words: str) -> None:
    assert find_object(f"{words}\n{json.dumps(data)}\n{words}") == data


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(read(text, PERSON), dict)
    except Misfit:
        pass


HALVES = st.text(alphabet=st.sampled_from("a😀б\ud83d\ude00\x00"), max_size=12)


@given(HALVES)
def test_clean_text_can_be_stored(text: str) -> None:
    cleaned = clean(text)
    assert "\x00" not in cleaned
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned


@given(st.lists(HALVES, max_size=6))
def test_a_stream_is_cleaned_as_the_whole_would_be(pieces: list[str]) -> None:
    joiner = Joiner()
    assert "".join([*(joiner.feed(p) for p in pieces), joiner.close()]) == clean("".join(pieces))


def test_every_text_inside_a_value_is_cleaned() -> None:
    assert clean_all({"a\ud83d": ["\x00", 1, None]}) == {"a\ufffd": ["\ufffd", 1, None]}
