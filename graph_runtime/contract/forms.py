"""Settings are the form: one Pydantic model becomes the inspector's fields, the validation and the documentation."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

Widget = Literal[
    "text",  # one line
    "textarea",  # several lines of plain text
    "template",  # several lines with {{ variable }} chips
    "line_template",  # one line with chips; `of` "crm.choices": the choices of the field beside it are offered
    "number",
    "switch",
    "select",
    "strings",  # list of short texts
    "list",  # list of groups; the item model's own fields are nested
    "group",  # one nested model
    "variable",  # reads one variable, by id
    "save_to",  # writes one variable, by id; may create it
    "condition",  # a condition tree
    "formula",  # a structured calculation (set_variable)
    "connection",  # a named slot of the flow; `of` says its kind
    "flow",  # another flow of the agent
    "knowledge",  # knowledge bases of the workspace, by id
    "chain",  # a chain of follow-ups of the workspace
    "queue",  # where conversations wait for a person, by id
    "duration",  # ISO 8601 duration, such as PT24H
    "schema",  # a JSON Schema, edited as JSON
    "remote",  # one of what the connected system offers; `of` says what ("crm.fields")
    "id",  # made once, never shown
]


FILLED: Final = ("*",)
"""In `show_when`: whatever is there, as long as something is."""


class NodeSettings(BaseModel):
    """Base of every node's settings. Unknown keys are tolerated here and kept in the document.

    `common_texts`: translations of what a base in the contract says, as in `texts.json`.
    """

    common_texts: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class SettingsItem(BaseModel):
    """Base of one row of a "list" field."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


@dataclass(frozen=True, slots=True)
class FieldMeta:
    """How a setting is shown. Kept beside the Pydantic field."""

    label: str
    widget: Widget | None
    help: str
    placeholder: str
    show_when: Mapping[str, tuple[Any, ...]]
    options: Mapping[str, str]
    advanced: bool
    required: bool
    of: str
    on_ports: tuple[str, ...]
    outside: bool


def setting(
    label: str,
    *,
    default: Any = PydanticUndefined,
    default_factory: Any = None,
    widget: Widget | None = None,
    help: str = "",
    placeholder: str = "",
    show_when: Mapping[str, list[Any]] | None = None,
    options: Mapping[str, str] | None = None,
    advanced: bool = False,
    required: bool = False,
    of: str = "",
    on_ports: tuple[str, ...] = (),
    outside: bool = False,
    **limits: Any,
) -> Any:
    """Declare one setting.

    `show_when` {field: [values]} hides the field otherwise, {field: ["*"]} while that one is empty; `options` {value: label} names the values of a Literal;
    `required` with an empty default means "must be filled before publishing" (F003) while a draft may leave it empty;
    `on_ports` limits on which exits a "save_to" field has been written ("!no_reply": on all but that one); `outside` marks text said to the contact
    (translated, checked against channels). `limits` are Pydantic's (`ge`, `max_length` …).
    """
    meta = FieldMeta(
        label=label,
        widget=widget,
        help=help,
        placeholder=placeholder,
        show_when={k: tuple(v) for k, v in (show_when or {}).items()},
        options=dict(options or {}),
        advanced=advanced,
        required=required or (default is PydanticUndefined and default_factory is None),
        of=of,
        on_ports=on_ports,
        outside=outside,
    )
    about: dict[str, Any] = {"title": label, "description": help or None, "json_schema_extra": _Extra(meta), **limits}
    if default_factory is not None:
        return Field(default_factory=default_factory, **about)
    return Field(default, **about)


class _Extra(dict[str, Any]):
    """Carries the FieldMeta beside the field; empty, so nothing of it leaks into the JSON Schema."""

    def __init__(self, meta: FieldMeta) -> None:
        super().__init__()
        self.meta = meta


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form, as the inspector draws it. `fields` are the columns of a list or group."""

    key: str
    label: str
    widget: Widget
    help: str = ""
    placeholder: str = ""
    required: bool = False
    advanced: bool = False
    default: Any = None
    options: tuple[tuple[Any, str], ...] = ()
    show_when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    of: str = ""
    on_ports: tuple[str, ...] = ()
    outside: bool = False
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    fields: tuple[FormField, ...] = ()


def form_fields(model: type[BaseModel]) -> tuple[FormField, ...]:
    """The form of a settings model, in declaration order."""
    return tuple(_field(name, info) for name, info in model.model_fields.items())


def _field(name: str, info: FieldInfo) -> FormField:
    box = info.json_schema_extra
    meta = box.meta if isinstance(box, _Extra) else None
    if meta is None:
        raise TypeError(f"{name}: declare it with setting(...)")
    inner = _item_model(info.annotation)
    limits = {type(m).__name__: m for m in info.metadata}
    return FormField(
        key=info.alias or name,
        label=meta.label,
        widget=meta.widget or _widget(info.annotation),
        help=meta.help,
        placeholder=meta.placeholder,
        required=meta.required,
        advanced=meta.advanced,
        default=_default(info),
        options=_options(info.annotation, meta.options),
        show_when=meta.show_when,
        of=meta.of,
        on_ports=meta.on_ports,
        outside=meta.outside,
        minimum=getattr(limits.get("Ge"), "ge", None),
        maximum=getattr(limits.get("Le"), "le", None),
        max_length=getattr(limits.get("MaxLen"), "max_length", None),
        fields=form_fields(inner) if inner is not None else (),
    )


def _default(info: FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return None
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def _widget(annotation: Any) -> Widget:
    annotation = _strip_none(annotation)
    if annotation is bool:
        return "switch"
    if annotation in (int, float):
        return "number"
    if get_origin(annotation) is Literal:
        return "select"
    if get_origin(annotation) in (list, tuple):
        return "list" if _item_model(annotation) else "strings"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "group"
    return "text"


def _strip_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [a for a in get_args(annotation) if a is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


def _item_model(annotation: Any) -> type[BaseModel] | None:
    annotation = _strip_none(annotation)
    if get_origin(annotation) in (list, tuple):
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, SettingsItem):
        return annotation
    return None


def _options(annotation: Any, labels: Mapping[str, str]) -> tuple[tuple[Any, str], ...]:
    annotation = _strip_none(annotation)
    if get_origin(annotation) is not Literal:
        return ()
    return tuple((v, labels.get(v, str(v))) for v in get_args(annotation))


def is_shown(form_field: FormField, settings: Mapping[str, Any]) -> bool:
    """Whether `show_when` lets the field appear for these settings. The browser has the same few lines."""
    return all(
        bool(str(settings.get(key) or "").strip()) if values == FILLED else settings.get(key) in values
        for key, values in form_field.show_when.items()
    )


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One filled-in field. `path` is dotted; rows of a list are named by their `id`, else by their position."""

    path: str
    field: FormField
    value: Any


def walk(form: tuple[FormField, ...], settings: Mapping[str, Any], prefix: str = "") -> Iterator[FieldValue]:
    """Every visible field of these settings, rows of lists included, in form order."""
    for form_field in form:
        if not is_shown(form_field, {f.key: settings.get(f.key, f.default) for f in form} | dict(settings)):
            continue
        value = settings.get(form_field.key, form_field.default)
        path = f"{prefix}{form_field.key}"
        yield FieldValue(path, form_field, value)
        rows = value if isinstance(value, list) else [value] if form_field.widget == "group" else []
        for position, row in enumerate(rows if form_field.fields else []):
            if isinstance(row, Mapping):
                name = "" if form_field.widget == "group" else f".{row.get('id') or position}"
                yield from walk(form_field.fields, row, f"{path}{name}.")
