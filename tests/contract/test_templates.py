"""Liquid texts: what they read, and that no text can run code, read files, loop for ever or grow without end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.templates import fill_in, render, variables

VALUES = {"var": {"name": "Оля", "items": ["a", "b"]}, "contact": {"first_name": None}}


def test_filling() -> None:
    text = (
        "Hi {{ contact.first_name | default: 'friend' }}, {{ var.name }}! {% for i in var.items %}{{ i }};{% endfor %}"
    )
    assert render(text, VALUES) == "Hi friend, Оля! a;b;"
    assert variables(text) == {"contact.first_name", "var.name", "var.items"}


def test_a_missing_value_is_empty() -> None:
    assert render("[{{ var.nothing.at.all }}]", VALUES) == "[]"


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{% for i in (1..900) %}{% for j in (1..900) %}{{ var.name }}{% endfor %}{% endfor %}",
        "{% assign a = 'xxxxxxxxxx' %}{% for i in (1..900) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
        "{% include 'file' %}",
        "{% render '/etc/passwd' %}",
        "{{ x",
        "{{ 'a' | nosuch }}",
        "{% if %}" * 2000,
        "x{{ " + "y" * 30_000 + " }}",
    ],
)
def test_a_hostile_text_is_refused_quickly(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(TemplateInvalid):
        render(text, VALUES)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "text",
    ["{{ var.__class__.__mro__ }}", "{{ now.__init__.__globals__ }}", "{{ step.f.__code__ }}", "{{ contact.pop }}"],
)
def test_python_is_out_of_reach(text: str) -> None:
    now, step = Path("/etc"), {"f": render}
    assert render(text, VALUES | {"now": now, "step": step}) == ""


NAMES = st.sampled_from(["a", "b", "list", "size_of", "missing", "size", "first"])
TEXT = st.text(st.sampled_from("x{}% \n#-|'\"ы\u2028"), max_size=6)
STORED = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(NAMES, st.integers(), max_size=2),
)  # fmt: skip


@given(
    st.lists(st.one_of(TEXT, st.builds(lambda root, names: "{{ " + ".".join([root, *names]) + "}}",
             st.sampled_from(["var", "step", "contact", "now"]), st.lists(NAMES, min_size=1, max_size=2))), max_size=4),
    st.dictionaries(NAMES, STORED, max_size=4),
)  # fmt: skip
def test_the_quick_way_says_what_liquid_says(parts: list[str], values: dict[str, Any]) -> None:
    source = "".join(parts)
    data: dict[str, Any] = {"var": values, "contact": {}, "step": {}, "message": {}}

    def value_of(path: str) -> Any:
        found: Any = data
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found

    filled = fill_in(source, value_of)
    if filled is not None:
        assert filled == render(source, data)


def test_the_quick_way_is_taken_for_plain_references_only() -> None:
    def value_of(path: str) -> Any:
        return {"var.name": "Ann", "var.n": 3, "var.yes": True, "message.text": "hi"}.get(path)

    assert fill_in("Dear {{ var.name }}, {{var.n}}: {{ message.text }}", value_of) == "Dear Ann, 3: hi"
    for source in (
        "{{ var.name | upcase }}",
        "{% if var.n %}x{% endif %}",
        "{{ var.name.size }}",
        "{{ var.yes }}",
        "{{ now }}",
        "{{- var.n }}",
    ):
        assert fill_in(source, value_of) is None, source
    assert fill_in("{{ var.name }}", lambda _: "x" * 60_000) is None
