"""A customer system whose changes we hear of: what we write to it ourselves is noted first, so that it starts nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from graph_runtime.contract.crm import Crm, CrmRecord, Entity

Note = Callable[[Mapping[str, Any]], Awaitable[None]]


class _Noted:
    """Everything is the system's own, but for what changes fields."""

    def __init__(self, crm: Crm, note: Note) -> None:
        self._crm = crm
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    async def create(self, entity: Entity, values: Mapping[str, Any], *, key: str, contact: str = "") -> CrmRecord:
        await self._about(entity, key, values)
        made = await self._crm.create(entity, values, key=key, contact=contact)
        # Where the system keeps no key of ours, only the number tells that it was us.
        await self._about(entity, made.id, values)
        return made

    async def update(self, entity: Entity, record_id: str, values: Mapping[str, Any]) -> CrmRecord | None:
        await self._about(entity, record_id, values)
        return await self._crm.update(entity, record_id, values)

    async def _about(self, entity: Entity, ref: str, values: Mapping[str, Any]) -> None:
        if 1 <= len(ref) <= 200:
            fields = sorted({*values, "name"} if ref.startswith("pc-") else values)
            stage = str(values.get("stage") or "")[:200]
            await self._note({"entity": entity, "ref": ref, "fields": fields, "stage_id": stage})


def noted(crm: Crm, note: Note) -> Crm:
    """The same system; `note` is awaited before each write: {entity, ref, fields, stage_id}."""
    return cast(Crm, _Noted(crm, note))
