"""State of a condition that is being built: groups of comparisons. Forms that have one inherit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from builder_ui.pages.condition_rows import (
    JOINED,
    MOST_GROUPS,
    MOST_PARTS,
    OPERATORS,
    ConditionGroup,
    ConditionPart,
    condition_of,
    groups_of,
)
from builder_ui.session import Session, handler

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal


class ConditionForm(Session, mixin=True):
    """A condition that the form cannot show is kept as it is (`is_condition_kept`)."""

    joined: str = "all"
    groups: list[ConditionGroup] = []
    is_condition_kept: bool = False
    _kept: dict[str, Any] = {}

    def _show_condition(self, condition: Mapping[str, Any]) -> None:
        found = groups_of(condition)
        self.is_condition_kept, self._kept = found is None, dict(condition)
        self.joined, self.groups = found or ("all", [])

    def _condition(self) -> dict[str, Any]:
        return self._kept if self.is_condition_kept else condition_of(self.joined, self.groups)

    async def _condition_changed(self, who: Principal) -> None:
        """A form that checks itself while it is filled in says so here."""

    def _first(self) -> ConditionPart:
        return ConditionPart(ref="contact.tags", op="contains")

    def _put_group(self, place: int, group: ConditionGroup) -> None:
        self.groups = [group if n == place else g for n, g in enumerate(self.groups)]

    @handler
    async def join_groups(self, who: Principal, joined: str) -> None:
        """All groups must hold, or any one."""
        if joined in JOINED:
            self.joined = joined
            await self._condition_changed(who)

    @handler
    async def join_group(self, who: Principal, group: int, joined: str) -> None:
        """All comparisons of a group must hold, or any one."""
        if joined in JOINED and 0 <= int(group) < len(self.groups):
            self._put_group(int(group), replace(self.groups[int(group)], joined=joined))
            await self._condition_changed(who)

    @handler
    async def add_group(self, who: Principal) -> None:
        """Another group, with one comparison."""
        self.groups = [*self.groups, ConditionGroup("all", [self._first()])][:MOST_GROUPS]
        await self._condition_changed(who)

    @handler
    async def add_part(self, who: Principal, group: int) -> None:
        """Another comparison of a group."""
        if 0 <= int(group) < len(self.groups):
            found = self.groups[int(group)]
            self._put_group(int(group), replace(found, parts=[*found.parts, self._first()][:MOST_PARTS]))
            await self._condition_changed(who)

    @handler
    async def put_part(self, who: Principal, group: int, place: int, name: str, value: str) -> None:
        """A comparison was filled in: its ref, op or value."""
        if name not in ("ref", "op", "value") or (name == "op" and value not in OPERATORS):
            return
        if 0 <= int(group) < len(self.groups):
            found = self.groups[int(group)]
            parts = [
                replace(p, **{name: str(value)[:200]}) if n == int(place) else p for n, p in enumerate(found.parts)
            ]
            self._put_group(int(group), replace(found, parts=parts))
            await self._condition_changed(who)

    @handler
    async def drop_part(self, who: Principal, group: int, place: int) -> None:
        """Take a comparison away; a group goes with its last one."""
        if 0 <= int(group) < len(self.groups):
            found = self.groups[int(group)]
            self._put_group(int(group), replace(found, parts=[p for n, p in enumerate(found.parts) if n != int(place)]))
            self.groups = [g for g in self.groups if g.parts]
            await self._condition_changed(who)

    @handler
    async def build_anew(self, who: Principal) -> None:
        """Drop a condition that the form cannot show."""
        self.is_condition_kept, self._kept, self.joined = False, {}, "all"
        self.groups = [ConditionGroup("all", [self._first()])]
        await self._condition_changed(who)
