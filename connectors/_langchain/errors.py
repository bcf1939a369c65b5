"""Translates what vendor libraries raise into the product's errors; nothing a vendor wrote is repeated to a person."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    RateLimited,
    Refused,
    Unreachable,
)  # fmt: skip

KEY = "The key was not accepted. Check that it was copied whole, is still valid and may use this model."
CREDIT = "The account has no credit left or its quota is used up. Add credit at the vendor, then try again."
BUSY = "Too many requests for this key at the moment. Wait a little, or raise the limit at the vendor."
DOWN = "The service is not working properly at the moment. Try again in a few minutes."
NO_CONNECTION = "The service cannot be reached. Check the address in the settings and the network of this machine."
SLOW = "The service did not answer in time. Try again, or allow the step more time."
NO_MODEL = "There is no such model at this address. Check the name of the model and the address."
TOO_LONG = "The text is too long for this model. Shorten the instructions or the history, or choose another model."
REFUSED = "The service refused the request. Check the name of the model and the settings of the step."
CUT = "The answer broke off before it was complete. Try again."
UNREADABLE = "The answer could not be read. Try again, or check that the address belongs to this kind of service."
MOVED = "The address leads somewhere else. Enter the final address in the settings; redirects are not followed."

SENTENCES = (KEY, CREDIT, BUSY, DOWN, NO_CONNECTION, SLOW, NO_MODEL, TOO_LONG, REFUSED, CUT, UNREADABLE, MOVED)

_NO_CREDIT = re.compile(r"insufficient_quota|credit balance|insufficient.{0,12}(credit|balance)|billing", re.IGNORECASE)
_BAD_KEY = re.compile(
    r"api.?key.{0,20}(not valid|invalid|expired)|API_KEY_INVALID|invalid.{0,12}api.?key", re.IGNORECASE
)
_LONG = re.compile(
    r"context_length|context window|context length|prompt is too long|maximum number of tokens|token limit",
    re.IGNORECASE,
)
_SCHEMA = re.compile(
    r"response_format|json_schema|response_json_schema|output_config|output_format|text\.format", re.IGNORECASE
)
_BY_TYPE = {
    "authentication_error": 401, "permission_error": 403, "not_found_error": 404, "rate_limit_error": 429,
    "rate_limit_exceeded": 429, "invalid_request_error": 400, "overloaded_error": 529, "api_error": 500,
    "server_error": 500, "timeout_error": 504, "billing_error": 402, "request_too_large": 413,
}  # fmt: skip


def from_status(
    status: int, text: str = "", headers: Mapping[str, str] | None = None, *, vendor: str = ""
) -> ConnectorError:
    """The error for an HTTP status. `text` is only looked through for known marks, never shown."""
    if 300 <= status < 400:
        return Refused(MOVED, vendor=vendor)
    if status == 402 or (status in (400, 403, 429) and _NO_CREDIT.search(text)):
        return Refused(CREDIT, vendor=vendor)
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(text)):
        return CredentialRejected(KEY, vendor=vendor)
    if status == 404:
        return Refused(NO_MODEL, vendor=vendor)
    if status == 413 or (status == 400 and _LONG.search(text)):
        return Refused(TOO_LONG, vendor=vendor)
    if status == 429:
        return RateLimited(BUSY, retry_after=retry_after(headers or {}, text), vendor=vendor)
    if status in (408, 409, 425) or status >= 500:
        return Unreachable(SLOW if status in (408, 504) else DOWN, vendor=vendor)
    return Refused(REFUSED, vendor=vendor)


def translate(error: BaseException, *, vendor: str, started: bool) -> ConnectorError:
    """The error for whatever a vendor library raised. `started`: part of the answer had already come."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ConnectorError):
            return one
    for one in chain:
        status, text, headers = _status(one)
        if status >= 300:
            return from_status(status, text, headers, vendor=vendor)
    names = {base.__name__ for one in chain for base in type(one).__mro__}
    if names & {"TimeoutException", "APITimeoutError", "TimeoutError"}:
        return BadAnswer(CUT, vendor=vendor) if started else Unreachable(SLOW, vendor=vendor)
    if names & {"TransportError", "APIConnectionError", "OSError"}:
        return BadAnswer(CUT, vendor=vendor) if started else Unreachable(NO_CONNECTION, vendor=vendor)
    return BadAnswer(CUT if started else UNREADABLE, vendor=vendor)


def refuses_schema(error: BaseException) -> bool:
    """Whether the vendor said that this model or server cannot be given a JSON Schema."""
    for one in _chain(error):
        status, text, _ = _status(one)
        if status in (400, 422, 501) and _SCHEMA.search(text):
            return True
    return False


def retry_after(headers: Mapping[str, str], text: str = "") -> float | None:
    """Seconds to wait: `retry-after-ms`, `retry-after` (seconds or a date), Google's `retryDelay`; None if unsaid."""
    low = {k.lower(): v for k, v in headers.items()}
    try:
        if "retry-after-ms" in low:
            return max(0.0, float(low["retry-after-ms"]) / 1000)
        if "retry-after" in low:
            return _seconds(low["retry-after"])
    except (ValueError, TypeError):
        return None
    found = re.search(r"retryDelay\W{1,6}(\d+(?:\.\d+)?)s", text)
    return float(found[1]) if found else None


def _seconds(value: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
        return float(value)
    return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _status(error: BaseException) -> tuple[int, str, Mapping[str, str]]:
    """HTTP status, the body as text and the headers, as far as this exception knows them (0 when it knows nothing)."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None)
    body: Any = getattr(error, "body", None) or getattr(error, "details", None)
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        status = getattr(error, "code", None)
    if not isinstance(status, int) or status < 300:
        status = _status_of_body(body)
    return status, _text(body) or str(error), headers if isinstance(headers, Mapping) else {}


def _status_of_body(body: Any) -> int:
    """An error told inside a stream that began with 200: `{"type": …}` or `{"error": {"type" | "code": …}}`."""
    if not isinstance(body, dict):
        return 0
    inner = body.get("error")
    inner = inner if isinstance(inner, dict) else body
    for key in ("type", "code", "status"):
        value = inner.get(key)
        if isinstance(value, int) and value >= 300:
            return value
        if isinstance(value, str) and value in _BY_TYPE:
            return _BY_TYPE[value]
    return 0


def _text(body: Any) -> str:
    if body is None:
        return ""
    try:
        return body if isinstance(body, str) else json.dumps(body)
    except (TypeError, ValueError):
        return ""
