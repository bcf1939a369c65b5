"""Takes secrets out of texts and values before they reach a log: by the name of a field and by the shape of a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "[hidden]"
DEEPEST: Final = 8

_SECRET_NAMES = re.compile(
    r"passw|secret|token|authoriz|api[-_]?key|apikey|credential|cookie|private[-_]?key|signature|session[-_]?id|bearer|dsn"
    r"|(?:database|redis|admin|broker)[-_]?url",
    re.IGNORECASE,
)
_HARMLESS_NAMES: Final = frozenset(
    {"input_tokens", "output_tokens", "tokens", "max_tokens", "turn_max_tokens", "token_count", "credential_id"}
)
_SHAPES: Final = (
    # A whole group is hidden; where there are two, the first one stays to say what it was.
    re.compile(r"\b\d{6,12}:[A-Za-z0-9_-]{30,}"),  # Telegram
    re.compile(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{6,}"),
    re.compile(r"\b(?:sk|rk|pk)[-_][A-Za-z0-9_-]{8,}"),
    re.compile(r"\bpck_[A-Za-z0-9_-]{6,}"),
    re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{6,}"),
    re.compile(r"(?i)\b((?:access_token|refresh_token|client_secret|api_key|apikey|password|token)=)[^\s&\"'<>]{4,}"),
    re.compile(r"(/rest/\d+/)\w{6,}"),  # Bitrix24
    # Whoever knows the address of a hook may post there; customer systems and some channels sign nothing.
    re.compile(r"(?i)((?:/|%2f)hooks(?:/|%2f)[\w-]+(?:/|%2f))[\w-]{16,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"),  # JWT
    re.compile(r"\bAIza[A-Za-z0-9_-]{20,}"),
    re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?=@)"),  # a password in an address
    re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"),
)
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")


def redact(text: str, *, personal: bool = False) -> str:
    """The text without anything shaped like a secret; `personal` hides e-mail addresses too (words of vendors)."""
    for shape in _SHAPES:
        text = shape.sub(_hidden, text)
    return _EMAIL.sub(HIDDEN, text) if personal else text


def _hidden(match: re.Match[str]) -> str:
    return (match.group(1) if match.re.groups else "") + HIDDEN


def is_secret_name(name: str) -> bool:
    """Whether a field of this name is hidden whatever its value."""
    return name.lower() not in _HARMLESS_NAMES and _SECRET_NAMES.search(name) is not None


def redact_value(value: Any, *, personal: bool = False, depth: int = 0) -> Any:
    """A value of any kind, ready for a log."""
    if isinstance(value, str):
        return redact(value, personal=personal)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= DEEPEST:
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            str(k): HIDDEN
            if is_secret_name(str(k)) and v not in (None, "")
            else redact_value(v, personal=personal, depth=depth + 1)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(v, personal=personal, depth=depth + 1) for v in value]
    return redact(str(value), personal=personal or isinstance(value, BaseException))
