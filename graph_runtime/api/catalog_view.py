"""The catalog as the builder reads it: step types, their forms and texts in one language, connectors, categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from graph_runtime.contract.catalog import Catalog, translate
from graph_runtime.contract.connectors import Connector
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.forms import FormField
from graph_runtime.contract.nodes import NodeType, Port

Texts = Mapping[str, Mapping[str, str]]

CATEGORIES: Final = (
    ("start", {"en": "Start and end", "ru": "Начало и конец", "uk": "Початок і кінець"}, "gray"),
    ("talk", {"en": "Talk", "ru": "Сообщения", "uk": "Повідомлення"}, "iris"),
    ("ask", {"en": "Ask", "ru": "Вопросы", "uk": "Запитання"}, "blue"),
    ("ai", {"en": "AI", "ru": "ИИ", "uk": "ШІ"}, "violet"),
    ("logic", {"en": "Logic", "ru": "Логика", "uk": "Логіка"}, "amber"),
    ("data", {"en": "Data", "ru": "Данные", "uk": "Дані"}, "cyan"),
    ("crm", {"en": "CRM", "ru": "CRM", "uk": "CRM"}, "orange"),
    ("people", {"en": "People", "ru": "Люди", "uk": "Люди"}, "pink"),
    ("phone", {"en": "Phone", "ru": "Телефон", "uk": "Телефон"}, "green"),
    ("time", {"en": "Time", "ru": "Время", "uk": "Час"}, "bronze"),
)
LANGUAGE_NAMES: Final = {"en": "English", "ru": "Русский", "uk": "Українська"}


def catalog_json(catalog: Catalog, language: str) -> dict[str, Any]:
    """Everything the palette and the inspector are drawn from."""
    used = {node.category for node in catalog.nodes.values()}
    return {
        "language": language,
        "node_types": [_node_type(node, language) for node in catalog.nodes.values()],
        "connectors": [_connector(connector, language) for connector in catalog.connectors.values()],
        "languages": [{"id": code, "label": LANGUAGE_NAMES[code]} for code in LANGUAGES],
        "categories": [
            {"id": key, "label": labels[language], "tint": tint} for key, labels, tint in CATEGORIES if key in used
        ],
    }


def ports_json(ports: Iterable[Port], texts: Texts, language: str) -> list[dict[str, Any]]:
    """Exits as the canvas draws them."""
    return [
        {"id": p.id, "label": translate(texts, p.label, language), "kind": p.kind, "optional": p.optional}
        for p in ports
    ]


def ports_for(catalog: Catalog, type: str, settings: Mapping[str, Any], language: str) -> list[dict[str, Any]]:
    """The exits of a step with these settings.

    Raises: UnknownNode, InputInvalid when the settings cannot be read.
    """
    node = catalog.node(type)
    try:
        ports = node.ports(node.settings.model_validate(dict(settings)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputInvalid(f"These settings do not fit at “{where}”: {first['msg']}.", field=where) from None
    return ports_json(ports, node.texts, language)


def _node_type(node: NodeType, language: str) -> dict[str, Any]:
    def say(text: str) -> str:
        return translate(node.texts, text, language)

    return {
        "type": node.type,
        "version": node.version,
        "category": node.category,
        "label": say(node.label),
        "summary": say(node.summary),
        "ports": ports_json(_default_ports(node), node.texts, language),
        "ports_depend_on_settings": callable(node.outputs),
        "form": [_field(f, node.texts, language) for f in node.form()],
        "effect": node.effect,
        "latency": node.latency,
        "waits": node.waits,
        "ends": node.ends,
        "entry": node.entry,
        "subflow": node.subflow,
        "story": list(node.story),
        "icon": _file(node, "icon.svg"),
        "help": _file(node, f"help.{language}.md") or _file(node, "help.md"),
        "outputs": {name: say(label) for name, label in node.step_outputs.items()},
    }


def _default_ports(node: NodeType) -> tuple[Port, ...]:
    if not callable(node.outputs):
        return node.outputs
    defaults = {f.key: f.default for f in node.form() if f.default is not None}
    try:
        return node.ports(node.settings.model_validate(defaults))
    except (ValidationError, ValueError, TypeError):
        # Settings that must be filled first: the exits are known once they are.
        return ()


def _field(form_field: FormField, texts: Texts, language: str) -> dict[str, Any]:
    def say(text: str) -> str:
        return translate(texts, text, language)

    return {
        "key": form_field.key,
        "label": say(form_field.label),
        "widget": form_field.widget,
        "help": say(form_field.help),
        "placeholder": say(form_field.placeholder),
        "required": form_field.required,
        "advanced": form_field.advanced,
        "default": form_field.default,
        "options": [[value, say(label)] for value, label in form_field.options],
        "show_when": {key: list(values) for key, values in form_field.show_when.items()},
        "of": form_field.of,
        "on_ports": list(form_field.on_ports),
        "outside": form_field.outside,
        "minimum": form_field.minimum,
        "maximum": form_field.maximum,
        "max_length": form_field.max_length,
        "fields": [_field(inner, texts, language) for inner in form_field.fields],
    }


def _connector(connector: Connector, language: str) -> dict[str, Any]:
    secrets = connector.settings.secret_fields()
    return {
        "id": connector.id,
        "label": translate(connector.texts, connector.label, language),
        "summary": translate(connector.texts, connector.summary, language),
        "kinds": sorted(connector.kinds),
        "needs_credential": connector.needs_credential,
        "models": [{"name": m.name, "label": m.label, "context": m.context} for m in connector.models],
        "fields": [
            {
                "key": name,
                "label": translate(connector.texts, info.title or name, language),
                "help": translate(connector.texts, info.description or "", language),
                "secret": name in secrets,
                "required": info.is_required(),
            }
            for name, info in connector.settings.model_fields.items()
        ],
        "icon": _file(connector, "icon.svg"),
    }


def _file(owner: NodeType | Connector, name: str) -> str:
    path = owner.folder / name if owner.folder is not None else None
    return path.read_text("utf-8") if path is not None and path.is_file() else ""
