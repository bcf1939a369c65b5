"""The small grammar of one question: its options, and what people say instead, so that not everything is a yes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

UNKNOWN = (
    "maybe", "perhaps later", "hello", "good morning", "what is this about", "i do not know", "could you repeat that",
    "thank you very much", "wait a moment", "something else", "how much is it", "banana", "seventy seven", "monkey business",
    "the weather is nice today", "excuse me", "never mind",
)  # fmt: skip
"""Phrases of very different sound; whatever is closer to one of them than to an option was not an option."""
UNKNOWN_WEIGHT = 0.001
_WORD = re.compile(r"[a-z][a-z']*")


def words_of(phrase: str) -> list[str]:
    """The words as the dictionary writes them."""
    return _WORD.findall(phrase.lower().replace("’", "'"))


def build(
    phrases: Sequence[str], sounds: Callable[[str], str | None], add: Callable[[str, str], None]
) -> tuple[str, dict[str, str]]:
    """A JSGF grammar, and which phrase each of its words stands for ("" for none of them).

    `sounds` gives a word's phones, `add` puts a new word into the dictionary: each phrase becomes one word, because the
    search loses the last word of a sequence. A phrase with an unknown word cannot be recognised and is left out; the
    grammar is "" when none is left.
    """
    meant = _words(phrases, sounds, add, "option")
    if not meant:
        return "", {}
    wanted = {" ".join(words_of(p)) for p in phrases}
    others = _words([u for u in UNKNOWN if u not in wanted], sounds, add, "other")
    lines = [
        "#JSGF V1.0;", "grammar question;", f"<unknown> = {' | '.join(others)} ;",
        f"public <answer> = /1/ ( {' | '.join(meant)} ) | /{UNKNOWN_WEIGHT}/ <unknown> ;",
    ]  # fmt: skip
    return "\n".join(lines) + "\n", meant


def _words(
    phrases: Sequence[str], sounds: Callable[[str], str | None], add: Callable[[str, str], None], kind: str
) -> dict[str, str]:
    words = {}
    for phrase in phrases:
        phones = [sounds(word) for word in words_of(phrase)]
        if phones and all(phones):
            name = f"{kind}-{hashlib.blake2b(phrase.encode(), digest_size=6).hexdigest()}"
            add(name, " ".join(p for p in phones if p))
            words[name] = phrase
    return words
