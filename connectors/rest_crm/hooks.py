"""A customer system of your own tells of changes: JSON that is signed, or that carries the secret."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast, get_args

from graph_runtime.contract import signatures
from graph_runtime.contract.channels import SignatureRefused
from graph_runtime.contract.crm import ENTITIES
from graph_runtime.contract.crm_changes import Action, CrmHint
from graph_runtime.contract.errors import InputInvalid

MOST_RECORDS: Final = 500
SHAPE: Final = (
    'Send JSON such as {"entity": "lead", "id": "17", "action": "changed"}, or a list of them. `entity` is lead or contact, '
    "`action` created, stage or changed."
)


def verify(settings: Any, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    """Standard Webhooks where the secret is one of theirs, else the secret itself. Raises: SignatureRefused."""
    secret: str = settings.hook_secret.get_secret_value()
    if not secret:
        raise SignatureRefused("This connection has no secret for incoming changes. Enter one under Connections.")
    if secret.startswith(signatures.PREFIX):
        signatures.verify([secret], headers, body, now)
        return
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else ""
    if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
        raise SignatureRefused("The secret is missing or wrong. Send it as “Authorization: Bearer …”.")


def parse(body: bytes, _headers: Mapping[str, str]) -> list[CrmHint]:
    """What the request names. Raises: InputInvalid."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise InputInvalid(SHAPE, field="body") from None
    rows = data if isinstance(data, list) else [data]
    return [_hint(row) for row in rows[:MOST_RECORDS]]


def _hint(row: Any) -> CrmHint:
    entity, number, action = (row.get(k) for k in ("entity", "id", "action")) if isinstance(row, dict) else (None,) * 3
    number = str(number).strip() if isinstance(number, str | int) and not isinstance(number, bool) else ""
    action = "changed" if action is None else action
    if entity not in ENTITIES or not 1 <= len(number) <= 200 or action not in get_args(Action):
        raise InputInvalid(SHAPE, field="body")
    return CrmHint(entity, number, cast(Action, action))
