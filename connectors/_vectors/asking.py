"""One request to a store: its errors in our words, its answer as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from connectors._vectors import texts
from graph_runtime.contract.channels import HttpAnswer
from graph_runtime.contract.connectors import CheckResult
from graph_runtime.contract.errors import BadAnswer, CredentialRejected, RateLimited, Refused, Unreachable
from graph_runtime.contract.http import ConnectorHttp, HttpAuth, host_of
from graph_runtime.contract.vectors import WRITE_SECONDS

T = TypeVar("T")
LONGEST_PAUSE = 600.0


async def ask(
    http: ConnectorHttp,
    method: str,
    url: str,
    body: Any = None,
    *,
    seconds: float = WRITE_SECONDS,
    also: Collection[int] = (),
) -> tuple[int, Any]:
    """Status and JSON. Statuses in `also` are answers, not errors.

    Raises: CredentialRejected, RateLimited, Unreachable, OutcomeUnknown, Refused, BadAnswer.
    """
    answer = await http.exchange(method, url, body=body, seconds=seconds)
    if answer.status not in also:
        raise_for(answer)
    try:
        return answer.status, json.loads(answer.body) if answer.body.strip() else None
    except ValueError:
        if answer.status in also:
            return answer.status, None
        raise BadAnswer(texts.UNREADABLE) from None


def raise_for(answer: HttpAnswer) -> None:
    """Nothing for a success. Raises: CredentialRejected, RateLimited, Unreachable, Refused."""
    status = answer.status
    if status in (401, 403):
        raise CredentialRejected(texts.REFUSED_KEY)
    if status == 429:
        raise RateLimited(texts.BUSY, retry_after=_pause(answer.headers))
    if status >= 500:
        raise Unreachable(texts.DOWN, status=status)
    if status == 404:
        raise Refused(texts.GONE, status=status)
    if not 200 <= status < 300:
        raise Refused(texts.REFUSED, status=status)


def read(answer: Any, how: Callable[[Any], T]) -> T:
    """What is wanted of an answer. Raises: BadAnswer when it has another shape."""
    try:
        return how(answer)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        raise BadAnswer(texts.UNREADABLE) from None


def authorised(base_url: str, headers: Mapping[str, str], *, allow_private_host: bool) -> HttpAuth:
    """Headers for the store's own host; empty ones are not sent."""
    own = host_of(base_url)
    return HttpAuth(
        base_url, frozenset({own} - {""}), {k: v for k, v in headers.items() if v}, own if allow_private_host else ""
    )


def no_host(base_url: str) -> CheckResult | None:
    """What a check says about an address that is none."""
    return None if host_of(base_url) else CheckResult(ok=False, message=texts.NO_HOST)


def _pause(headers: Mapping[str, str]) -> float | None:
    given = headers.get("retry-after", "").strip()
    return min(float(given), LONGEST_PAUSE) if given.isascii() and given.isdecimal() else None
