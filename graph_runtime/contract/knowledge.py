"""Searching knowledge as a step sees it: a query, and passages with where each comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

SearchMode = Literal["hybrid", "keyword", "semantic"]


@dataclass(frozen=True, slots=True)
class KnowledgeQuery:
    """What to search. `bases` and `categories` are ids; no base means all of the workspace.

    `threshold` 0…1: how sure a passage must be. `neighbors`: passages added on either side of each. `tokens`: what all
    together may take in a prompt.
    """

    text: str
    bases: tuple[str, ...] = ()
    mode: SearchMode = "hybrid"
    top_k: int = 5
    threshold: float = 0.35
    neighbors: int = 0
    tokens: int = 2000
    categories: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnowledgePassage:
    """A passage that was found. `number` from 1, as an answer cites it; `url`: what the client can open, or "";
    `sure` 0…1."""

    number: int
    id: str
    document_id: str
    title: str
    heading: str
    text: str
    url: str = ""
    page: int = 0
    sure: float = 0.0


@dataclass(frozen=True, slots=True)
class KnowledgeAnswer:
    """`passages`: best first, none when nothing fits. `context`: the passages for a prompt, framed as data. `best`: how
    sure the best one was, taken or not. `trouble`: a sentence when meaning could not be searched, else ""."""

    passages: tuple[KnowledgePassage, ...] = ()
    context: str = ""
    best: float = 0.0
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> KnowledgeAnswer:
        """The opposite of `to_json`."""
        return cls(**{**data, "passages": tuple(KnowledgePassage(**p) for p in data["passages"])})
