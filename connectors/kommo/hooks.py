"""Kommo tells of changes: forms without a signature, posted to an address that it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from connectors.kommo import errors
from graph_runtime.contract.crm import Entity
from graph_runtime.contract.crm_changes import Action, CrmHint
from graph_runtime.contract.errors import InputInvalid, Refused
from graph_runtime.contract.http import ConnectorHttp

PATH: Final = "/api/v4/webhooks"
WANTED: Final = ("add_lead", "update_lead", "status_lead", "restore_lead", "add_contact", "update_contact")
MOST_FIELDS: Final = 20_000
MOST_RECORDS: Final = 500
_KEY: Final = re.compile(r"(leads|contacts)\[(add|update|status|restore)\]\[(\d{1,6})\]\[(id|type)\]")
_ENTITIES: Final[Mapping[str, Entity]] = {"leads": "lead", "contacts": "contact"}
_ACTIONS: Final[Mapping[str, Action]] = {"add": "created", "status": "stage", "update": "changed", "restore": "changed"}


def parse(body: bytes, _headers: Mapping[str, str]) -> list[CrmHint]:
    """The records that a request names; what else it says of them is not looked at. Raises: InputInvalid."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InputInvalid("This is no form as Kommo sends it.", field="body") from None
    named: dict[tuple[str, str, str], dict[str, str]] = {}
    for key, value in pairs:
        if found := _KEY.fullmatch(key):
            named.setdefault((found[1], found[2], found[3]), {})[found[4]] = value.strip()
    hints = []
    for (plural, action, _), known in named.items():
        number = known.get("id", "")
        if not (number.isascii() and number.isdecimal() and len(number) <= 20) or known.get("type") == "company":
            continue
        hints.append(CrmHint(_ENTITIES[plural], number, _ACTIONS[action]))
    return hints[:MOST_RECORDS]


async def subscribe(_settings: Any, address: str, before: str, http: ConnectorHttp) -> None:
    """Give the account the address, unless it has it and uses it. Raises: ConnectorError."""
    if before and before != address:
        await _send("DELETE", before, http)
    if not address:
        return
    found = await http.exchange("GET", f"{PATH}?{urlencode({'filter[destination]': address})}")
    known = _judged(found, is_write=False)
    hooks = ((known or {}).get("_embedded") or {}).get("webhooks") or ()
    mine = [h for h in hooks if h.get("destination") == address]
    if any(not h.get("disabled") and set(WANTED) <= {*h.get("settings", ())} for h in mine):
        return
    if mine:
        await _send("DELETE", address, http)
    await _send("POST", address, http)


async def _send(method: str, address: str, http: ConnectorHttp) -> None:
    body: dict[str, Any] = {"destination": address} | ({"settings": [*WANTED]} if method == "POST" else {})
    _judged(await http.exchange(method, PATH, body=body), is_write=True)


def _judged(answer: Any, *, is_write: bool) -> Any:
    if answer.status in (402, 403):
        raise Refused(errors.NOT_ALLOWED)
    return errors.judge(answer, is_write=is_write)
