"""Searching a few passages in memory, by words alone: for templates that show themselves, and for tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from graph_runtime.contract.knowledge import KnowledgeAnswer, KnowledgePassage, KnowledgeQuery
from graph_runtime.knowledge.packing import as_data
from graph_runtime.knowledge.words import is_same_word, normal, plain, stem, telling_words, tokens


def passage(title: str, text: str, url: str = "") -> KnowledgePassage:
    """A passage that is a document of its own."""
    return KnowledgePassage(0, title, "", title, "", text, url)


def few_passages(passages: Iterable[KnowledgePassage]) -> Callable[[KnowledgeQuery], Awaitable[KnowledgeAnswer]]:
    """A search over these: a passage is as sure as the part of the question's words that it has."""
    known = [(p, {stem(w) for w in tokens(normal(plain(f"{p.title} {p.text}")))}) for p in passages]

    async def search(query: KnowledgeQuery) -> KnowledgeAnswer:
        terms = [stem(w) for w in telling_words(query.text)]
        scored = [
            (sum(any(is_same_word(t, w) for w in words) for t in terms) / (len(terms) or 1), p) for p, words in known
        ]
        best = sorted(scored, key=lambda pair: -pair[0])
        taken = [(sure, p) for sure, p in best if sure >= max(query.threshold, 0.01)][: query.top_k]
        found = tuple(replace(p, number=n, sure=round(sure, 3)) for n, (sure, p) in enumerate(taken, 1))
        context = as_data([{"n": p.number, "title": p.title, "heading": p.heading, "text": p.text} for p in found])
        return KnowledgeAnswer(found, context, best[0][0] if best else 0.0, terms=tuple(terms))

    return search
