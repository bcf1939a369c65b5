"""The state behind the fake server: drafts with revisions, batches applied once, clashes, problems; in memory."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graph_runtime.api.catalog_view import catalog_json
from graph_runtime.api.editor.rooms import dynamic_ports, touched_ports
from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.contract.edits import EDITS, Edit, apply_edits, conflicting
from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.engine.validate import FlowCheck, Surroundings

Tell = Callable[[dict[str, Any]], None]


@dataclass
class Draft:
    """One flow with its edit log: (revision, client, seq, paths, edits)."""

    flow: Flow
    revision: int = 1
    log: list[tuple[int, str, int, frozenset[str], list[Edit]]] = field(default_factory=list)
    published: int = 0
    published_hash: str = ""
    tabs: dict[int, tuple[str, Tell]] = field(default_factory=dict)


class Clash(Exception):
    """Somebody else wrote the same place."""

    def __init__(self, paths: frozenset[str]) -> None:
        super().__init__("clash")
        self.paths = paths


class World:
    """Everything the fake server knows. `faults` names what goes wrong next: lose_ack, refuse_socket, refuse_http."""

    def __init__(self, language: str = "en") -> None:
        self.catalog: Catalog = load_catalog(["nodes"])
        self.check = FlowCheck(self.catalog)
        self.language = language
        self.drafts: dict[str, Draft] = {}
        self.faults: set[str] = set()
        self.received: list[tuple[str, int]] = []
        """Sizes of what the page sent: ("socket" or "http", bytes)."""
        self.lock = threading.RLock()
        self._tab_ids = itertools.count(1)
        self._catalogs: dict[str, dict[str, Any]] = {}
        self._later: threading.Timer | None = None

    def put(self, flow: Flow | dict[str, Any]) -> str:
        """Store a flow; its id."""
        flow = flow if isinstance(flow, Flow) else load_flow(flow)
        self.drafts[flow.id] = Draft(flow)
        return flow.id

    def catalog_json(self, language: str) -> dict[str, Any]:
        """The catalog in one language, made once."""
        return self._catalogs.setdefault(language, catalog_json(self.catalog, language))

    def opened(self, flow_id: str) -> dict[str, Any]:
        """The answer of GET flow."""
        draft = self.drafts[flow_id]
        return {
            "flow": draft.flow.to_json(),
            "revision": draft.revision,
            "agent": {"id": "agent-1", "name": "Northwind sales", "is_on": True, "public_id": "northwind"},
            "flows": [{"id": i, "name": d.flow.name, "kind": "main" if i == flow_id else "sub", "exits": []} for i, d in self.drafts.items()],
            "live_version": draft.published or None,
            "changed_since_publish": draft.published_hash != draft.flow.content_hash(),
            "problems": self.problems(flow_id),
            "ports": dynamic_ports(self.catalog, draft.flow, draft.flow.nodes, self.language),
            "connections": {},
            "me": {"name": "Olena", "language": self.language},
            "models": [],
        }  # fmt: skip

    def problems(self, flow_id: str) -> list[dict[str, Any]]:
        """What the real check finds."""
        flow = self.drafts[flow_id].flow
        return [p.to_json() for p in self.check.check(flow, Surroundings({}, frozenset(flow.connections)))]

    def apply(
        self, flow_id: str, client: str, seq: int, base: int, edits: list[Edit], by: str
    ) -> tuple[int, list[Edit]]:
        """Save a batch once; (revision, others' edits since base). Raises: Clash, EditInvalid."""
        with self.lock:
            draft = self.drafts[flow_id]
            foreign = [entry for entry in draft.log if entry[0] > base and entry[1] != client]
            others = [edit for entry in foreign for edit in entry[4]]
            if any(entry[1] == client and entry[2] == seq for entry in draft.log):
                return draft.revision, others
            clashes = conflicting(
                edits, frozenset().union(*(entry[3] for entry in foreign)) if foreign else frozenset()
            )
            if clashes:
                raise Clash(clashes)
            draft.flow = apply_edits(draft.flow, edits)
            draft.revision += 1
            paths = frozenset(p for e in edits for p in e.touches())
            draft.log.append((draft.revision, client, seq, paths, edits))
            patch = {"t": "patch", "rev": draft.revision, "edits": EDITS.dump_python(edits, mode="json"), "by": by}
            ports = touched_ports(self.catalog, draft.flow, edits, self.language)
            for tab_client, tell in list(draft.tabs.values()):
                if tab_client != client:
                    tell(patch)
                if ports:
                    tell({"t": "ports", "nodes": ports})
            self._tell_problems_soon(flow_id, draft)
            return draft.revision, others

    def _tell_problems_soon(self, flow_id: str, draft: Draft) -> None:
        def told() -> None:
            with self.lock:
                items = self.problems(flow_id)
            for _, tell in list(draft.tabs.values()):
                tell({"t": "problems", "rev": draft.revision, "items": items})

        if self._later is not None:
            self._later.cancel()
        self._later = threading.Timer(0.15, told)
        self._later.daemon = True
        self._later.start()

    def edit_as_somebody(self, flow_id: str, edits: list[dict[str, Any]], name: str = "Taras") -> int:
        """Another editor saves these edits; the new revision."""
        draft = self.drafts[flow_id]
        return self.apply(
            flow_id, "somebody", draft.revision + 1000, draft.revision, EDITS.validate_python(edits), name
        )[0]

    def enter(self, flow_id: str, tell: Tell) -> int:
        """A tab arrives; its number."""
        number = next(self._tab_ids)
        self.drafts[flow_id].tabs[number] = ("", tell)
        return number
