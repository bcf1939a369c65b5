"""Ready-made agents: reading the templates and turning one into the flows of a new agent, in the person's language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import NotFound
from graph_runtime.contract.flow import LANGUAGES, Flow, load_flow
from graph_runtime.services.template_preview import play

FOLDER = Path(__file__).parents[2] / "templates"


@dataclass(frozen=True, slots=True)
class Template:
    """A template as the gallery shows it; `preview` is a short dialogue."""

    id: str
    name: str
    summary: str
    category: str = ""
    preview: tuple[Mapping[str, Any], ...] = field(default_factory=tuple)


async def list_templates(language: str, catalog: Catalog, folder: Path = FOLDER) -> tuple[Template, ...]:
    """The gallery, by the order in which the templates ask to be shown. Kept per language: templates are files."""
    if (folder, language) not in _gallery:
        _gallery[folder, language] = tuple(
            [await _with_preview(t, language, catalog, folder) for t in _list(language, folder)]
        )
    return _gallery[folder, language]


_gallery: dict[tuple[Path, str], tuple[Template, ...]] = {}


async def _with_preview(template: Template, language: str, catalog: Catalog, folder: Path) -> Template:
    main, subs = template_flows(template.id, language, folder)
    scenario = folder / template.id / "scenario.json"
    return replace(template, preview=await play(main, subs, scenario, language, catalog))


def _list(language: str, folder: Path) -> list[Template]:
    found = []
    for file in sorted(folder.glob("*/meta.json")):
        meta = json.loads(file.read_text("utf-8"))
        words: dict[str, Any] = {k: _in(meta.get(k, ""), language) for k in ("name", "summary", "category")}
        found.append((meta.get("order", 100), Template(file.parent.name, **words)))
    return [template for _, template in sorted(found, key=lambda pair: (pair[0], pair[1].id))]


def template_flows(template_id: str, language: str, folder: Path = FOLDER) -> tuple[Flow, dict[str, Flow]]:
    """The main flow and the sub-flows by their ids in the template, speaking `language`.

    Raises: NotFound.
    """
    place = folder / template_id
    if not template_id.isidentifier() or not (place / "flow.json").exists():
        raise NotFound("There is no such template. Choose another one.", template=template_id)
    main = localize(load_flow((place / "flow.json").read_text("utf-8")), language)
    subs = [localize(load_flow(p.read_text("utf-8")), language) for p in sorted(place.glob("*.flow.json"))]
    return main, {flow.id: flow for flow in subs}


def localize(flow: Flow, language: str) -> Flow:
    """The same flow with `language` as its main language; the old main texts become a translation.

    Keys of `i18n` are "<step id>.<path in the settings>" (rows of lists by their id or position), "<step id>.name" for
    the name of a step, "var.<id>.label" for a variable, "note.<id>.text" for a note and "name" for the flow.
    """
    texts = flow.i18n.get(language)
    if language == flow.locale or not texts:
        return flow
    document = flow.to_json()
    before: dict[str, str] = {}
    for key, text in texts.items():
        old = _swap(document, key, text)
        if old is not None:
            before[key] = old
    i18n = {k: v for k, v in flow.i18n.items() if k != language} | {
        flow.locale: flow.i18n.get(flow.locale, {}) | before
    }
    return load_flow(document | {"locale": language, "i18n": i18n})


def _swap(document: dict[str, Any], key: str, text: str) -> str | None:
    place, last = _find(document, key)
    if place is None:
        return None
    old = place[last]
    place[last] = text
    return old if isinstance(old, str) else None


def _find(document: dict[str, Any], key: str) -> tuple[Any, Any]:
    """The holder and the last key of the text that an i18n key names; (None, "") when there is none."""
    first, *rest = key.split(".")
    if not rest:
        return (document, first) if first == "name" else (None, "")
    if first == "var":
        return _follow(document["variables"], rest)
    if first == "note":
        return _follow(document["layout"]["notes"], rest)
    node = document["nodes"].get(first)
    if node is None:
        return None, ""
    return (node, "name") if rest == ["name"] else _follow(node["settings"], rest)


def _follow(holder: Any, path: list[str]) -> tuple[Any, Any]:
    for i, part in enumerate(path):
        key: Any = part
        if isinstance(holder, list):
            rows = (n for n, row in enumerate(holder) if isinstance(row, dict) and row.get("id") == part)
            key = next(rows, int(part) if part.isdigit() and int(part) < len(holder) else None)
        if key is None or (isinstance(holder, dict) and key not in holder):
            return None, ""
        if i == len(path) - 1:
            return (holder, key) if isinstance(holder[key], str) else (None, "")
        holder = holder[key]
        if not isinstance(holder, dict | list):
            return None, ""
    return None, ""


def with_ids(main: Flow, subs: Mapping[str, Flow], ids: Mapping[str, str], catalog: Catalog) -> dict[str, Flow]:
    """The flows under new ids, with every call of a sub-flow following."""

    def moved(flow: Flow) -> Flow:
        nodes = {}
        for node_id, node in flow.nodes.items():
            kind = catalog.nodes.get(node.type)
            target = str(node.settings.get(kind.subflow, "")) if kind and kind.subflow else ""
            settings = node.settings | ({kind.subflow: ids[target]} if kind and target in ids else {})
            nodes[node_id] = node.model_copy(update={"settings": settings})
        return flow.model_copy(update={"id": ids[flow.id], "nodes": nodes})

    return {ids[flow.id]: moved(flow) for flow in (main, *subs.values())}


def _in(words: Any, language: str) -> str:
    if isinstance(words, Mapping):
        return str(words.get(language) or next((words[x] for x in LANGUAGES if x in words), ""))
    return str(words)
