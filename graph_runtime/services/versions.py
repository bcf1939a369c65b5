"""Pinned versions, compiled and kept: what a turn runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import NotFound
from graph_runtime.contract.flow import load_flow
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.program import CompiledFlow
from graph_runtime.services.asked_once import AskedOnce
from graph_runtime.storage.conversations import ConversationReader


@dataclass(frozen=True, slots=True)
class PinnedVersion:
    """A compiled version. `number` None: a test snapshot of a draft. `labels`: what its author calls the variables, by name."""

    compiled: CompiledFlow
    number: int | None
    labels: Mapping[str, str]


class Versions:
    """Compiled versions by id; they never change, so the longest unused ones simply go. `size` in versions."""

    def __init__(self, reader: ConversationReader, catalog: Catalog, *, size: int = 256) -> None:
        self._reader = reader
        self._catalog = catalog
        self._size = size
        self._kept: OrderedDict[tuple[str, str, str], PinnedVersion] = OrderedDict()
        self._asked = AskedOnce[PinnedVersion]()

    async def get(self, workspace_id: str, version_id: str, entry: str = "message") -> PinnedVersion:
        """`entry`: where conversations come in ("message", "call"). Raises: NotFound, FlowInvalid, FlowDamaged."""
        key = (workspace_id, version_id, entry)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        return await self._asked.ask(key, lambda: self._load(*key))

    async def _load(self, workspace_id: str, version_id: str, entry: str) -> PinnedVersion:
        row = await self._reader.version(workspace_id, version_id)
        if row is None:
            raise NotFound("This version of the flow does not exist.", version_id=version_id)
        bundle = {flow_id: load_flow(document) for flow_id, document in (row["bundle"] or {}).items()}
        flow = load_flow(row["document"])
        labels = {name: v.label for name, v in flow.variables.items() if v.label}
        pinned = PinnedVersion(compile_flow(flow, bundle, self._catalog, entry=entry), row["number"], labels)
        self._kept[workspace_id, version_id, entry] = pinned
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return pinned
