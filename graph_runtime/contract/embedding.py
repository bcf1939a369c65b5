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

    def unrelated(self, query: str) -> float:
        """The cosine of such a query with texts that have nothing to do with it: from there on it means something.

        Known after the first vectors; 0 where nobody measured it.
        """
        ...

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        """A vector for each text, in order, all of one length.

        Raises: CredentialRejected, RateLimited, Unreachable, Refused, BadAnswer. Never retries.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what is held, such as a process with a model; what is asked later may take it up again."""
        ...


@dataclass(frozen=True, slots=True)
class EmbedderOffer:
    """What a connector knows about embedding. `open(settings, model)` may look into files: the host calls it in a thread,
    and it raises Refused when there is no such model. `models`: name → what people read."""

    open: Callable[[Any, str], Embedder]
    models: tuple[tuple[str, str], ...] = ()
