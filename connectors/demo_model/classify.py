"""Chooses a class for a text by the words it shares with the classes' labels and examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectors.demo_model.words import alike, overlap, stems, words

_LEAST = 0.25
MOST_WORDS = 60


@dataclass(frozen=True)
class Choice:
    """The chosen class ("" for none) and how sure that is, 0 to 1."""

    id: str
    confidence: float


def classify(text: str, classes: list[dict[str, Any]]) -> Choice:
    """The class that shares most words with the text; equal ones make each other less sure."""
    asked = list(dict.fromkeys(stems(text) or words(text)))[:MOST_WORDS]
    if not asked or not classes:
        return Choice("", 0.0)
    found = {str(c["id"]): set(_stems_of(c)) for c in classes}
    weight = {word: 1.0 / (1 + sum(_has(s, word) for s in found.values())) + 0.2 for word in asked}
    scores = {str(c["id"]): _score(asked, text, c, weight) for c in classes}
    ranked = sorted(scores, key=lambda i: -scores[i])
    best, score = ranked[0], scores[ranked[0]]
    if score < _LEAST:
        return Choice("", round(score, 2))
    rival = scores[ranked[1]] if len(ranked) > 1 else 0.0
    return Choice(best, round(min(0.99, score * (1.0 - 0.5 * rival / score)), 2))


def _score(asked: list[str], text: str, one: dict[str, Any], weight: dict[str, float]) -> float:
    """Of 1: the best single example or label, helped by all words of the class together."""
    offers = [str(one.get("label", "")), *(str(e) for e in one.get("examples") or ())]
    lowered = " ".join(words(text))
    if any(lowered and lowered == " ".join(words(offer)) for offer in offers):
        return 1.0
    single = max((_both_ways(asked, stems(o), weight) for o in offers), default=0.0)
    together = overlap(asked, _stems_of(one), weight)
    hit = 0.35 if any(_has(set(_stems_of(one)), word) for word in asked) else 0.0
    return min(0.98, hit + 0.4 * single + 0.35 * together)


def _both_ways(asked: list[str], offered: list[str], weight: dict[str, float]) -> float:
    return max(overlap(asked, offered, weight), 0.9 * overlap(offered, asked)) if offered else 0.0


def _stems_of(one: dict[str, Any]) -> list[str]:
    texts = [one.get("label", ""), one.get("hint", ""), one.get("description", ""), *(one.get("examples") or ())]
    return [s for t in texts for s in stems(str(t or ""))]


def _has(stems_: set[str], word: str) -> bool:
    return any(alike(word, s) >= 0.7 for s in stems_)
