"""Stores of vectors beside PostgreSQL: they hold a copy, narrowed by the same conditions in each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from graph_runtime.contract.http import ConnectorHttp

SEARCH_SECONDS: Final = 2.0
"""A search waits no longer for a store; PostgreSQL is asked then."""
WRITE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class VectorEntry:
    """One passage's vector, and what searches narrow by. `id`: a UUID, the same whenever this passage is put into this copy.

    `copy`: of which knowledge base, and which filling of it; `category` "" without; `changed_at`: when the document
    changed, in seconds of Unix time; `model`: what made the vector.
    """

    id: str
    passage: str
    vector: Sequence[float]
    workspace: str
    copy: str
    base: str
    model: str
    category: str
    language: str
    changed_at: int

    def fields(self) -> dict[str, str | int]:
        """What is kept beside the vector; `KEPT` names them."""
        return {name: getattr(self, name) for name in KEPT}


KEPT: Final[dict[str, Literal["text", "number"]]] = {
    "passage": "text", "workspace": "text", "copy": "text", "base": "text", "model": "text", "category": "text",
    "language": "text", "changed_at": "number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` is one of `any_of`; with `at_least`: it is a number not below that."""

    field: str
    any_of: tuple[str, ...] = ()
    at_least: int | None = None


@dataclass(frozen=True, slots=True)
class VectorScope:
    """Where to search, or what to remove. None does not filter; a workspace and its copies are always named.

    Raises: ValueError without them.
    """

    workspace: str
    copies: tuple[str, ...]
    model: str | None = None
    categories: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    since: int | None = None

    def __post_init__(self) -> None:
        if not self.workspace or not self.copies or not all(self.copies):
            raise ValueError("a request to a store names the workspace and the copies")

    @property
    def is_empty(self) -> bool:
        """Whether nothing can fulfil the conditions: one of no values."""
        return any(c.at_least is None and not c.any_of for c in self.conditions())

    def conditions(self) -> tuple[Condition, ...]:
        """All of which hold. A store translates them one by one, so that it can forget none."""
        found = [Condition("workspace", (self.workspace,)), Condition("copy", self.copies)]
        if self.model is not None:
            found.append(Condition("model", (self.model,)))
        found += [
            Condition(name, values)
            for name, values in (("category", self.categories), ("language", self.languages))
            if values is not None
        ]
        if self.since is not None:
            found.append(Condition("changed_at", at_least=self.since))
        return tuple(found)


class VectorStore(Protocol):
    """One place behind one credential. Vectors of different lengths never meet: `dims` goes with every request.

    Raises: CredentialRejected, RateLimited, Unreachable, OutcomeUnknown, Refused, BadAnswer. Never retries; everything may be
    asked twice.
    """

    async def prepare(self, dims: int) -> None:
        """Make what vectors of this length need, unless it is there."""
        ...

    async def put(self, entries: Sequence[VectorEntry]) -> None:
        """Add or overwrite: one or more of one copy, all of one length. Refused when nothing was prepared for them."""
        ...

    async def remove(self, dims: int, scope: VectorScope, ids: Sequence[str]) -> None:
        """Entries of one copy by their ids; those that are not there are no error."""
        ...

    async def clear(self, dims: int, scope: VectorScope) -> None:
        """All entries of one copy; where nothing was prepared there are none."""
        ...

    async def nearest(self, scope: VectorScope, vector: Sequence[float], limit: int) -> list[str]:
        """Passages by cosine similarity, the most similar first: as many as asked for where so many fulfil the conditions."""
        ...


@dataclass(frozen=True, slots=True)
class VectorStoreOffer:
    """What a connector knows about a store: `open(settings, http)`. `most_bytes`: what one request to it may have."""

    open: Callable[[Any, ConnectorHttp], VectorStore]
    most_bytes: int = 2_000_000
