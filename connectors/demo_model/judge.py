"""Judges a text against a rubric by plain signs: empty, gibberish, evasive, lacking what the rubric names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from connectors.demo_model import dates, extract
from connectors.demo_model.phrases import say
from connectors.demo_model.words import words

_VOWELS = set("aeiouyаеёиоуыэюяіїєAEIOUYАЕЁИОУЫЭЮЯІЇЄ")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "йцукенгшщзхъї", "фывапролджэ", "фівапролджє", "ячсмитьбю")
_EVASIVE = re.compile(
    r"^\W*(i )?(don['’]?t|do not) (know|care|want)|^\W*(no idea|whatever|skip|none of your|idk)\b"
    r"|^\W*не (знаю|хочу|скажу)|^\W*(без понятия|отстань|какая разница|неважно|без поняття|відчепись|байдуже)",
    re.IGNORECASE,
)
_RUDE = re.compile(
    r"\b(fuck\w*|shit\w*|idiot\w*|stupid|bitch\w*|сука|бля\w*|дура\w?|идиот\w*|ідіот\w*|хуй\w*|пизд\w*)\b",
    re.IGNORECASE,
)

_AT_LEAST = re.compile(
    r"(?:at least|not less than|не менее|не меньше|минимум|хотя бы|щонайменше|не менше|мінімум)"
    r"\s+(\w+)\s+(?:words?|слов|слів|слова)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Verdict:
    """Whether it passes, and why, in a sentence of the conversation's language."""

    passed: bool
    reason: str


# What the rubric asks for: (words of the rubric, whether the text has it, which phrase says what is missing)
_WANTED: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    (r"e-?mail|почт|пошт", lambda t: bool(extract.EMAIL.search(t)), "no_email"),
    (r"phone|телефон", lambda t: bool(extract.PHONE.search(t)), "no_phone"),
    (r"\bdates?\b|\bдат[аыуи]\b|calendar day", lambda t: dates.find_date(t, dates.today()) is not None, "no_date"),
    (
        r"\bnumber|\bdigit|\bamount|\bquantity|\bage\b|\bчисл|\bцифр|\bсумм|\bсум[аиу]\b|количеств|кількіст|возраст|\bвік\b",
        lambda t: bool(re.search(r"\d", t)) or any(w in extract.COUNTED for w in words(t)),
        "no_number",
    ),
    (r"yes or no|да или нет|так чи ні", lambda t: extract.yes_or_no(t) is not None, "no_yes_no"),
    (r"polite|вежлив|ввічлив|rude|груб", lambda t: not _RUDE.search(t), "rude"),
)


def judge(text: str, rubric: str, language: str) -> Verdict:
    """Fails for a reason it can name, otherwise passes."""
    fault = _fault(text.strip(), rubric)
    return Verdict(not fault, say(fault or "judged_good", language))


def _fault(text: str, rubric: str) -> str:
    """The phrase that says what is wrong, or ""."""
    if not text:
        return "nothing_said"
    if is_gibberish(text):
        return "gibberish"
    if _EVASIVE.search(text):
        return "evasive"
    for pattern, has, phrase in _WANTED:
        if re.search(pattern, rubric, re.IGNORECASE) and not has(text):
            return phrase
    least = _AT_LEAST.search(rubric)
    if least and len(words(text)) < _count(least[1]):
        return "too_short"
    if re.search(
        r"sentence|detail|explain|describ|предложени|подробн|опиш|объясн|речення|детальн|поясн", rubric, re.IGNORECASE
    ):
        return "" if len(words(text)) >= 3 else "too_short"
    return ""


def _count(word: str) -> int:
    return int(word) if word.isdigit() else extract.COUNTED.get(word.lower(), 0)


def is_gibberish(text: str) -> bool:
    """No letters or digits at all, one letter repeated, a row of the keyboard, or a long word without vowels."""
    letters = [c for c in text if c.isalnum()]
    if not letters:
        return True
    if any(c.isdigit() for c in letters):
        return False
    lowered = "".join(letters).lower()
    if len(lowered) >= 4 and len(set(lowered)) <= 2 and lowered[:2] not in ("ha", "ха"):
        return True
    bad = sum(len(w) for w in words(text) if _mashed(w))
    return bad > len(lowered) / 2


def _mashed(word: str) -> bool:
    if len(word) >= 5 and not set(word) & _VOWELS:
        return True
    if re.search(r"[^aeiouyаеёиоуыэюяіїє\W\d_ьъ’'-]{6,}", word):
        return True
    return len(word) >= 4 and any(word in row or word in row[::-1] for row in _ROWS)
