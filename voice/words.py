"""Words that mean "I am listening", not "let me speak", in the product's languages."""

from __future__ import annotations

import re

BACKCHANNEL = {
    "en": "yes yeah yep yup ok okay right sure uh-huh uhuh mhm mm-hmm mmhmm hmm mm uh um aha ah oh i see got it",
    "ru": "да ага угу ок окей хорошо так ясно понятно понял поняла мгм хм эм ну о а конечно верно",
    "uk": "так ага угу ок окей добре ясно зрозуміло зрозумів зрозуміла мгм хм ем ну о а звісно авжеж вірно гаразд",
}
_WORDS = {language: frozenset(words.split()) for language, words in BACKCHANNEL.items()}
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
LONGEST_BACKCHANNEL = 4
"""More words than this are somebody's turn, whatever they are."""


def words_of(text: str) -> list[str]:
    """In lower case, without punctuation."""
    return [word.lower() for word in _WORD.findall(text)]


def word_count(text: str) -> int:
    """How many words there are."""
    return len(words_of(text))


def is_backchannel(text: str, language: str) -> bool:
    """Whether nothing but such words was said; for an unknown language never."""
    known = _WORDS.get(language.partition("-")[0].lower(), frozenset())
    words = words_of(text)
    return 0 < len(words) <= LONGEST_BACKCHANNEL and all(word in known for word in words)
