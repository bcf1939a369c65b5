"""One spelling for comparing: case, apostrophes, ё and punctuation do not matter."""

from __future__ import annotations

import re
import unicodedata

MAX_READ = 1000
"""Characters looked at; a longer message is not a short answer."""

_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "‘": "'", "ё": "е", "−": "-", "–": "-", "—": "-"})
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def normal(text: str) -> str:
    """Case-folded text with one kind of apostrophe, dash and space."""
    folded = unicodedata.normalize("NFKC", text[:MAX_READ]).casefold().translate(_APOSTROPHES)
    return " ".join(folded.split())


def words(text: str) -> list[str]:
    """The words of a text in their one spelling."""
    return _WORD.findall(normal(text))


def vocabulary(*lines: str) -> frozenset[str]:
    """A set of words, written as lines of text."""
    return frozenset(word for line in lines for word in line.split())
