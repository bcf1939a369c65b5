"""Embedders as the product sees them: texts become vectors, whoever the vendor is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Embedder(Protocol):
    """One model behind one credential."""

    @property
    def name(self) -> str:
        """The vendor and the model: vectors of different names are never compared."""
        ...

    @property
    def at_once(self) -> int:
        """How many texts one request may carry."""
        ...

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        """A vector for each text, in order, all of one length.

        Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer. Never retries.
        """
        ...


@dataclass(frozen=True, slots=True)
class EmbedderOffer:
    """What a connector knows about embedding. `models`: name → what people read."""

    open: Callable[[Any, str], Embedder]
    models: tuple[tuple[str, str], ...] = ()
