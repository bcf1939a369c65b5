"""Takes a credential's own secrets out of what its service answers: some repeat them, in errors above all, and a step keeps answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from graph_runtime.contract.channels import HttpAnswer
from graph_runtime.contract.connectors import CredentialSettings
from graph_runtime.contract.http import HttpAuth, HttpReply

SHORTEST: Final = 8
"""Characters; what is shorter stands in ordinary answers by chance, and is no secret worth the name."""
HIDDEN: Final = "[hidden]"
Got = TypeVar("Got", HttpAnswer, HttpReply)


def secrets_of(settings: CredentialSettings, auth: HttpAuth, access: str = "") -> tuple[str, ...]:
    """Everything that may not come back, the longest first: whole headers, keys without their “Bearer”, keys as they were entered."""
    entered = (getattr(settings, name) for name in settings.secret_fields())
    found = {v.get_secret_value() if isinstance(v, SecretStr) else str(v) for v in entered} | {access}
    for value in auth.headers.values():
        found |= {value, value.rpartition(" ")[2]}
    return tuple(sorted((s for s in found if len(s) >= SHORTEST), key=len, reverse=True))


def silenced(answer: Got, secrets: Iterable[str]) -> Got:
    """The answer without them."""
    wanted = tuple(secrets)
    if isinstance(answer, HttpReply):
        return replace(answer, headers=_inside(answer.headers, wanted), body=_inside(answer.body, wanted))
    body = answer.body
    for secret in wanted:
        for raw in _forms(secret):
            body = body.replace(raw, HIDDEN.encode())
    return replace(answer, headers=_inside(answer.headers, wanted), body=body)


def _forms(secret: str) -> set[bytes]:
    """As it is, and as JSON writes it, where a slash may be escaped and letters may be numbers."""
    written = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return {form.encode("utf-8", "replace") for form in written | {w.replace("/", "\\/") for w in written}}


def _inside(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {_inside(k, secrets): _inside(v, secrets) for k, v in value.items()}
    return [_inside(v, secrets) for v in value] if isinstance(value, list) else value
