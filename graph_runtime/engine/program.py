"""A compiled flow as plain records: steps with their exits, and the scopes of the main flow and its sub-flows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graph_runtime.contract.errors import BuilderError
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.nodes import NodeType


@dataclass(slots=True)
class Scope:
    """One flow's own world inside a compiled flow: its variables, its texts, and the step that called it."""

    prefix: str
    flow: Flow
    defaults: dict[str, Any]
    contact_variables: frozenset[str]
    secret_variables: frozenset[str]
    caller: Step | None = None
    returns: tuple[tuple[str, str], ...] = ()
    in_language: Callable[[str, str], str] = lambda said, _language: said
    """What went wrong, as it was said in English, in a language (`Catalog.in_language`)."""


@dataclass(slots=True)
class Step:
    """One node of a flow, ready to run. `id` carries the prefix of its sub-flow, `local_id` is the document's.

    `edges`: port → step id. `inner`: the first step of the sub-flow this step calls. `problem`: why it cannot run.
    """

    id: str
    local_id: str
    scope: Scope
    type: NodeType | None
    settings: Any
    edges: dict[str, str]
    ports: dict[str, str] = field(default_factory=dict)
    skip_port: str | None = None
    inner: str = ""
    inner_scope: Scope | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    problem: BuilderError | None = None

    @property
    def type_name(self) -> str:
        """The document's name of the type, installed or not."""
        return self.scope.flow.nodes[self.local_id].type

    def error_target(self) -> tuple[str, str] | None:
        """The connected exit for failures: (port, step id)."""
        return next(((p, self.edges[p]) for p, k in self.ports.items() if k == "error" and p in self.edges), None)


@dataclass(slots=True)
class CompiledFlow:
    """What `run_turn` runs. `reads_history`: some step may ask for earlier messages, so the caller loads them.

    `graph`: the LangGraph graph, known to `graph.py` and `run.py` only; `alone`: each turn is one of its nodes.
    """

    root: Scope
    steps: dict[str, Step]
    entry: str
    reads_history: bool
    graph: Any
    alone: bool
