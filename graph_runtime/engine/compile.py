"""Turns a flow and its sub-flows into one LangGraph graph: flattened, fused where nothing waits, cached by version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import FlowInvalid, SettingsInvalid, UnknownNode
from graph_runtime.contract.flow import Flow, Node, split_port
from graph_runtime.engine.graph import build_graph
from graph_runtime.engine.program import CompiledFlow, Scope, Step

MAX_DEPTH = 8
"""Sub-flows inside sub-flows."""
NO_ENTRY = "This flow has no Start step. Add one and connect it to the first step."


def compile_flow(
    document: Flow,
    bundle: Mapping[str, Flow],
    catalog: Catalog,
    *,
    entry: str = "message",
    fused: bool = True,
    alone: bool = True,
) -> CompiledFlow:
    """Flatten and compile. A step that cannot run (not installed, wrong settings) fails when it is reached.

    Nothing but speed depends on `fused` (`graph.build_graph`) and `alone` (`graph.run_graph`; fused graphs only).

    Raises: FlowInvalid when the flow has nowhere to begin.
    """
    steps: dict[str, Step] = {}
    root = _scope("", document, catalog)
    first = _flatten(root, bundle, catalog, steps, entry, (document.id,))
    if first is None:
        raise FlowInvalid(NO_ENTRY)
    reads_history = any(
        s.type is not None and (s.type.category == "ai" or s.type.latency != "instant") for s in steps.values()
    )
    return CompiledFlow(root, steps, first, reads_history, build_graph(steps, first, fused=fused), fused and alone)


def _scope(prefix: str, flow: Flow, catalog: Catalog) -> Scope:
    variables = flow.variables
    return Scope(
        prefix,
        flow,
        {k: v.default for k, v in variables.items() if v.default is not None},
        frozenset(k for k, v in variables.items() if v.scope == "contact"),
        frozenset(k for k, v in variables.items() if v.secret),
        in_language=catalog.in_language,
    )


def _flatten(
    scope: Scope,
    bundle: Mapping[str, Flow],
    catalog: Catalog,
    steps: dict[str, Step],
    entry: str,
    path: tuple[str, ...],
) -> str | None:
    """Add the steps of one flow; the id of its first step, None when it has none."""
    flow = scope.flow
    exits: dict[str, dict[str, str]] = {}
    for ref, target in flow.edges.items():
        node_id, port = split_port(ref)
        if target in flow.nodes:
            exits.setdefault(node_id, {})[port] = scope.prefix + target
    for node_id, node in flow.nodes.items():
        step = _step(scope, node_id, node, exits.get(node_id, {}), catalog)
        steps[step.id] = step
        if step.type is not None and step.type.subflow and step.problem is None and step.skip_port is None:
            _expand(step, node, bundle, catalog, steps, path)
    first = flow.entry.get(entry) or flow.entry.get("message")
    if first not in flow.nodes:
        starts = [i for i, n in flow.nodes.items() if n.type == "start"]
        first = starts[0] if len(starts) == 1 else None
    return scope.prefix + first if first else None


def _step(scope: Scope, node_id: str, node: Node, edges: dict[str, str], catalog: Catalog) -> Step:
    step = Step(scope.prefix + node_id, node_id, scope, None, None, edges)
    try:
        step.type = catalog.node(node.type)
        step.settings = step.type.settings.model_validate(node.settings)
        ports = step.type.ports(step.settings)
    except UnknownNode as e:
        step.problem = e
        ports = ()
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        step.problem = SettingsInvalid(
            f"A setting of this step does not fit (“{place}”: {first['msg']}). Open the step and mend it.",
            field=place,
            node_id=node_id,
        )
        ports = step.type.outputs if step.type is not None and isinstance(step.type.outputs, tuple) else ()
    step.ports = {p.id: p.kind for p in ports}
    if not node.enabled:
        step.problem = None
        step.skip_port = next(iter(step.ports), None) or next(iter(edges), "next")
    return step


def _expand(
    step: Step, node: Node, bundle: Mapping[str, Flow], catalog: Catalog, steps: dict[str, Step], path: tuple[str, ...]
) -> None:
    """Put the sub-flow's own steps behind the calling step."""
    assert step.type is not None
    flow_id = str(node.settings.get(step.type.subflow) or "")
    child = bundle.get(flow_id)
    if child is None:
        step.problem = FlowInvalid(
            "The flow this step runs does not exist any more. Choose another one.", node_id=step.local_id
        )
        return
    if flow_id in path or len(path) > MAX_DEPTH:
        step.problem = FlowInvalid(
            "This step runs a flow that runs this flow again, without end. Choose another flow.", node_id=step.local_id
        )
        return
    scope = _scope(step.id + "/", child, catalog)
    scope.caller = step
    scope.returns = _pairs(node.settings.get("returns"), "variable", "source")
    first = _flatten(scope, bundle, catalog, steps, "message", (*path, flow_id))
    if first is None:
        step.problem = FlowInvalid(NO_ENTRY, node_id=step.local_id)
        return
    step.inner, step.inner_scope = first, scope
    step.arguments = _pairs(node.settings.get("arguments"), "variable", "value")


def _pairs(rows: Any, left: str, right: str) -> tuple[tuple[str, str], ...]:
    found = rows if isinstance(rows, list) else []
    return tuple((str(r[left]), str(r.get(right) or "")) for r in found if isinstance(r, dict) and r.get(left))


class CompileCache:
    """Compiled flows by version id; the longest unused one goes first. `size` in flows."""

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._flows: OrderedDict[str, CompiledFlow] = OrderedDict()

    def get(self, version_id: str) -> CompiledFlow | None:
        """The compiled version, if it is here."""
        found = self._flows.get(version_id)
        if found is not None:
            self._flows.move_to_end(version_id)
        return found

    def put(self, version_id: str, compiled: CompiledFlow) -> CompiledFlow:
        """Keep a compiled version."""
        self._flows[version_id] = compiled
        while len(self._flows) > self._size:
            self._flows.popitem(last=False)
        return compiled
