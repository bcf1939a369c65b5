"""What one step reads, writes and gets wrong, looked at alone; cached, because an edit changes one step at a time."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from graph_runtime.contract import templates
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.flow import Node
from graph_runtime.contract.forms import FieldValue, walk
from graph_runtime.contract.nodes import NodeType, Port
from graph_runtime.contract.problems import REASONS, Problem, fill

_PORT_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}|\bxox[abp]-[\w-]{10,}|\bwhsec_[\w+/=]{16,}|\bAIza[\w-]{30,}|\b\d{8,10}:[\w-]{35}\b"
    r"|\bghp_\w{30,}|\bpck_\w{16,}|\bBearer\s+[\w.~+/-]{20,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"
)
_BARE_VARIABLE = re.compile(r"\{\{-?\s*var\.([a-z0-9_]+)\b(?![^}]*\|\s*default\b)[^}]*\}\}")


@dataclass(frozen=True, slots=True)
class Read:
    """A reference made by one field."""

    ref: str
    field: str
    label: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """A step looked at alone. `shown` are the variables whose emptiness a person would see in a text."""

    node: Node
    ports: tuple[Port, ...] = ()
    waits: bool = False
    ends: bool = False
    limits_loops: bool = False
    is_too_long_for_a_call: bool = False
    at_once: tuple[str, ...] = ()
    entry: bool = False
    problems: tuple[Problem, ...] = ()
    reads: tuple[Read, ...] = ()
    shown: tuple[Read, ...] = ()
    writes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    connections: tuple[str, ...] = ()
    connection_kinds: tuple[str, ...] = ()
    """Of each connection, in their order."""
    subflow: str | None = None
    texts: tuple[str, ...] = ()


class FactsCache:
    """Remembers the facts of recently checked flows by step; bounded."""

    def __init__(self, catalog: Catalog, flows: int = 64) -> None:
        self._catalog = catalog
        self._limit = flows
        self._flows: OrderedDict[str, dict[str, Facts]] = OrderedDict()

    def of(self, flow_id: str, nodes: Mapping[str, Node]) -> dict[str, Facts]:
        """Facts of every step; only steps that changed since the last call are looked at again."""
        old = self._flows.pop(flow_id, {})
        new: dict[str, Facts] = {}
        for node_id, node in nodes.items():
            known = old.get(node_id)
            fresh = known is not None and (known.node is node or known.node == node)
            new[node_id] = known if known is not None and fresh else look_at(node_id, node, self._catalog)
        self._flows[flow_id] = new
        while len(self._flows) > self._limit:
            self._flows.popitem(last=False)
        return new


def look_at(node_id: str, node: Node, catalog: Catalog) -> Facts:
    """The facts of one step. Never raises, whatever the settings are."""
    kind = catalog.nodes.get(node.type)
    if kind is None:
        return Facts(node, ends=True, problems=(Problem("F020", "error", node_id, params={"type": node.type}),))
    values = list(walk(kind.form(), node.settings))
    problems = [*_field_problems(node_id, node, kind, values)]
    reads = [*_reads(kind, values, problems, node_id)]
    ports: tuple[Port, ...] = ()
    is_too_long = False
    try:
        settings = kind.settings.model_validate(node.settings)
        ports = kind.ports(settings)
        is_too_long = kind.is_too_long_for_a_call is not None and kind.is_too_long_for_a_call(settings)
    except (ValidationError, ValueError, TypeError):
        # Ports cannot be known until the settings are mended; the wires that exist are taken at their word.
        ports = kind.outputs if isinstance(kind.outputs, tuple) else ()
    return Facts(
        node=node,
        ports=tuple(p for p in ports if _PORT_ID.fullmatch(p.id)),  # a row with no id yet is no exit
        waits=bool(kind.waits),
        ends=kind.ends,
        limits_loops=kind.limits_loops,
        is_too_long_for_a_call=is_too_long,
        at_once=kind.at_once,
        entry=kind.entry,
        problems=tuple(problems),
        reads=tuple(reads),
        shown=tuple(_shown(kind, values)),
        writes=tuple(
            (v.value, v.field.on_ports)
            for v in values
            if v.field.widget == "save_to" and isinstance(v.value, str) and v.value
        ),
        connections=tuple(
            v.value for v in values if v.field.widget == "connection" and isinstance(v.value, str) and v.value
        ),
        connection_kinds=tuple(
            v.field.of or "chat_model"
            for v in values
            if v.field.widget == "connection" and isinstance(v.value, str) and v.value
        ),
        subflow=str(node.settings.get(kind.subflow) or "") if kind.subflow else None,
        texts=tuple(path for v in values if v.field.outside for path in _places(v)),
    )


def _places(v: FieldValue) -> Iterator[str]:
    """Where the texts of a field stand in `i18n`: texts of a list by position."""
    if isinstance(v.value, str) and v.value.strip():
        yield v.path
    elif isinstance(v.value, list):
        yield from (f"{v.path}.{i}" for i, text in enumerate(v.value) if isinstance(text, str) and text.strip())


def words(kind: NodeType, source: str) -> dict[str, str]:
    """A text of a node type in the three languages."""
    return {"en": source} | {lang: kind.texts.get(source, {}).get(lang, source) for lang in ("ru", "uk")}


def _field_problems(node_id: str, node: Node, kind: NodeType, values: list[FieldValue]) -> Iterator[Problem]:
    told: set[str] = set()
    for v in values:
        label = words(kind, v.field.label)
        if v.field.required and (v.value is None or v.value in ("", [], {})):
            told.add(v.path.split(".")[0])
            yield Problem("F003", "error", node_id, v.path, params={"label": label, "reason": REASONS["empty"]})
        for text in _strings(v):
            if _SECRET.search(text):
                yield Problem("F011", "error", node_id, v.path, params={"label": label})
    try:
        kind.settings.model_validate(node.settings)
    except ValidationError as e:
        hidden = {f.key for f in kind.form()} - {v.path for v in values}
        for error in e.errors(include_url=False, include_input=False):
            top = str(error["loc"][0]) if error["loc"] else ""
            if top in told or top in hidden:
                continue
            told.add(top)
            field = next((f for f in kind.form() if f.key == top), None)
            yield Problem(
                "F003",
                "error",
                node_id,
                ".".join(str(p) for p in error["loc"]),
                params={"label": words(kind, field.label if field else top), "reason": _reason(error)},
            )


def _reason(error: Mapping[str, Any]) -> Mapping[str, str]:
    known = _DETAILS.get(str(error["type"]))
    if known is None:
        return {k: fill(v, {"detail": error["msg"]}, k) for k, v in REASONS["type"].items()}
    return {k: fill(v, error.get("ctx", {}), k) for k, v in known.items()}


_NUMBER = {"en": "a number is needed here", "ru": "здесь нужно число", "uk": "тут потрібне число"}
_CHOICE = {
    "en": "choose one of the offered values",
    "ru": "выберите одно из предложенных значений",
    "uk": "виберіть одне із запропонованих значень",
}
_DETAILS: Mapping[str, Mapping[str, str]] = {
    "missing": REASONS["empty"],
    "int_parsing": _NUMBER,
    "int_type": _NUMBER,
    "int_from_float": {
        "en": "a whole number is needed here",
        "ru": "здесь нужно целое число",
        "uk": "тут потрібне ціле число",
    },
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "literal_error": _CHOICE,
    "greater_than_equal": {"en": "at least {ge}", "ru": "не меньше {ge}", "uk": "не менше ніж {ge}"},
    "less_than_equal": {"en": "at most {le}", "ru": "не больше {le}", "uk": "не більше ніж {le}"},
    "greater_than": {"en": "more than {gt}", "ru": "больше {gt}", "uk": "більше ніж {gt}"},
    "string_too_long": {
        "en": "at most {max_length} characters",
        "ru": "не более {max_length} символов",
        "uk": "не більше ніж {max_length} символів",
    },
    "too_long": {
        "en": "at most {max_length} entries",
        "ru": "не более {max_length} строк",
        "uk": "не більше ніж {max_length} рядків",
    },
    "too_short": {
        "en": "at least {min_length} entries",
        "ru": "не менее {min_length} строк",
        "uk": "не менше ніж {min_length} рядків",
    },
}


def _strings(v: FieldValue) -> Iterator[str]:
    if isinstance(v.value, str):
        yield v.value
    elif isinstance(v.value, list):
        yield from (x for x in v.value if isinstance(x, str))


def _reads(kind: NodeType, values: list[FieldValue], problems: list[Problem], node_id: str) -> Iterator[Read]:
    for v in values:
        label = words(kind, v.field.label)
        if v.field.widget == "variable" and isinstance(v.value, str) and v.value:
            yield Read(f"var.{v.value}", v.path, label)
        for ref in _structured(v.value) if v.field.widget in ("condition", "formula") else ():
            yield Read(ref, v.path, label)
        for text in _texts(v):
            try:
                if "{" in text:
                    templates.parse(text)
            except TemplateInvalid as e:
                reason = e.params.get("reason", e.message)
                problems.append(Problem("F021", "error", node_id, v.path, params={"label": label, "reason": reason}))
                continue
            for ref in sorted(templates.variables(text)):
                yield Read(ref, v.path, label)


def _texts(v: FieldValue) -> Iterator[str]:
    yield from _strings(v)
    if v.field.widget in ("condition", "formula"):
        yield from _leaves(v.value, "text")


def _structured(value: Any) -> Iterator[str]:
    yield from _leaves(value, "ref")


def _leaves(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for k, v in value.items():
            if k == key and isinstance(v, str):
                yield v
            else:
                yield from _leaves(v, key)
    elif isinstance(value, list):
        for v in value:
            yield from _leaves(v, key)


def _shown(kind: NodeType, values: list[FieldValue]) -> Iterator[Read]:
    for v in values:
        for text in _strings(v) if v.field.outside else ():
            if "{%" not in text:
                yield from (Read(name, v.path, words(kind, v.field.label)) for name in _BARE_VARIABLE.findall(text))
