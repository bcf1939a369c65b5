"""Searching knowledge as a step sees it: a query, and passages with where each comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from graph_runtime.contract.messages import Source

SHOWN_OF_A_PASSAGE: Final = 900
_CITED: Final = re.compile(r"\[(\d{1,2}(?:\s*[,;]\s*\d{1,2})*)\]")
SearchMode = Literal["hybrid", "keyword", "semantic"]


@dataclass(frozen=True, slots=True)
class KnowledgeQuery:
    """What to search. `bases` are ids; no base means all of the workspace. `categories`: ids or names, those below included.
    `newest_days`: only documents that changed within so many days; 0 does not filter.

    `threshold` 0…1: how sure a passage must be. `neighbors`: passages added on either side of each. `tokens`: what all
    together may take in a prompt. `also`: other wordings, searched too and fused by rank. `meaning`: what is compared by
    meaning in place of the text, such as a supposed answer.
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
    newest_days: int = 0
    also: tuple[str, ...] = ()
    meaning: str = ""


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
    sure the best one was, taken or not. `trouble`: a sentence when meaning could not be searched, else "". `bases`: ids of
    those that were searched; `terms`: stems of the words that tell something."""

    passages: tuple[KnowledgePassage, ...] = ()
    context: str = ""
    best: float = 0.0
    trouble: str = ""
    bases: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> KnowledgeAnswer:
        """The opposite of `to_json`."""
        lists = {name: tuple(data.get(name, ())) for name in ("bases", "terms")}
        return cls(**{**data, **lists, "passages": tuple(KnowledgePassage(**p) for p in data["passages"])})


def cited(text: str, passages: Sequence[KnowledgePassage]) -> tuple[KnowledgePassage, ...]:
    """The passages that a text names by their numbers in brackets: [1], [2, 3]."""
    named = {int(n) for group in _CITED.findall(text) for n in re.findall(r"\d+", group)}
    return tuple(p for p in passages if p.number in named)


def as_sources(passages: Iterable[KnowledgePassage]) -> tuple[Source, ...]:
    """As a message shows them: the passage itself only where clients may open its document."""
    return tuple(
        Source(
            number=p.number, title=p.title, heading=p.heading, page=p.page, url=p.url,
            text=_shortened(p.text) if p.url else "", document_id=p.document_id,
        )
        for p in passages
    )  # fmt: skip


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_OF_A_PASSAGE else text[:SHOWN_OF_A_PASSAGE].rsplit(" ", 1)[0] + " …"
