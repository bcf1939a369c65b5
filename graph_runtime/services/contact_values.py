"""What may be written about a contact: each value checked and brought into one form. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from graph_runtime.contract.answers import read_email, read_phone, read_yes_no
from graph_runtime.contract.conditions import number
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.flow import LANGUAGES
from graph_runtime.contract.local_time import is_time_zone

FIELD_TYPES: Final = ("text", "number", "date", "yes_no", "choice", "phone", "email")
STANDARD: Final = ("name", "phone", "email", "tags", "language", "time_zone", "country")
"""What every contact has; other keys are fields of the workspace's own."""
MOST_TAGS: Final = 50
MOST_FIELDS: Final = 200
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class ContactField:
    """A field of the workspace's own; `options` of a choice."""

    key: str
    label: str
    type: str
    options: tuple[str, ...] = ()


def check_standard(given: Mapping[str, Any]) -> dict[str, Any]:
    """Columns out of standard values. Raises: InputInvalid, which names the field."""
    checks = {
        "name": _name, "phone": _phone, "email": _email, "tags": clean_tags, "language": _language,
        "time_zone": _time_zone, "country": _country,
    }  # fmt: skip
    if unknown := given.keys() - checks.keys():
        raise InputInvalid(f"A contact has no “{min(unknown)}”. Put it into its fields.", field=min(unknown))
    return {key: checks[key](value) for key, value in given.items()}


def check_fields(given: Mapping[str, Any], known: Iterable[ContactField]) -> dict[str, Any]:
    """Values of own fields by their types; None takes a value away. Raises: InputInvalid."""
    by_key = {f.key: f for f in known}
    if len(given) > MOST_FIELDS:
        raise InputInvalid(f"At most {MOST_FIELDS} fields at once.", field="fields")
    return {key: check_field(by_key.get(key) or _untyped(key), value) for key, value in given.items()}


def check_field(field: ContactField, value: Any) -> Any:
    """One value by its field's type; None or "" is no value. Raises: InputInvalid."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    read = _READERS[field.type](field, value)
    if read is None:
        raise InputInvalid(f"“{field.label}”: {_WANTED[field.type]}", field=field.key)
    return read


def check_definition(key: str, label: str, type_: str, options: Iterable[str]) -> ContactField:
    """A field as it may be defined. Raises: InputInvalid."""
    if not _KEY.fullmatch(key) or key in STANDARD:
        raise InputInvalid("A key has small Latin letters, digits and _, such as contract_end.", field="key")
    if not 1 <= len(label.strip()) <= 100:
        raise InputInvalid("A field needs a name of at most 100 characters.", field="label")
    if type_ not in FIELD_TYPES:
        raise InputInvalid(f"A field is one of {', '.join(FIELD_TYPES)}.", field="type")
    chosen = tuple(dict.fromkeys(o.strip()[:100] for o in options if o.strip())) if type_ == "choice" else ()
    if type_ == "choice" and not 1 <= len(chosen) <= 200:
        raise InputInvalid("A choice needs 1 to 200 values.", field="options")
    return ContactField(key, label.strip(), type_, chosen)


def clean_tags(value: Any) -> list[str]:
    """Tags without repeats, in order of the alphabet. Raises: InputInvalid."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(t, str) for t in value):
        raise InputInvalid("Tags are a list of words.", field="tags")
    tags = sorted({" ".join(t.split()) for t in value} - {""})
    if len(tags) > MOST_TAGS or any(len(t) > 40 for t in tags):
        raise InputInvalid(f"A contact has at most {MOST_TAGS} tags of at most 40 characters.", field="tags")
    return tags


def _untyped(key: str) -> ContactField:
    if not 1 <= len(key) <= 64:
        raise InputInvalid("The key of a field has 1 to 64 characters.", field="fields")
    return ContactField(key, key, "any")


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value.strip()) > 200:
        raise InputInvalid("A name has at most 200 characters.", field="name")
    return " ".join(value.split())


def _phone(value: Any) -> str:
    phone = read_phone(_text(value)) if _text(value) else ""
    if phone is None or (value is not None and not isinstance(value, str)):
        raise InputInvalid("A phone number is written with its country's code, like +380 67 123 45 67.", field="phone")
    return phone


def _email(value: Any) -> str:
    email = read_email(_text(value)) if _text(value) else ""
    if email is None or len(email) > 254 or (value is not None and not isinstance(value, str)):
        raise InputInvalid("An e-mail address looks like name@example.com.", field="email")
    return email


def _language(value: Any) -> str:
    if value not in (*LANGUAGES, ""):
        raise InputInvalid(f"The language is one of {', '.join(LANGUAGES)}, or empty.", field="language")
    return str(value)


def _time_zone(value: Any) -> str:
    if not isinstance(value, str) or (value and not is_time_zone(value)):
        raise InputInvalid("There is no such time zone. It looks like Europe/Kyiv.", field="time_zone")
    return value


def _country(value: Any) -> str:
    text = _text(value).upper()
    if not re.fullmatch(r"([A-Z]{2})?", text) or not isinstance(value, str):
        raise InputInvalid("A country is its two letters, such as UA.", field="country")
    return text


def _date(_: ContactField, value: Any) -> str | None:
    try:
        return date.fromisoformat(_text(value)[:10]).isoformat()
    except ValueError:
        pass
    match = re.fullmatch(r"(\d{1,2})[./](\d{1,2})[./](\d{4})", _text(value))
    try:
        return date(int(match[3]), int(match[2]), int(match[1])).isoformat() if match else None
    except ValueError:
        return None


def _choice(field: ContactField, value: Any) -> str | None:
    return next((o for o in field.options if o.casefold() == _text(value).casefold()), None)


def _plain(_: ContactField, value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else (_text(value)[:2000] or None)


_READERS: Final[dict[str, Any]] = {
    "text": lambda _, v: str(v).strip()[:2000] if isinstance(v, str | int | float) else None,
    "number": lambda _, v: number(v),
    "date": _date,
    "yes_no": lambda _, v: v if isinstance(v, bool) else read_yes_no(_text(v)),
    "choice": _choice,
    "phone": lambda _, v: read_phone(_text(v)),
    "email": lambda _, v: read_email(_text(v)),
    "any": _plain,
}
_WANTED: Final = {
    "text": "a text is needed here.", "number": "a number is needed here.",
    "date": "a date is needed here, such as 2026-12-25.", "yes_no": "yes or no is needed here.",
    "choice": "choose one of the values.", "phone": "a phone number with its country's code is needed here.",
    "email": "an e-mail address is needed here.", "any": "a text, a number or yes/no is needed here.",
}  # fmt: skip
