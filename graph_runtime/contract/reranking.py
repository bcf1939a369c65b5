"""Rerankers as the product sees them: a model reads the question with each passage and says how well it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graph_runtime.contract.http import ConnectorHttp


class Reranker(Protocol):
    """One model behind one credential."""

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers, in the order of the texts; more is better, in whatever measure the model has.

        Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer, OutcomeUnknown. Never retries.
        """
        ...


@dataclass(frozen=True, slots=True)
class RerankerOffer:
    """What a connector knows about reranking: `open(settings, http)`."""

    open: Callable[[Any, ConnectorHttp], Reranker]
