"""Conditions as forms show them: groups of comparisons, and groups joined; and back into a condition. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

OPERATORS: Final = (
    "eq", "ne", "contains", "not_contains", "starts_with", "ends_with", "gt", "gte", "lt", "lte", "not_empty", "empty",
    "is_true", "is_false",
)  # fmt: skip
ALONE: Final = ("not_empty", "empty", "is_true", "is_false")
"""Operators that compare with nothing."""
JOINED: Final = ("all", "any")
MOST_PARTS: Final = 20
MOST_GROUPS: Final = 10


@dataclass(frozen=True)
class ConditionPart:
    """One comparison: a path, how, and with what."""

    ref: str = ""
    op: str = "eq"
    value: str = ""


@dataclass(frozen=True)
class ConditionGroup:
    """Comparisons of which all, or any one, must hold."""

    joined: str = "all"
    parts: list[ConditionPart] = field(default_factory=list)


def groups_of(condition: Mapping[str, Any]) -> tuple[str, list[ConditionGroup]] | None:
    """How groups are joined, and the groups; None for what this form cannot show (“not”, or groups in groups in groups)."""
    joined = next((j for j in JOINED if j in condition), "")
    if not joined:
        part = _part(condition)
        return None if part is None else ("all", [ConditionGroup("all", [part])])
    groups: list[ConditionGroup] = []
    single: list[ConditionPart] = []
    for inner in condition[joined]:
        how = next((j for j in JOINED if j in inner), "")
        parts = [_part(p) for p in (inner[how] if how else [inner])]
        known = [p for p in parts if p is not None]
        if len(known) != len(parts) or not parts:
            return None
        if how:
            groups.append(ConditionGroup(how, known))
        else:
            single += known
    return joined, [*([ConditionGroup(joined, single)] if single else []), *groups]


def condition_of(joined: str, groups: Iterable[ConditionGroup]) -> dict[str, Any]:
    """The condition; comparisons that name nothing are left out, and groups that need not be one are none."""
    found: list[dict[str, Any]] = []
    filled = [(g.joined, [_comparison(p) for p in g.parts if p.ref.strip()]) for g in groups]
    filled = [(how, parts) for how, parts in filled if parts]
    if len(filled) == 1:
        return {filled[0][0]: filled[0][1]}
    for how, parts in filled:
        found.extend(parts if how == joined or len(parts) == 1 else [{how: parts}])
    return {joined: found} if found else {"all": []}


def _part(condition: Mapping[str, Any]) -> ConditionPart | None:
    right = condition.get("right") or {}
    value = right.get("value")
    if "ref" not in condition.get("left", {}) or condition.get("op") not in OPERATORS:
        return None
    if condition["op"] not in ALONE and ("value" not in right or isinstance(value, list | bool)):
        return None
    return ConditionPart(condition["left"]["ref"], condition["op"], "" if value is None else str(value))


def _comparison(part: ConditionPart) -> dict[str, Any]:
    one = {"left": {"ref": part.ref.strip()}, "op": part.op}
    return one if part.op in ALONE else {**one, "right": {"value": part.value}}
