"""Short answers: yes or no, e-mail, phone, rating."""

from __future__ import annotations

import re

import phonenumbers

from graph_runtime.contract.answers.numbers import read_number
from graph_runtime.contract.answers.words import normal, vocabulary, words

_YES = vocabulary(
    "yes yep yeah yup ya sure ok okay right correct agree agreed absolutely definitely true y",
    "да ага угу конечно верно согласен согласна хорошо ок окей давайте давай точно именно можно",
    "так авжеж звісно звичайно згоден згодна гаразд добре саме",
)
_NO = vocabulary(
    "no nope nah not never false n dont don't",
    "нет неа не никогда нельзя ні нє немає ніколи зась",
)
_UNSURE = vocabulary(
    "know sure maybe perhaps depends unsure",
    "знаю уверен уверена наверное возможно посмотрим",
    "певен впевнений впевнена можливо мабуть побачимо",
)
_YES_SIGNS, _NO_SIGNS = "👍✅👌+", "👎❌🚫-"
_LEADING = vocabulary("ну well oh о ой hm хм та а so")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+'-]{1,64}@[^\W_](?:[\w-]{0,62}\.)+[^\W\d_]{2,24}(?!\w)")
_SPOKEN_AT = re.compile(r"\s+(?:at|собака|собачка|равлик|@)\s+", re.IGNORECASE)
_SPOKEN_DOT = re.compile(r"\s+(?:dot|точка|крапка)\s+", re.IGNORECASE)
_REGIONS = {"en": ("US", "GB"), "ru": ("RU", "KZ", "UA"), "uk": ("UA", "PL")}
_STARS = "⭐★🌟"
_INTERNATIONAL = re.compile(r"\+(?!00)\d{5,14}")


def read_yes_no(text: str) -> bool | None:
    """True for yes, False for no, None when it cannot be told. A "no" word decides over a "yes" word."""
    plain = normal(text)
    if len(plain) > 200:
        return None
    tokens = words(plain)
    while len(tokens) > 1 and tokens[0] in _LEADING:
        tokens.pop(0)
    if not tokens:
        first = plain[:1]
        return True if first and first in _YES_SIGNS else False if first and first in _NO_SIGNS else None
    if tokens[0] not in _YES and _UNSURE & set(tokens):
        return None
    if tokens[0] in _NO:
        return False
    if tokens[0] in _YES:
        return None if "не" in tokens[1:2] and len(tokens) == 2 else True
    said_no, said_yes = _NO & set(tokens), _YES & set(tokens)
    if bool(said_no) == bool(said_yes):
        return False if said_no else None
    return bool(said_yes)


def read_email(text: str) -> str | None:
    """The one e-mail address in a text, also spelled aloud ("name at mail dot com"); its domain in lower case."""
    if len(text) > 500:
        return None
    spelled = _SPOKEN_DOT.sub(".", _SPOKEN_AT.sub("@", text.strip()))
    found = {m.group().strip("'") for m in _EMAIL.finditer(spelled)}
    if len(found) != 1:
        return None
    name, _, domain = found.pop().rpartition("@")
    if not name or name.startswith(".") or name.endswith(".") or ".." in name or ".." in domain:
        return None
    return f"{name}@{domain.lower()}"


def read_phone(text: str, language: str = "en", region: str = "") -> str | None:
    """The phone number in a text as E.164; `region` (ISO code) is tried first for numbers without a country code."""
    text = text.strip()
    if not 5 <= len(text) <= 200:
        return None
    if _INTERNATIONAL.fullmatch(text):
        return _as_number(text)  # all of it or nothing: searching would find the same, three times as slowly
    regions = [r for r in (region.strip().upper(), *_REGIONS.get(language, ())) if r]
    candidates: list[tuple[str, str | None]] = [(text, None)] if "+" in text else []
    candidates += [(text, r) for r in regions]
    digits = re.sub(r"\D", "", text)
    if 10 <= len(digits) <= 15:
        candidates.append(("+" + digits.removeprefix("00"), None))
    for candidate, where in candidates:
        for match in _phones(candidate, where):
            return match
    return None


def _phones(text: str, region: str | None) -> list[str]:
    try:
        found = [m.number for m in phonenumbers.PhoneNumberMatcher(text, region)]
    except (phonenumbers.NumberParseException, ValueError):
        return []
    return [_e164(n) for n in found if phonenumbers.is_valid_number(n)]


def _as_number(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    return _e164(number) if phonenumbers.is_valid_number(number) else None


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def read_rating(text: str, language: str = "en", *, lowest: int = 1, highest: int = 5) -> int | None:
    """A whole number of the scale, out of "5", "5/5", "четыре" or stars."""
    stars = sum(text[:200].count(s) for s in _STARS)
    value: float | int | None = stars or None
    if value is None:
        out_of = re.fullmatch(r"\D{0,20}(\d{1,2})\s*(?:/|out of|из|з|із)\s*(\d{1,2})\D{0,20}", normal(text))
        if out_of:
            return int(out_of[1]) if int(out_of[2]) == highest and lowest <= int(out_of[1]) <= highest else None
        value = read_number(text, language)
    return int(value) if isinstance(value, int) and lowest <= value <= highest else None
