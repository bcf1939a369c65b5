"""Rerankers with the address that Jina, Cohere, vLLM and others share: POST /rerank."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from pydantic import SecretStr

from graph_runtime.contract.connectors import CheckResult, Connector, CredentialSettings, HttpOffer
from graph_runtime.contract.errors import BadAnswer, CredentialRejected, RateLimited, Refused, Unreachable
from graph_runtime.contract.forms import setting
from graph_runtime.contract.http import ConnectorHttp, HttpAuth, host_of
from graph_runtime.contract.reranking import RerankerOffer

WORKS = "The reranker answers."
NO_HOST = "Enter the address of the service, such as https://api.jina.ai/v1."
REFUSED_KEY = "The reranker does not accept the key. Check that it was copied whole and is still valid."
BUSY = "The reranker allows no more requests right now."
DOWN = "The reranker is not working properly at the moment."
REFUSED = "The reranker refused the request. Check the address and the name of the model."
UNREADABLE = "The answer of the reranker could not be read. Check that the address belongs to a reranker."
MOST_CHARACTERS: Final = 4000
"""Of one text: what comes after, such models hardly read."""
SECONDS: Final = 10.0


class Settings(CredentialSettings):
    """Where the model is."""

    base_url: str = setting(
        "Address", default="https://api.jina.ai/v1", required=True, max_length=2000,
        help="Jina: https://api.jina.ai/v1. Cohere: https://api.cohere.com/v2. vLLM: http://your-server:8000/v1.",
    )  # fmt: skip
    model: str = setting(
        "Model", default="jina-reranker-v2-base-multilingual", required=True, max_length=200,
        help="Cohere: rerank-v3.5. On a server of your own, the name it was started with.",
    )  # fmt: skip
    key: SecretStr = setting(
        "Key", default=SecretStr(""), help="Leave empty for a server of your own that asks for none."
    )
    allow_private_host: bool = setting(
        "The address is inside our own network", default=False, advanced=True,
        help="Only an administrator can switch this on.",
    )  # fmt: skip


class HttpReranker:
    """One request for each question."""

    def __init__(self, settings: Settings, http: ConnectorHttp) -> None:
        self._model = settings.model
        self._http = http

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """As the contract says."""
        body = {
            "model": self._model, "query": query, "documents": [t[:MOST_CHARACTERS] for t in texts], "top_n": len(texts),
        }  # fmt: skip
        answer = await self._http.exchange("POST", "/rerank", body=body, seconds=SECONDS)
        if answer.status in (401, 403):
            raise CredentialRejected(REFUSED_KEY)
        if answer.status == 429:
            raise RateLimited(BUSY)
        if answer.status >= 500:
            raise Unreachable(DOWN)
        if answer.status != 200:
            raise Refused(REFUSED, status=answer.status)
        try:
            return _scores(json.loads(answer.body), len(texts))
        except (ValueError, KeyError, TypeError, IndexError):
            raise BadAnswer(UNREADABLE) from None


def _scores(answer: Any, count: int) -> list[float]:
    """Each text named once, with a number. Raises: ValueError, KeyError, TypeError."""
    found: dict[int, float] = {}
    for row in answer["results"]:
        index, score = row["index"], float(row["relevance_score"])
        if type(index) is not int or not 0 <= index < count or index in found or not math.isfinite(score):
            raise ValueError
        found[index] = score
    if len(found) != count:
        raise ValueError
    return [found[n] for n in range(count)]


def auth(settings: Settings, _access: str) -> HttpAuth:
    """A bearer token for the service's own host, if it asks for one."""
    key = settings.key.get_secret_value()
    own = host_of(settings.base_url)
    private = own if settings.allow_private_host else ""
    return HttpAuth(
        settings.base_url, frozenset({own} - {""}), {"Authorization": f"Bearer {key}"} if key else {}, private
    )


async def try_out(settings: Settings, http: ConnectorHttp) -> CheckResult:
    """Order two texts. Raises: ConnectorError."""
    if not host_of(settings.base_url):
        return CheckResult(ok=False, message=NO_HOST)
    await HttpReranker(settings, http).rerank("How much is delivery?", ["Delivery costs 5 euros.", "We sell flowers."])
    return CheckResult(ok=True, message=WORKS)


CONNECTOR = Connector(
    id="reranker",
    label="Reranker",
    summary="Puts what a knowledge base found into a better order: Jina, Cohere, vLLM.",
    settings=Settings,
    kinds=frozenset({"reranker"}),
    http=HttpOffer(auth),
    try_out=try_out,
    reranker=RerankerOffer(open=HttpReranker),
)
