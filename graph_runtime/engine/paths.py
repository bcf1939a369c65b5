"""Path checks on the control graph: who is reached, what can loop for ever, which variable may be empty where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph_runtime.contract.flow import Flow, split_port
from graph_runtime.engine.facts import Facts

if TYPE_CHECKING:  # a fifth of a second for every process that starts, and only whoever edits a flow needs it
    import networkx as nx


def control_graph(flow: Flow) -> nx.DiGraph[str]:
    """Steps and wires; broken wires are left out."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(flow.nodes)
    for port, target in flow.edges.items():
        source = split_port(port)[0]
        if source in flow.nodes and target in flow.nodes:
            graph.add_edge(source, target)
    return graph


def entries(flow: Flow, facts: Mapping[str, Facts]) -> set[str]:
    """Steps where a conversation can begin."""
    named = {n for n in flow.entry.values() if n in flow.nodes}
    return named | {n for n, f in facts.items() if f.entry}


def unreached(graph: nx.DiGraph[str], starts: set[str]) -> list[str]:
    """Steps nobody can get to, in document order."""
    import networkx as nx

    reached = set(starts)
    for start in starts:
        reached |= nx.descendants(graph, start)
    return [n for n in graph.nodes if n not in reached]


def endless_loops(flow: Flow, facts: Mapping[str, Facts]) -> Iterator[list[str]]:
    """Groups of steps that can repeat without waiting for the client or for time."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(flow.nodes)
    for ref, target in flow.edges.items():
        source, port = split_port(ref)
        if source not in flow.nodes or target not in flow.nodes or facts[source].limits_loops:
            continue
        if not facts[source].waits or port in facts[source].at_once:
            graph.add_edge(source, target)
    order = {n: i for i, n in enumerate(flow.nodes)}
    for group in nx.strongly_connected_components(graph):
        first = next(iter(group))
        if len(group) > 1 or graph.has_edge(first, first):
            yield sorted(group, key=order.__getitem__)


@dataclass(frozen=True, slots=True)
class MaybeEmpty:
    """A text shows a variable that has no value on the path through `port` of `step`."""

    node_id: str
    field: str
    variable: str
    step: str
    port: str


def maybe_empty(flow: Flow, facts: Mapping[str, Facts], starts: set[str]) -> Iterator[MaybeEmpty]:
    """Definite assignment over the control graph: a forward analysis with one bit per variable."""
    names = sorted({n for f in facts.values() for n, _ in f.writes} | {r.ref for f in facts.values() for r in f.shown})
    bit = {name: 1 << i for i, name in enumerate(names)}
    everything = (1 << len(names)) - 1
    initial = sum(bit[n] for n in names if n in flow.variables and flow.variables[n].default not in (None, ""))
    incoming: dict[str, list[tuple[str, str]]] = {n: [] for n in flow.nodes}
    outgoing: dict[str, list[str]] = {n: [] for n in flow.nodes}
    for ref, target in flow.edges.items():
        source, port = split_port(ref)
        if source in flow.nodes and target in flow.nodes:
            incoming[target].append((source, port))
            outgoing[source].append(target)
    known = {n: initial if n in starts else everything for n in flow.nodes}

    def after(source: str, port: str) -> int:
        mask = known[source]
        for name, ports in facts[source].writes:
            if written_on(port, ports):
                mask |= bit[name]
        return mask

    work = list(flow.nodes)
    while work:
        node = work.pop()
        mask = initial if node in starts else everything
        for source, port in incoming[node]:
            mask &= after(source, port)
        if mask != known[node]:
            known[node] = mask
            work.extend(outgoing[node])
    for node, fact in facts.items():
        for read in fact.shown:
            if read.ref in flow.variables and not known[node] & bit[read.ref]:
                step, port = _culprit(node, bit[read.ref], incoming, after)
                yield MaybeEmpty(node, read.field, read.ref, step, port)


def written_on(port: str, on_ports: tuple[str, ...]) -> bool:
    """Whether a "save_to" field has been written when leaving by `port`; `("!x",)` means everywhere but x."""
    excluded = {p[1:] for p in on_ports if p.startswith("!")}
    included = {p for p in on_ports if not p.startswith("!")}
    return port not in excluded and (not included or port in included)


Wires = Mapping[str, list[tuple[str, str]]]


def _culprit(node: str, bit: int, incoming: Wires, after: Callable[[str, str], int]) -> tuple[str, str]:
    """The wire to name: the nearest fork behind the step where another exit would have set the variable."""
    exits: dict[str, set[str]] = {}
    for wires in incoming.values():
        for source, port in wires:
            exits.setdefault(source, set()).add(port)
    seen, queue, first = {node}, [node], ("", "")
    while queue:
        here = queue.pop(0)
        for source, port in incoming[here]:
            if after(source, port) & bit:
                continue
            first = first if first != ("", "") else (source, port)
            if any(after(source, other) & bit for other in exits[source]):
                return source, port
            if source not in seen:
                seen.add(source)
                queue.append(source)
    return first
