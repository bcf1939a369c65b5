"""Typed fields a model fills in: their JSON Schema, and fitting what came back to the declared types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from graph_runtime.contract.answers import (
    Choice,
    match_choice,
    read_date,
    read_email,
    read_number,
    read_phone,
    read_yes_no,
)  # fmt: skip
from graph_runtime.contract.forms import SettingsItem, setting

FieldType = Literal["text", "number", "boolean", "date", "email", "phone", "choice", "list"]
FIELD_TYPES: Mapping[str, str] = {
    "text": "Text", "number": "Number", "boolean": "Yes or no", "date": "Date",
    "email": "E-mail", "phone": "Phone", "choice": "One of a list", "list": "List of texts",
}  # fmt: skip
MAX_VALUE = 4000


class TypedField(SettingsItem):
    """One thing a model shall find or produce, and the variable it goes to."""

    id: str = setting("Id", default="", widget="id")
    label: str = setting("What to find", default="", required=True, placeholder="Delivery address", max_length=200)
    type: FieldType = setting("Type", default="text", options=FIELD_TYPES)
    hint: str = setting(
        "Hint for the model", default="", placeholder="Street, house and flat; without the city", max_length=1000
    )
    options: tuple[str, ...] = setting("Allowed values", default=(), show_when={"type": ["choice"]})
    required: bool = setting("It is required", default=True)
    save_to: str = setting("Save to", default="", widget="save_to", on_ports=("complete", "next"))

    @property
    def name(self) -> str:
        """The property's name in the model's answer: the variable's id says more than a row's."""
        return self.save_to or self.id


def object_schema(fields: Sequence[TypedField], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """JSON Schema of an object with these fields; what may be missing is nullable."""
    properties = dict(extra or {}) | {f.name: _property(f) for f in fields if f.name}
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _property(field: TypedField) -> dict[str, Any]:
    about = f"{field.label}. {field.hint}".strip(" .")
    if field.type == "list":
        return {"type": ["array", "null"], "items": {"type": "string"}, "description": about}
    kind = {"number": "number", "boolean": "boolean"}.get(field.type, "string")
    schema: dict[str, Any] = {"type": [kind, "null"], "description": about}
    if field.type == "date":
        schema["description"] = f"{about} (YYYY-MM-DD)"
    if field.type == "choice" and field.options:
        schema["enum"] = [*field.options, None]
    return schema


def field_hints(fields: Sequence[TypedField]) -> list[dict[str, Any]]:
    """The same fields as data for the demo model."""
    return [
        {
            "id": f.name, "label": f.label, "type": f.type, "hint": f.hint,
            "options": list(f.options), "required": f.required,
        }
        for f in fields if f.name
    ]  # fmt: skip


def fit(value: Any, field: TypedField, *, language: str, today: date) -> Any:
    """The value as the field's type, or None. Models answer "12 March" for a date and "five" for a number."""
    if value is None or value == "" or isinstance(value, dict):
        return None
    if field.type == "list":
        items = value if isinstance(value, list) else str(value).split(",")
        return [str(v).strip()[:MAX_VALUE] for v in items[:100] if str(v).strip()] or None
    if field.type == "boolean":
        return value if isinstance(value, bool) else read_yes_no(str(value))
    if field.type == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return value if abs(value) < 1e15 else None
    text = str(value).strip()[:MAX_VALUE]
    if field.type == "number":
        return read_number(text, language)
    if field.type == "date":
        day = read_date(text, today)
        return day.isoformat() if day else None
    if field.type == "email":
        return read_email(text)
    if field.type == "phone":
        return read_phone(text, language)
    if field.type == "choice":
        return match_choice(text, [Choice(o, o) for o in field.options])
    return text or None
