"""Liquid texts: what they read, and that no text can run code, read files, loop for ever or grow without end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.templates import render, variables

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
