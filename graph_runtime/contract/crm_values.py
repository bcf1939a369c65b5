"""Values of typed fields of a customer system, as flows write them: what fits a field, and what it becomes there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any


def number_of(value: Any) -> float:
    """A number, written as people do: “1 200,50”. Raises: ValueError."""
    return float(str(value).replace(" ", "").replace(",", "."))


def moment_of(value: Any) -> datetime:
    """A day, or a moment with “T” in it, in ISO form; without a time zone it is UTC. Raises: ValueError."""
    text = str(value)
    at = (
        datetime.fromisoformat(text) if "T" in text else datetime.combine(date.fromisoformat(text), datetime.min.time())
    )
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def choice_of(value: Any, options: Iterable[tuple[str, str]]) -> str:
    """The id of a choice, chosen by id or label. Raises: ValueError."""
    wanted = str(value).strip()
    for number, label in options:
        if wanted == number or wanted.casefold() == label.casefold():
            return number
    raise ValueError(wanted)


def choices_of(value: Any) -> list[Any]:
    """Several choices, as a list or with commas."""
    return value if isinstance(value, list) else str(value).split(",")


def fits(kind: str, options: tuple[tuple[str, str], ...], value: Any) -> bool:
    """Whether a field of this kind (`FieldKind`) can keep the value."""
    try:
        if kind == "number":
            number_of(value)
        elif kind == "date":
            moment_of(value)
        elif kind in ("choice", "choices") and options:
            for one in choices_of(value) if kind == "choices" else [value]:
                choice_of(one, options)
    except ValueError:
        return False
    return True
