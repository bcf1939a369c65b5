"""Places inside a JSON value, written as `data.items[0].name`; `[*]` means every entry of a list."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from graph_runtime.contract.errors import InputInvalid

MAX_POINTER: Final = 500
_PART: Final = re.compile(r'\[(\d{1,6}|\*|"(?:[^"\\]|\\.)*")\]|\.?([^.\[\]"]+)')

Key = str | int
"""A name, a position, or "*" in a list; names that are "*" cannot be told from it and are not offered."""


@lru_cache(maxsize=2048)
def parse(pointer: str) -> tuple[Key, ...]:
    """The keys of a place, outermost first; none for the whole value. Raises: InputInvalid."""
    text = pointer.strip().removeprefix("$")
    keys: list[Key] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or len(text) > MAX_POINTER:
            raise InputInvalid(
                f"“{pointer[:80]}” is not a place in an answer. Write it as data.items[0].name.", field="pointer"
            )
        inside, name = found.groups()
        if name is not None:
            keys.append(name.strip())
        elif inside.isdigit():
            keys.append(int(inside))
        else:
            keys.append("*" if inside == "*" else json.loads(inside))
        at = found.end()
    return tuple(keys)


def read(value: Any, pointer: str) -> Any:
    """The value at a place, None when there is none; with `[*]` the list of what the entries have there.

    Raises: InputInvalid when the place is not written right.
    """
    return _read(value, parse(pointer))


def _read(value: Any, keys: tuple[Key, ...]) -> Any:
    for at, key in enumerate(keys):
        if key == "*" and isinstance(value, list):
            found = (_read(entry, keys[at + 1 :]) for entry in value)
            return [entry for entry in found if entry is not None]
        if isinstance(value, dict):
            value = value.get(str(key))
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _checked(pointer: str) -> str:
    try:
        parse(pointer)
    except InputInvalid as e:
        raise ValueError(e.message) from None
    return pointer


Pointer = Annotated[str, AfterValidator(_checked)]
"""A setting that holds a place."""
