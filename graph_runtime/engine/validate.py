"""The flow check: everything a person should know about a flow before it meets anybody, in plain language."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graph_runtime.contract.answering import MayBeApproved
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.edits import AddNode, ChangeSettings, Connect, Disconnect, RemoveNode
from graph_runtime.contract.flow import Flow, Node, split_port
from graph_runtime.contract.problems import REASONS, Fix, Problem, fill
from graph_runtime.contract.templates import ROOTS
from graph_runtime.engine.facts import Facts, FactsCache, Read, words
from graph_runtime.engine.paths import control_graph, endless_loops, entries, maybe_empty, unreached

_LANGUAGE_NAMES = {
    "en": {"en": "English", "ru": "английский", "uk": "англійська"},
    "ru": {"en": "Russian", "ru": "русский", "uk": "російська"},
    "uk": {"en": "Ukrainian", "ru": "украинский", "uk": "українська"},
}
_FREE_ROOTS = frozenset(ROOTS) - {"var", "step"}
_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a flow is checked against. `flows`: the agent's other flows by id; `bound`: slots that have a model,
    "*" when every slot has. `takes_calls`: the agent has a phone line. `approves`: people approve what it says."""

    flows: Mapping[str, Flow] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()
    takes_calls: bool = False
    approves: bool = False


class FlowCheck:
    """Checks flows against one catalog; keeps what it learnt about unchanged steps."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._facts = FactsCache(catalog)

    def check(self, flow: Flow, around: Surroundings = Surroundings()) -> tuple[Problem, ...]:
        """Every problem, errors first, then in document order. Pure as seen from outside; never raises."""
        facts = self._facts.of(flow.id, flow.nodes)
        found = [
            *(p for f in facts.values() for p in f.problems),
            *_wires(flow, facts),
            *self._paths(flow, facts),
            *self._references(flow, facts),
            *self._connections(flow, facts, around),
            *_translations(flow, facts),
            *(_too_long_for_calls(flow, facts) if around.takes_calls else ()),
            *(self._unapproved_on_calls(flow, facts, around) if around.takes_calls else ()),
            *self._silences(flow),
            *self._subflows(flow, facts, around),
        ]
        place = {n: i for i, n in enumerate(flow.nodes)}
        return tuple(sorted(found, key=lambda p: (_ORDER[p.level], place.get(p.node_id, -1))))

    def ports(self, flow: Flow) -> dict[str, Facts]:
        """Facts of every step, ports included (for the canvas)."""
        return self._facts.of(flow.id, flow.nodes)

    def _label(self, flow: Flow, node_id: str, port: str, facts: Mapping[str, Facts]) -> Mapping[str, str]:
        label = next((p.label for p in facts[node_id].ports if p.id == port), port)
        kind = self._catalog.nodes.get(flow.nodes[node_id].type)
        return words(kind, label) if kind else {"en": label}

    def _name(self, flow: Flow, node_id: str) -> Mapping[str, str]:
        node = flow.nodes[node_id]
        kind = self._catalog.nodes.get(node.type)
        return {"en": node.name or node_id} if node.name or kind is None else words(kind, kind.label)

    def _paths(self, flow: Flow, facts: Mapping[str, Facts]) -> Iterator[Problem]:
        graph = control_graph(flow)
        starts = entries(flow, facts)
        if not starts:
            yield Problem("F022", "error")
        for node_id in unreached(graph, starts) if starts else ():
            yield Problem("F002", "warning", node_id, fix=Fix(_DELETE, (RemoveNode(id=node_id),)))
        lost = set(unreached(graph, starts))
        for node_id, fact in facts.items():
            if fact.ends or (node_id in lost and starts):
                continue
            for port in fact.ports:
                if f"{node_id}.{port.id}" not in flow.edges and not port.optional:
                    level = "error" if port.kind == "normal" else "warning"
                    yield Problem(
                        "F001",
                        level,  # type: ignore[arg-type]
                        node_id,
                        port=port.id,
                        params={"port": self._label(flow, node_id, port.id, facts)},
                        fix=_add_end(flow, node_id, port.id, self._catalog),
                    )
        for group in endless_loops(flow, facts):
            steps = {
                lang: ", ".join(self._name(flow, n).get(lang, self._name(flow, n)["en"]) for n in group[:6])
                for lang in ("en", "ru", "uk")
            }
            yield Problem("F005", "error", group[0], params={"steps": steps})
        for empty in maybe_empty(flow, facts, starts):
            known = empty.step in flow.nodes
            yield Problem(
                "F006",
                "warning",
                empty.node_id,
                empty.field,
                params={
                    "variable": flow.variables[empty.variable].label or empty.variable,
                    "step": self._name(flow, empty.step) if known else _START,
                    "port": self._label(flow, empty.step, empty.port, facts) if known else _START,
                },
            )

    def _references(self, flow: Flow, facts: Mapping[str, Facts]) -> Iterator[Problem]:
        written = {name for f in facts.values() for name, _ in f.writes} | set(flow.variables)
        for node_id, fact in facts.items():
            for read in fact.reads:
                if not self._exists(flow, read, written):
                    params = {"label": read.label, "ref": read.ref}
                    yield Problem("F017", "error", node_id, read.field, params=params)

    def _exists(self, flow: Flow, read: Read, written: set[str]) -> bool:
        root, _, rest = read.ref.partition(".")
        name, _, output = rest.partition(".")
        if root == "var":
            return name in written
        if root == "step":
            node = flow.nodes.get(name)
            kind = self._catalog.nodes.get(node.type) if node else None
            return node is not None and (kind is None or output.split(".")[0] in kind.step_outputs)
        return root in _FREE_ROOTS

    def _connections(self, flow: Flow, facts: Mapping[str, Facts], around: Surroundings) -> Iterator[Problem]:
        told: set[str] = set()
        for node_id, fact in facts.items():
            for slot, kind in zip(fact.connections, fact.connection_kinds, strict=True):
                # A workspace's default answers for models only.
                answering = {slot, "*"} if kind == "chat_model" else {slot}
                if slot not in told and not around.bound & answering:
                    told.add(slot)
                    declared = flow.connections.get(slot)
                    label = declared.label if declared and declared.label else slot
                    code = "F004" if kind == "chat_model" else "F025"
                    yield Problem(code, "warning", node_id, params={"label": label})

    def _unapproved_on_calls(self, flow: Flow, facts: Mapping[str, Facts], around: Surroundings) -> Iterator[Problem]:
        """A caller cannot be kept waiting until somebody has read what they are to hear."""
        if not _begins_with_calls(flow, facts):
            return
        if around.approves:
            yield Problem("F031", "info")
            return
        for node_id, node in flow.nodes.items():
            kind = self._catalog.nodes.get(node.type)
            if (
                kind is not None
                and issubclass(kind.settings, MayBeApproved)
                and node.settings.get("approval") == "always"
            ):
                yield Problem("F031", "info", node_id, "approval")

    def _silences(self, flow: Flow) -> Iterator[Problem]:
        """Slow steps that say nothing meanwhile, in a flow that is made for calls."""
        kinds = {node_id: self._catalog.nodes.get(node.type) for node_id, node in flow.nodes.items()}
        if not any(kind is not None and kind.category == "phone" for kind in kinds.values()):
            return
        for node_id, kind in kinds.items():
            switch = kind.silent_when_off if kind is not None else ""
            if switch and flow.nodes[node_id].settings.get(switch) is False:
                fix = Fix(_FILL, (ChangeSettings(id=node_id, set={switch: True}),))
                yield Problem("F009", "warning", node_id, switch, fix=fix)

    def _subflows(self, flow: Flow, facts: Mapping[str, Facts], around: Surroundings) -> Iterator[Problem]:
        import networkx as nx

        flows = dict(around.flows) | {flow.id: flow}
        calls: nx.DiGraph[str] = nx.DiGraph()
        for caller in flows.values():
            for target in subflow_ids(caller, self._catalog):
                calls.add_edge(caller.id, target)
        circle = next((c for c in nx.strongly_connected_components(calls) if flow.id in c), set())
        circular = len(circle) > 1 or calls.has_edge(flow.id, flow.id)
        for node_id, fact in facts.items():
            if fact.subflow is None:
                continue
            if fact.subflow not in flows:
                yield Problem("F023", "error", node_id, params={})
            elif circular and fact.subflow in circle:
                names = " → ".join(flows[f].name or f for f in sorted(circle))
                yield Problem("F019", "error", node_id, params={"flows": names})


def subflow_ids(flow: Flow, catalog: Catalog) -> set[str]:
    """Ids of the flows this flow calls."""
    found = set()
    for node in flow.nodes.values():
        kind = catalog.nodes.get(node.type)
        if kind is not None and kind.subflow and node.settings.get(kind.subflow):
            found.add(str(node.settings[kind.subflow]))
    return found


def _wires(flow: Flow, facts: Mapping[str, Facts]) -> Iterator[Problem]:
    for ref, target in flow.edges.items():
        source, port = split_port(ref)
        reason = None
        if source not in flow.nodes:
            reason = REASONS["no_source"]
        elif target not in flow.nodes:
            reason = REASONS["no_target"]
        elif facts[source].ports and port not in {p.id for p in facts[source].ports}:
            reason = {k: fill(v, {"port": port}, k) for k, v in REASONS["no_port"].items()}
        if reason is not None:
            node_id = source if source in flow.nodes else ""
            fix = Fix(_DISCONNECT, (Disconnect(port=ref),))
            yield Problem("F016", "error", node_id, port=port, params={"reason": reason}, fix=fix)


def _begins_with_calls(flow: Flow, facts: Mapping[str, Facts]) -> bool:
    starts = entries(flow, facts)
    return not starts or any(flow.nodes[n].settings.get("takes_calls", True) for n in starts)


def _too_long_for_calls(flow: Flow, facts: Mapping[str, Facts]) -> Iterator[Problem]:
    if not _begins_with_calls(flow, facts):
        return
    for node_id, fact in facts.items():
        if fact.is_too_long_for_a_call:
            yield Problem("F024", "error", node_id)


def _translations(flow: Flow, facts: Mapping[str, Facts]) -> Iterator[Problem]:
    for language, texts in flow.i18n.items():
        missing = [(n, path) for n, f in facts.items() for path in f.texts if not texts.get(f"{n}.{path}")]
        if language != flow.locale and missing:
            node_id, path = missing[0]
            names = _LANGUAGE_NAMES.get(language, {"en": language})
            yield Problem("F012", "warning", node_id, path, params={"language": names, "count": len(missing)})


def _add_end(flow: Flow, node_id: str, port: str, catalog: Catalog) -> Fix | None:
    if "end" not in catalog.nodes:
        return None
    new = "n_" + hashlib.sha256(f"{node_id}.{port}".encode()).hexdigest()[:10]
    if new in flow.nodes:
        return None
    x, y = flow.layout.nodes.get(node_id, (0, 0))
    x += 320
    # A card is 264 wide, and as high as its exits make it; an End is low.
    while any(abs(x - other[0]) < 280 and -110 < y - other[1] < 210 for other in flow.layout.nodes.values()):
        y += 40  # the first free place below
    node = Node(type="end", v=catalog.nodes["end"].version)
    return Fix(_ADD_END, (AddNode(id=new, node=node, at=(x, y)), Connect(port=f"{node_id}.{port}", target=new)))


_ADD_END = {"en": "Add an End", "ru": "Добавить завершение", "uk": "Додати завершення"}
_DELETE = {"en": "Delete the step", "ru": "Удалить шаг", "uk": "Видалити крок"}
_DISCONNECT = {"en": "Remove the wire", "ru": "Удалить линию", "uk": "Видалити лінію"}
_FILL = {"en": "Say something meanwhile", "ru": "Говорить что-нибудь в это время", "uk": "Казати щось у цей час"}
_START = {"en": "Start", "ru": "Старт", "uk": "Старт"}
