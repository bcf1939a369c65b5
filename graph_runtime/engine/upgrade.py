"""Brings a draft written for older step types up to date, on a copy, telling what changed; no wire is ever dropped."""

from __future__ import annotations

from dataclasses import dataclass

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow, Node


@dataclass(frozen=True, slots=True)
class UpgradeNote:
    """One step that was brought up to date."""

    node_id: str
    from_version: int
    to_version: int
    notes: tuple[str, ...]


def upgrade(flow: Flow, catalog: Catalog) -> tuple[Flow, tuple[UpgradeNote, ...]]:
    """The flow with every step at its type's present version.

    Wires follow the port maps; a wire whose port has no successor keeps its old name and shows as broken (F016).
    Steps of unknown types and of versions newer than installed stay as they are.
    """
    nodes: dict[str, Node] = {}
    moved: dict[str, str] = {}
    notes: list[UpgradeNote] = []
    for node_id, node in flow.nodes.items():
        kind = catalog.nodes.get(node.type)
        if kind is None or node.v >= kind.version:
            nodes[node_id] = node
            continue
        settings = dict(node.settings)
        ports: dict[str, str] = {}
        said: list[str] = []
        for version in range(node.v, kind.version):
            settings, step, words = kind.upgrades[version](settings)
            ports = {old: step.get(new, new) for old, new in ports.items()} | {
                old: new for old, new in step.items() if old not in ports
            }
            said.extend(words)
        nodes[node_id] = node.model_copy(update={"settings": settings, "v": kind.version})
        moved |= {f"{node_id}.{old}": f"{node_id}.{new}" for old, new in ports.items()}
        notes.append(UpgradeNote(node_id, node.v, kind.version, tuple(said)))
    if not notes:
        return flow, ()
    edges = {moved.get(port, port): target for port, target in flow.edges.items()}
    return flow.model_copy(update={"nodes": nodes, "edges": edges}), tuple(notes)
