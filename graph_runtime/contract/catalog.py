"""Finds node types and connectors by package name; a folder is all it takes to join."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import UnknownNode
from graph_runtime.contract.nodes import NodeType
from graph_runtime.contract.outside_words import from_texts, in_language


@dataclass(frozen=True)
class Catalog:
    """Everything that is installed."""

    nodes: Mapping[str, NodeType] = field(default_factory=dict)
    connectors: Mapping[str, Connector] = field(default_factory=dict)

    def node(self, type: str) -> NodeType:
        """Raises: UnknownNode."""
        found = self.nodes.get(type)
        if found is None:
            raise UnknownNode(
                f"The step type “{type}” is not installed. Install its package or replace the step.", type=type
            )
        return found

    def phone_lines(self) -> frozenset[str]:
        """Connectors whose channels are phone lines: they ring, and nobody reads what is written to them."""
        return frozenset(c.id for c in self.connectors.values() if c.channel is not None and c.channel.line)

    def customer_systems(self) -> frozenset[str]:
        """Connectors of customer systems."""
        return frozenset(c.id for c in self.connectors.values() if "crm" in c.kinds)

    def in_language(self, said: str, language: str) -> str:
        """What a connector or the way to it said, in a language, whichever connector it was; else as it was said."""
        if language == "en" or not said:
            return said
        own = (from_texts(c.texts, said, language) for c in self.connectors.values())
        return next(filter(None, own), None) or in_language(said, language) or said


def load_catalog(packages: Sequence[str]) -> Catalog:
    """Import every `node.py` and `connector.py` below the packages, in name order.

    Raises: ValueError naming both places when two folders claim one type.
    """
    nodes: dict[str, NodeType] = {}
    connectors: dict[str, Connector] = {}
    for package in packages:
        for folder in _folders(package):
            name = f"{package}.{'.'.join(folder.relative_to(_root(package)).parts)}"
            if (folder / "node.py").exists():
                node: NodeType = importlib.import_module(f"{name}.node").NODE
                node.folder = folder
                node.texts = MappingProxyType({**node.settings.common_texts, **_texts(folder)})
                if node.type in nodes:
                    raise ValueError(
                        f"two folders claim the step type {node.type}: {nodes[node.type].folder}, {folder}"
                    )
                nodes[node.type] = node
            if (folder / "connector.py").exists():
                connector: Connector = importlib.import_module(f"{name}.connector").CONNECTOR
                object.__setattr__(connector, "folder", folder)
                object.__setattr__(connector, "texts", _texts(folder))
                if connector.id in connectors:
                    raise ValueError(f"two folders claim the connector {connector.id}")
                connectors[connector.id] = connector
    return Catalog(MappingProxyType(nodes), MappingProxyType(connectors))


def _root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"the package {package} cannot be found; check plugin_packages")
    return Path(next(iter(spec.submodule_search_locations)))


def _folders(package: str) -> list[Path]:
    root = _root(package)
    found = {p.parent for pattern in ("*/node.py", "*/connector.py", "*/*/node.py") for p in root.glob(pattern)}
    return sorted(p for p in found if not p.name.startswith("_"))


def _texts(folder: Path) -> dict[str, dict[str, str]]:
    file = folder / "texts.json"
    texts: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return texts


def translate(texts: Mapping[str, Mapping[str, str]], source: str, language: str) -> str:
    """The text in a language, or the English source."""
    return texts.get(source, {}).get(language) or source
