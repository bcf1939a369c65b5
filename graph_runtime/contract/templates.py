"""Liquid texts with limits: what a text reads, whether it can be read, and how it is filled. Never evaluates code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError

from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.outside_words import sentence

MAX_SOURCE = 20_000
MAX_OUTPUT_BYTES = 200_000
ROOTS = ("var", "contact", "message", "conversation", "call", "step", "now", "workspace")


class _Limited(Environment):
    loop_iteration_limit = 1_000
    local_namespace_limit = 50_000
    output_stream_limit = MAX_OUTPUT_BYTES
    context_depth_limit = 10


_ENVIRONMENT = _Limited(extra=False, autoescape=False, loader=None)


@lru_cache(maxsize=4096)
def parse(source: str) -> BoundTemplate:
    """Parse a text. Raises: TemplateInvalid with the line and what to mend."""
    if len(source) > MAX_SOURCE:
        raise TemplateInvalid(sentence("text_too_long", limit=MAX_SOURCE), limit=MAX_SOURCE)
    try:
        return _ENVIRONMENT.from_string(source)
    except (LiquidError, RecursionError) as e:
        raise TemplateInvalid(
            sentence("text_unreadable", why=_reason(e)),
            reason=_reason(e),
        ) from None


_REFERENCE = re.compile(r"\{\{ *((?:var|message|contact|step)(?:\.[A-Za-z_][A-Za-z0-9_]*)+) *\}\}")
_LIQUIDS_OWN = frozenset({"size", "first", "last"})


@lru_cache(maxsize=4096)
def _pieces(source: str) -> tuple[str, ...] | None:
    """Text, path, text, path … text, of a source that holds nothing else; None when Liquid has to read it."""
    pieces = tuple(_REFERENCE.split(source))
    if len(source) > MAX_SOURCE or any("{" in text or "}" in text for text in pieces[::2]):
        return None
    return None if any(_LIQUIDS_OWN.intersection(path.split(".")) for path in pieces[1::2]) else pieces


def fill_in(source: str, value_of: Callable[[str], Any]) -> str | None:
    """Fill a text that only inserts texts and whole numbers by their paths, as `render` would, many times as fast.

    None when it does more than that: then `render` has to.
    """
    pieces = _pieces(source)
    if pieces is None:
        return None
    found = [*pieces]
    for place in range(1, len(found), 2):
        value = value_of(found[place])
        if type(value) is int:
            value = str(value)
        elif type(value) is not str:
            return None
        found[place] = value
    filled = "".join(found)
    return filled if len(filled) * 4 <= MAX_OUTPUT_BYTES else None


def render(source: str, values: Mapping[str, Any]) -> str:
    """Fill a text. Raises: TemplateInvalid when it cannot be read or exceeds a limit."""
    if "{{" not in source and "{%" not in source:
        return source
    try:
        return parse(source).render(**values)
    except (LiquidError, RecursionError) as e:
        raise TemplateInvalid(sentence("text_unfilled", why=_reason(e)), reason=_reason(e)) from None


@lru_cache(maxsize=4096)
def variables(source: str) -> frozenset[str]:
    """Reference paths a text reads, such as `var.budget`; empty for a text that cannot be read."""
    if "{{" not in source and "{%" not in source:
        return frozenset()
    try:
        analysis = parse(source).analyze()
    except (TemplateInvalid, LiquidError):
        return frozenset()
    return frozenset(
        ".".join(str(s) for s in variable.segments)
        for places in analysis.globals.values()
        for variable in places
        if all(isinstance(s, str | int) for s in variable.segments)
    )


def _reason(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__
