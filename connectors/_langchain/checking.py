"""Tries a credential by asking the vendor for its list of models: quick, free, without the vendor's library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from connectors._langchain.clients import http_client
from connectors._langchain.errors import NO_CONNECTION, SLOW, UNREADABLE, from_status
from connectors._langchain.texts import clean
from graph_runtime.contract.connectors import CheckResult
from graph_runtime.contract.errors import ConnectorError

WORKS = "It works. These models can be used with it."
NO_MODELS = "The service answers, but offers no chat model. Load or allow a model there first."
CHECK_SECONDS = 15.0
MOST_MODELS = 500


async def check(
    url: str,
    headers: Mapping[str, str],
    names: Callable[[Any], Iterable[str]],
    *,
    params: Mapping[str, str] | None = None,
    before: str = "",
) -> CheckResult:
    """GET the list and say in a sentence what came of it; `before` is an address that must answer 2xx first."""
    import httpx2

    try:
        async with asyncio.timeout(CHECK_SECONDS), http_client() as client:
            if before:
                _require(await client.get(before, headers=dict(headers)))
            answer = await client.get(url, headers=dict(headers), params=dict(params or {}))
            _require(answer)
            found = tuple(sorted({clean(n) for n in names(answer.json()) if n})[:MOST_MODELS])
            return CheckResult(ok=bool(found), message=WORKS if found else NO_MODELS, models=found)
    except ConnectorError as error:
        return CheckResult(ok=False, message=error.message)
    except (TimeoutError, httpx2.TimeoutException):
        return CheckResult(ok=False, message=SLOW)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
        return CheckResult(ok=False, message=NO_CONNECTION)
    except (ValueError, TypeError, KeyError, AttributeError):
        return CheckResult(ok=False, message=UNREADABLE)


def _require(answer: Any) -> None:
    if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        raise from_status(answer.status_code, answer.text[:4000], answer.headers)
