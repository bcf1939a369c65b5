"""One request for vectors, whoever the vendor is: faults in the words of the contract, and an answer that is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from connectors._langchain import clients
from connectors._langchain.errors import NO_CONNECTION, SLOW, UNREADABLE, from_status
from graph_runtime.contract.errors import BadAnswer, Unreachable

SECONDS: Final = 60.0
MOST_CHARACTERS: Final = 24_000
"""Of one text; what comes after is left out."""


async def ask_for_vectors(
    url: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    read: Callable[[Any], Sequence[Sequence[Any]]],
    *,
    vendor: str,
    count: int,
) -> list[list[float]]:
    """`read` takes the vectors out of the parsed answer, in order; there must be `count` of one length.

    Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer.
    """
    import httpx2

    try:
        async with clients.http_client() as client:
            answer = await client.post(url, json=dict(body), headers=dict(headers), timeout=SECONDS)
    except httpx2.TimeoutException:
        raise Unreachable(SLOW, vendor=vendor) from None
    except httpx2.HTTPError:
        raise Unreachable(NO_CONNECTION, vendor=vendor) from None
    if answer.status_code != 200:
        raise from_status(answer.status_code, answer.text[:2000], answer.headers, vendor=vendor)
    try:
        vectors = [[float(x) for x in row] for row in read(answer.json())]
    except (ValueError, KeyError, TypeError):
        raise BadAnswer(UNREADABLE, vendor=vendor) from None
    if len(vectors) != count or len({len(v) for v in vectors}) != 1 or not vectors[0]:
        raise BadAnswer(UNREADABLE, vendor=vendor)
    return vectors
