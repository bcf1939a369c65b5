"""Kommo's fields and values in ours, and the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectors.kommo import errors
from graph_runtime.contract.crm import CrmField, CrmRecord, Entity, FieldKind
from graph_runtime.contract.crm_values import choice_of, choices_of, moment_of, number_of
from graph_runtime.contract.errors import Refused

PLURAL: Final[Mapping[Entity, str]] = {"contact": "contacts", "company": "companies", "lead": "leads"}
KEY_CODE: Final = "PATCHCORD_ID"
"""Code of the field that holds what a record was created under; it is made in the account when it is first needed."""
PHONE, EMAIL = "PHONE", "EMAIL"
_STAGE_ID: Final = re.compile(r"[0-9]+:[0-9]+")
_OWN: Final[Mapping[Entity, tuple[CrmField, ...]]] = {
    "contact": (
        CrmField("name", "Name"), CrmField("first_name", "First name"), CrmField("last_name", "Last name"),
        CrmField("phone", "Phone", "phone"), CrmField("email", "E-mail", "email"), CrmField("tags", "Tags", "tags"),
    ),
    "company": (
        CrmField("name", "Name"), CrmField("phone", "Phone", "phone"), CrmField("email", "E-mail", "email"),
        CrmField("tags", "Tags", "tags"),
    ),
    "lead": (
        CrmField("name", "Name"), CrmField("price", "Sale", "number"), CrmField("stage", "Stage", "choice"),
        CrmField("tags", "Tags", "tags"),
    ),
}  # fmt: skip
OWN_LABELS: Final = frozenset(f.label for fields in _OWN.values() for f in fields)
_KINDS: Final[Mapping[str, FieldKind]] = {
    "numeric": "number", "monetary": "number", "checkbox": "boolean", "date": "date", "birthday": "date",
    "date_time": "date", "select": "choice", "radiobutton": "choice", "multiselect": "choices",
}  # fmt: skip
_WRITABLE: Final = frozenset({"text", "textarea", "url", "streetaddress", *_KINDS})


def described(
    entity: Entity, custom: Iterable[Mapping[str, Any]], stages: tuple[tuple[str, str], ...]
) -> list[CrmField]:
    """Kommo's own fields first, then those of the account. `stages`: of every pipeline."""
    found = [
        CrmField(f.id, f.label, f.kind, stages) if f.id == "stage" else f
        for f in _OWN[entity]
        if f.id != "stage" or stages
    ]
    for field in custom:
        if field.get("type") in _WRITABLE and field.get("code") not in (PHONE, EMAIL, KEY_CODE):
            options = tuple((str(o["id"]), str(o["value"])) for o in field.get("enums") or ())
            found.append(CrmField(f"cf_{field['id']}", str(field["name"]), _KINDS.get(field["type"], "text"), options))
    return found


def payload(values: Mapping[str, Any], kinds: Mapping[str, CrmField], key: str = "") -> dict[str, Any]:
    """What to send. An empty value is left out: it would wipe what people wrote.

    Raises: Refused with the field whose value does not fit.
    """
    body: dict[str, Any] = {}
    custom: list[dict[str, Any]] = []
    for name, value in values.items():
        if value is None or value in ("", []):
            continue
        if name in ("phone", "email"):
            parts = [{"value": str(value), "enum_code": "WORK"}]
            custom.append({"field_code": name.upper(), "values": parts})
        elif name == "tags":
            tags = value if isinstance(value, list) else str(value).split(",")
            body["_embedded"] = {"tags": [{"name": str(t).strip()[:100]} for t in tags if str(t).strip()]}
        elif name == "stage":
            known = kinds.get("stage")
            pipeline, _, stage = (_option(known, value) if known is not None else str(value)).partition(":")
            body |= {"pipeline_id": _whole(pipeline, "Stage"), "status_id": _whole(stage, "Stage")}
        elif name == "price":
            body["price"] = round(_number(value, "Sale"))
        elif name.startswith("cf_"):
            field = kinds.get(name)
            if field is None:
                raise Refused(errors.NO_FIELD.format(name=name), field=name)
            custom.append({"field_id": int(name[3:]), "values": _values(field, value)})
        else:
            body[name] = str(value)[:250]
    if key:
        custom.append({"field_code": KEY_CODE, "values": [{"value": key}]})
    return body | ({"custom_fields_values": custom} if custom else {})


def _values(field: CrmField, value: Any) -> list[dict[str, Any]]:
    if field.kind in ("choice", "choices"):
        return [
            {"enum_id": int(_option(field, one))} for one in (choices_of(value) if field.kind == "choices" else [value])
        ]
    if field.kind == "number":
        number = _number(value, field.label)
        return [{"value": int(number) if number.is_integer() else number}]
    if field.kind == "boolean":
        return [
            {
                "value": value
                if isinstance(value, bool)
                else str(value).strip().casefold() in ("true", "1", "yes", "да", "так")
            }
        ]
    if field.kind == "date":
        return [{"value": _moment(value, field.label)}]
    return [{"value": str(value)[:5000]}]


def names_a_stage(values: Mapping[str, Any]) -> bool:
    """Whether a stage is written by its name, so that the account's stages have to be known."""
    stage = str(values.get("stage") or "")
    return bool(stage) and not _STAGE_ID.fullmatch(stage)


def _option(field: CrmField, wanted: Any) -> str:
    try:
        return choice_of(wanted, field.options)
    except ValueError:
        told = errors.NO_CHOICE.format(field=field.label, value=str(wanted).strip()[:80])
        raise Refused(told, field=field.id) from None


def _number(value: Any, label: str) -> float:
    try:
        return number_of(value)
    except ValueError:
        raise Refused(errors.NO_NUMBER.format(field=label, value=str(value)[:80]), field=label) from None


def _whole(text: str, label: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise Refused(errors.NO_LISTED.format(field=label), field=label)
    return int(text)


def _moment(value: Any, label: str) -> int:
    try:
        return int(moment_of(value).timestamp())
    except ValueError:
        raise Refused(errors.NO_DATE.format(field=label, value=str(value)[:80]), field=label) from None


def record(entity: Entity, data: Mapping[str, Any], base_url: str) -> CrmRecord:
    """One of Kommo's records as ours; `key` among the values is what it was created under."""
    values: dict[str, Any] = {
        k: data[k] for k in ("name", "first_name", "last_name", "price") if data.get(k) not in (None, "")
    }
    if data.get("status_id"):
        values["stage"] = f"{data.get('pipeline_id')}:{data['status_id']}"
    tags = (data.get("_embedded") or {}).get("tags") or ()
    if tags:
        values["tags"] = [t["name"] for t in tags]
    for field in data.get("custom_fields_values") or ():
        parts = [v.get("value") for v in field.get("values") or ()]
        code = field.get("field_code")
        name = {PHONE: "phone", EMAIL: "email", KEY_CODE: "key"}.get(code or "", f"cf_{field.get('field_id')}")
        values[name] = parts[0] if len(parts) == 1 or code in (PHONE, EMAIL) else parts
    url = f"{base_url.rstrip('/')}/{PLURAL[entity]}/detail/{data['id']}"
    created = float(data["created_at"]) if data.get("created_at") else None
    return CrmRecord(entity, str(data["id"]), str(data.get("name") or ""), values, url, created)


def phones(data: Mapping[str, Any]) -> list[str]:
    """Every phone of a record, digits only."""
    return ["".join(filter(str.isdigit, str(v.get("value")))) for v in _multi(data, PHONE)]


def emails(data: Mapping[str, Any]) -> list[str]:
    """Every e-mail of a record, in lower case."""
    return [str(v.get("value")).strip().casefold() for v in _multi(data, EMAIL)]


def value_of(data: Mapping[str, Any], field: str) -> list[str]:
    """What a field of the account holds, as texts."""
    return [
        str(v.get("value"))
        for f in data.get("custom_fields_values") or ()
        if f"cf_{f.get('field_id')}" == field or f.get("field_code") == field
        for v in f.get("values") or ()
    ]


def _multi(data: Mapping[str, Any], code: str) -> list[Mapping[str, Any]]:
    fields = data.get("custom_fields_values") or ()
    return [v for f in fields if f.get("field_code") == code for v in f.get("values") or ()]
