"""From found passages to what a model reads: fused ranks, a budget of tokens, passages wrapped as data."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from graph_runtime.knowledge.words import token_estimate

RANK_CONSTANT: Final = 60
"""Of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)."""


def fuse(rankings: Mapping[str, Sequence[str]], weights: Mapping[str, float] | None = None) -> list[tuple[str, float]]:
    """Ids by the sum of 1 / (60 + rank) over the rankings (retriever → ids, best first), best first."""
    scores: dict[str, float] = {}
    for retriever, ids in rankings.items():
        weight = (weights or {}).get(retriever, 1.0)
        for rank, passage_id in enumerate(ids, 1):
            scores[passage_id] = scores.get(passage_id, 0.0) + weight / (RANK_CONSTANT + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))


def within_budget(passages: Iterable[Mapping[str, Any]], tokens: int) -> list[Mapping[str, Any]]:
    """As many as fit, best first; one that does not fit is left out, shorter ones after it may still fit."""
    kept, left = [], tokens
    for passage in passages:
        need = token_estimate(passage["text"]) + token_estimate(passage["title"] + passage["heading"]) + 12
        if need <= left:
            kept.append(passage)
            left -= need
    return kept


def as_data(passages: Sequence[Mapping[str, Any]]) -> str:
    """Passages for a prompt: numbered, with where each comes from, and unable to end their own frame."""
    return "\n".join(
        f'<passage n="{p["n"]}" source="{html.escape(_source(p), quote=True)}">\n{_inert(p["text"])}\n</passage>'
        for p in passages
    )


def _source(passage: Mapping[str, Any]) -> str:
    parts = [passage["title"], passage["heading"] if passage["heading"] != passage["title"] else ""]
    return " › ".join(p for p in parts if p)


def _inert(text: str) -> str:
    """The frame's own tags inside a text are written so that they are only text."""
    return text.replace("<passage", "&lt;passage").replace("</passage", "&lt;/passage")
