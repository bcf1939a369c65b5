"""Calls to the Bot API: the only place that knows its addresses and what its errors mean."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from connectors.telegram import words as told
from connectors.telegram.settings import Settings
from graph_runtime.contract.channel_links import MAX_FILE_BYTES, OutboundFile
from graph_runtime.contract.channels import ChannelHttp, HttpAnswer
from graph_runtime.contract.errors import (
    BuilderError,
    Conflict,
    ContactUnreachable,
    CredentialRejected,
    InputInvalid,
    OutcomeUnknown,
    RateLimited,
    RecipientMoved,
    Refused,
    Unreachable,
)

_TOKEN: Final = re.compile(r"\d{5,15}:[A-Za-z0-9_-]{30,80}")
_GONE: Final = (
    "bot was blocked",
    "user is deactivated",
    "bot was kicked",
    "chat not found",
    "not a member",
    "bot can't initiate",
)
_PAUSE_SECONDS: Final = 5.0


class BadMarkup(Refused):
    """Telegram could not read the marks in a text; nothing was delivered."""

    code = "bad_markup"


async def call(
    settings: Settings,
    method: str,
    fields: Mapping[str, Any],
    http: ChannelHttp,
    *,
    file: tuple[str, OutboundFile] | None = None,
    seconds: float = 20.0,
    keep: int = 256_000,
) -> Any:
    """What a method answers. `file`: a field whose content is uploaded with it.

    Raises: CredentialRejected, RateLimited, ContactUnreachable, RecipientMoved, BadMarkup, Refused, Conflict,
    Unreachable, OutcomeUnknown, InputInvalid (no token).
    """
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    if file is None:
        body, kind = json.dumps(given, ensure_ascii=False).encode("utf-8", "replace"), "application/json"
    else:
        body, kind = _multipart(given, *file)
    headers = {"Content-Type": kind, "User-Agent": "Patchcord"}
    url = f"{_server(settings)}/bot{_token(settings)}/{method}"
    answer = await http.request("POST", url, headers=headers, body=body, seconds=seconds, keep=keep)
    return _result(answer)


async def download(settings: Settings, path: str, http: ChannelHttp) -> bytes:
    """A file that getFile named. Raises: Refused (gone, too large), Unreachable, RateLimited, OutcomeUnknown."""
    if ".." in path or not re.fullmatch(r"[\w./ -]{1,500}", path):
        raise Refused(told.NO_FILE_NAMED)
    url = f"{_server(settings)}/file/bot{_token(settings)}/{path.lstrip('/').replace(' ', '%20')}"
    answer = await http.request("GET", url, headers={}, seconds=80.0, keep=MAX_FILE_BYTES + 1)
    if answer.status != 200:
        _result(answer)
        raise Refused(told.NO_FILE_NOW.format(status=answer.status), status=answer.status)
    return answer.body


def _server(settings: Settings) -> str:
    return settings.base_url.rstrip("/")


def _token(settings: Settings) -> str:
    token = settings.bot_token.get_secret_value().strip()
    if not _TOKEN.fullmatch(token):
        raise InputInvalid(told.NOT_A_BOT, field="bot_token")
    return token


def _result(answer: HttpAnswer) -> Any:
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        if 200 <= answer.status < 300 or answer.status >= 500:
            # Not Telegram's own words: something on the way answered, and how far the request came nobody knows.
            raise OutcomeUnknown(told.UNREADABLE.format(status=answer.status), status=answer.status)
        raise Refused(told.NO_BOT_API.format(status=answer.status), status=answer.status)
    if answer.status == 200 and said.get("ok") is True:
        return said.get("result")
    code = said.get("error_code")
    more = said.get("parameters")
    raise _error(
        code if isinstance(code, int) else answer.status,
        str(said.get("description") or "").lower(),
        more if isinstance(more, dict) else {},
    )


def _error(status: int, words: str, more: Mapping[str, Any]) -> BuilderError:
    if status == 429:
        pause = more.get("retry_after")
        seconds = float(pause) if isinstance(pause, int | float) else _PAUSE_SECONDS
        return RateLimited(told.PAUSE, retry_after=seconds, status=status)
    if status == 401 or (status == 404 and words in ("not found", "")):
        return CredentialRejected(told.UNKNOWN_BOT, status=status)
    if isinstance(more.get("migrate_to_chat_id"), int):
        return RecipientMoved(told.SUPERGROUP, to=str(more["migrate_to_chat_id"]))
    if status == 403 or any(sign in words for sign in _GONE):
        return ContactUnreachable(told.BLOCKED, status=status)
    if status == 409:
        is_webhook = "webhook" in words
        return Conflict(
            told.WEBHOOK_ELSEWHERE if is_webhook else told.POLLED_ELSEWHERE,
            reason="webhook_elsewhere" if is_webhook else "polled_elsewhere",
        )
    if status >= 500:
        return Unreachable(told.FAILED.format(status=status), status=status)
    if "can't parse entities" in words or "unsupported start tag" in words:
        return BadMarkup(told.MARKS, status=status)
    return Refused(told.REFUSED.format(status=status), status=status)


def _multipart(fields: Mapping[str, Any], name: str, file: OutboundFile) -> tuple[bytes, str]:
    boundary = f"patchcord-{secrets.token_hex(16)}"
    out = bytearray()
    for key, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'.encode(
            "utf-8", "replace"
        )
    title = re.sub(r"[^\w. -]", "_", file.name)[:100] or "file"
    out += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{title}"\r\n'
        f"Content-Type: {file.mime}\r\n\r\n"
    ).encode()
    out += file.content + f"\r\n--{boundary}--\r\n".encode()
    return bytes(out), f"multipart/form-data; boundary={boundary}"
