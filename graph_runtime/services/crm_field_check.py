"""Before publishing: whether what steps write to a customer system fits the fields that it has now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, cast

from graph_runtime.contract.crm import ENTITIES, Entity
from graph_runtime.contract.errors import AccessDenied, BuilderError
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.problems import Problem
from graph_runtime.services.principal import Principal
from graph_runtime.services.remote_options import RemoteOption, RemoteOptions

SECONDS: Final = 5.0
"""All accounts together; one that does not answer in time keeps nobody from publishing."""
STEP: Final = "crm_update"


class CrmFieldCheck:
    """Reads the fields of the accounts that a flow's steps write to, as the side panel does."""

    def __init__(self, options: RemoteOptions) -> None:
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
            if node.type != STEP or not node.enabled:
                continue
            settings = node.settings
            entity = settings.get("entity", "lead")
            place = (str(settings.get("connection") or "crm"), cast(Entity, entity))
            if entity not in ENTITIES:
                continue
            if place not in known:
                try:
                    known[place] = await self._options.of(principal, agent_id, place[0], "crm.fields", place[1])
                except AccessDenied:
                    raise
                except BuilderError:
                    known[place] = ()  # not bound, or away: other checks and the step itself say so
            fields = {option.id: option for option in known[place]}
            for problem in _problems(node_id, settings, fields) if fields else ():
                yield problem


def _problems(node_id: str, settings: Mapping[str, Any], fields: Mapping[str, RemoteOption]) -> Iterator[Problem]:
    for place, row in enumerate(settings.get("values") or ()):
        name, value = str(row.get("field") or ""), row.get("value")
        if not name:
            continue
        where = f"values.{place}"
        if name not in fields:
            yield Problem("F034", "warning", node_id, f"{where}.field", params={"field": name})
        elif not fits(fields[name], value):
            shown = {"field": fields[name].label, "value": str(value)[:80]}
            yield Problem("F035", "warning", node_id, f"{where}.value", params=shown)


def fits(field: RemoteOption, value: Any) -> bool:
    """Whether a written value can be kept in the field; what a conversation fills in is only known then."""
    text = str(value).strip() if value is not None else ""
    if not text or "{{" in text or "{%" in text:
        return True
    if field.kind == "number":
        return _is_number(text)
    if field.kind == "date":
        return _is_date(text)
    if field.kind in ("choice", "choices") and field.options:
        known = {part.casefold() for option in field.options for part in option}
        wanted = text.split(",") if field.kind == "choices" else [text]
        return all(part.strip().casefold() in known for part in wanted)
    return True


def _is_number(text: str) -> bool:
    try:
        float(text.replace(" ", "").replace(",", "."))
    except ValueError:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
