"""Cleans text that crosses the border to a model vendor: no half surrogates, no NUL."""

from __future__ import annotations

from typing import Any


def clean(text: str) -> str:
    """Join surrogate pairs, replace lone halves and NUL (PostgreSQL and UTF-8 accept neither) by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_all(value: Any) -> Any:
    """`clean` every string inside a JSON value."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(k)): clean_all(v) for k, v in value.items()}
    if isinstance(value, list):
        return [clean_all(v) for v in value]
    return value


class Joiner:
    """Cleans a stream of pieces; a first half of a pair is held back until its second half comes."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        text = self._held + piece
        self._held = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return clean(text)

    def close(self) -> str:
        """What is left: a half that never met its other half."""
        held, self._held = self._held, ""
        return clean(held)
