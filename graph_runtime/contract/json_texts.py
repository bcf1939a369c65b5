"""JSON written with {{variables}}: read as JSON first and filled in afterwards, so no value can change its shape."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.outside_words import sentence

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\{\{.*?\}\}', re.DOTALL)
_ONE_REF: Final = re.compile(r"\s*\{\{-?\s*([a-z]\w*(?:\.\w+)+)\s*-?\}\}\s*")
_BARE: Final = "\x00"
"""Marks a text that stood in the source without quotation marks; JSON cannot contain it unescaped."""

Resolve = Callable[[str], Any]
Render = Callable[[str], str]


@lru_cache(maxsize=512)
def parse(source: str) -> Any:
    """The JSON with its placeholders as texts. Raises: TemplateInvalid with line and column."""

    def quoted(found: re.Match[str]) -> str:
        token = found.group()
        return token if token.startswith('"') else json.dumps(_BARE + token)

    text = _TOKEN.sub(quoted, source)
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        where = f"line {e.lineno}, column {e.colno}" if isinstance(e, json.JSONDecodeError) else "somewhere"
        raise TemplateInvalid(
            sentence("bad_json", where=where),
            reason=where,
        ) from None


def fill(source: str, resolve: Resolve, render: Render) -> Any:
    """The JSON value. One reference without quotation marks, such as `{{ var.budget }}`, keeps its type; other filled
    text without them that reads as a number, true, false or null becomes that. In quotation marks all is text.

    Raises: TemplateInvalid.
    """
    return _fill(parse(source), resolve, render)


def one_value(text: str, resolve: Resolve, render: Render) -> Any:
    """A filled text; one that is a single reference keeps its type."""
    alone = _ONE_REF.fullmatch(text)
    return resolve(alone.group(1)) if alone else render(text)


def _fill(value: Any, resolve: Resolve, render: Render) -> Any:
    if isinstance(value, dict):
        return {render(k) if "{{" in k else k: _fill(v, resolve, render) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, resolve, render) for v in value]
    if not isinstance(value, str):
        return value
    is_bare, text = value.startswith(_BARE), value.removeprefix(_BARE)
    alone = _ONE_REF.fullmatch(text)
    if alone and is_bare:
        return resolve(alone.group(1))
    filled = render(text) if "{{" in text or "{%" in text else text
    return _scalar(filled) if is_bare else filled


def _scalar(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, dict | list) else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _checked(text: str) -> str:
    try:
        if text.strip():
            parse(text)
    except TemplateInvalid as e:
        raise ValueError(e.message) from None
    return text


JsonText = Annotated[str, AfterValidator(_checked)]
"""A setting that holds JSON with variables; empty is allowed."""
