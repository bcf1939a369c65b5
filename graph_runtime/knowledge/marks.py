"""A text with the words that were searched for marked, in any of their forms."""

from __future__ import annotations

from collections.abc import Sequence

from graph_runtime.knowledge.words import STOP_WORDS, normal, plain, stem, tokens


def marks(text: str, words: Sequence[str]) -> list[tuple[str, bool]]:
    """A text in pieces: (piece, whether it is one of the words in any of its forms). For highlighting."""
    wanted = {stem(normal(w)) for w in words} | {normal(w) for w in words}
    beginnings = tuple(w[: max(4, len(w) - 3)] for w in (normal(x) for x in words) if len(w) >= 5)
    pieces: list[tuple[str, bool]] = []
    for part in _runs(plain(text)):
        word = normal(part)
        same = word in wanted or stem(word) in wanted or (len(word) >= 4 and word.startswith(beginnings))
        hit = bool(part.strip()) and word not in STOP_WORDS and bool(tokens(word)) and same
        if pieces and pieces[-1][1] == hit:
            pieces[-1] = (pieces[-1][0] + part, hit)
        else:
            pieces.append((part, hit))
    return pieces


def _runs(text: str) -> list[str]:
    runs: list[str] = []
    is_word = False
    for c in text:
        now = c.isalnum() or c in "'’ʼ-_"
        if runs and now == is_word:
            runs[-1] += c
        else:
            runs.append(c)
        is_word = now
    return runs
