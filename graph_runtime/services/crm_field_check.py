"""Before publishing: whether what steps write to a customer system fits the fields that it has now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final, cast

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.crm import ENTITIES, Entity
from graph_runtime.contract.crm_values import fits
from graph_runtime.contract.errors import AccessDenied, BuilderError
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.forms import FieldValue, walk
from graph_runtime.contract.problems import Problem
from graph_runtime.services.principal import Principal
from graph_runtime.services.remote_options import RemoteOption, RemoteOptions

SECONDS: Final = 5.0
"""All accounts together; one that does not answer in time keeps nobody from publishing."""
FIELDS: Final = "crm.fields"


class CrmFieldCheck:
    """Reads the fields of the accounts that a flow's steps name, as the side panel does."""

    def __init__(self, catalog: Catalog, options: RemoteOptions) -> None:
        self._catalog = catalog
        self._options = options

    async def of(self, principal: Principal, agent_id: str, flows: Iterable[Flow]) -> dict[str, tuple[Problem, ...]]:
        """Flow id → warnings; empty where nothing is known of an account."""
        found: dict[str, tuple[Problem, ...]] = {}
        known: dict[tuple[str, Entity], tuple[RemoteOption, ...]] = {}
        try:
            async with asyncio.timeout(SECONDS):
                for flow in flows:
                    if problems := [p async for p in self._flow(principal, agent_id, flow, known)]:
                        found[flow.id] = tuple(problems)
        except (TimeoutError, AccessDenied):
            return found
        return found

    async def _flow(
        self, principal: Principal, agent_id: str, flow: Flow, known: dict[tuple[str, Entity], tuple[RemoteOption, ...]]
    ) -> AsyncIterator[Problem]:
        for node_id, node in flow.nodes.items():
            kind = self._catalog.nodes.get(node.type)
            if kind is None or not node.enabled:
                continue
            filled = [*walk(kind.form(), node.settings)]
            named = [v for v in filled if v.field.of == FIELDS and v.value]
            values = {v.path: v.value for v in filled}
            entity = values.get("entity")
            slot = next((v.value for v in filled if v.field.widget == "connection"), "")
            if not named or not slot or entity not in ENTITIES:
                continue
            place = (str(slot), cast(Entity, entity))
            if place not in known:
                try:
                    known[place] = await self._options.of(principal, agent_id, place[0], FIELDS, place[1])
                except AccessDenied:
                    raise
                except BuilderError:
                    known[place] = ()  # not bound, or away: other checks and the step itself say so
            fields = {option.id: option for option in known[place]}
            for problem in _problems(node_id, named, values, fields) if fields else ():
                yield problem


def _problems(
    node_id: str, named: Iterable[FieldValue], values: Mapping[str, Any], fields: Mapping[str, RemoteOption]
) -> Iterator[Problem]:
    for at in named:
        field = fields.get(str(at.value))
        beside = f"{at.path.rpartition('.')[0]}.value"
        if field is None:
            yield Problem("F034", "warning", node_id, at.path, params={"field": str(at.value)})
        elif not _may_fit(field, values.get(beside)):
            shown = {"field": field.label, "value": str(values[beside])[:80]}
            yield Problem("F035", "warning", node_id, beside, params=shown)


def _may_fit(field: RemoteOption, value: Any) -> bool:
    """What a conversation fills in is only known then."""
    text = str(value).strip() if value is not None else ""
    return not text or "{{" in text or "{%" in text or fits(field.kind, field.options, text)
