"""Finds the values of typed fields in what a person wrote; what is not there is None, never a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from connectors.demo_model import dates
from connectors.demo_model.words import alike, stem, stems, words

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PHONE = re.compile(r"(?<![\w.])\+?\d[\d\s().-]{5,18}\d(?!\w)")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d\s\u00a0]*(?:[.,]\d+)?")
_URL = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_CODE = re.compile(r"\b(?=[\w-]*\d)[A-ZА-ЯІЇЄ]{0,5}[-–]?\d[\w-]{2,}\b", re.IGNORECASE)
_CALLED = re.compile(
    r"(?:my name is|name's|i am called|call me|i['’]?m|i am|this is|меня зовут|мо[её] имя|зовите меня|мене звати"
    r"|мене звуть|моє ім['’ʼ]?я|звати|зовут|имя|ім['’ʼ]?я|name)\s*[:—-]?\s+"
    r"((?-i:[A-ZА-ЯЁІЇЄҐ])[\w’'ʼ-]+(?:\s+(?-i:[A-ZА-ЯЁІЇЄҐ])[\w’'ʼ-]+){0,2})",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"[A-ZА-ЯЁІЇЄҐ][\w’'ʼ-]+(?:\s+[A-ZА-ЯЁІЇЄҐ][\w’'ʼ-]+){0,2}")
COUNTED = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "один": 1, "одна": 1, "два": 2, "две": 2, "дві": 2, "двое": 2, "двоє": 2, "три": 3, "трое": 3, "троє": 3,
    "четыре": 4, "чотири": 4, "пять": 5, "п'ять": 5, "п’ять": 5, "шесть": 6, "шість": 6, "семь": 7, "сім": 7,
    "восемь": 8, "вісім": 8, "девять": 9, "дев'ять": 9, "дев’ять": 9, "десять": 10,
}  # fmt: skip
YES = frozenset(
    [
        "yes",
        "yeah",
        "yep",
        "sure",
        "ok",
        "okay",
        "true",
        "correct",
        "да",
        "ага",
        "конечно",
        "верно",
        "хорошо",
        "так",
        "звісно",
        "авжеж",
        "вірно",
        "добре",
    ]
)
NO = frozenset({"no", "nope", "not", "never", "false", "нет", "не", "неа", "никогда", "ні", "нема", "ніколи"})
_KINDS = {
    "integer": "integer", "int": "integer", "number": "number", "float": "number", "decimal": "number",
    "money": "number", "date": "date", "time": "time", "datetime": "datetime", "date_time": "datetime",
    "email": "email", "e-mail": "email", "phone": "phone", "tel": "phone", "boolean": "boolean", "bool": "boolean",
    "yes_no": "boolean", "list": "list", "array": "list", "name": "name", "person": "name", "url": "url", "choice": "choice", "enum": "choice",
}  # fmt: skip
# In the name, label or hint of a text field: what is really wanted.
_BY_WORD = (
    ("email", r"e-?mail|почт|пошт"), ("phone", r"phone|mobile|телефон|номер тел"),
    ("name", r"\bname\b|_name|name_|\bимя\b|\bфио\b|как зовут|ім['’ʼ]?я|\bпіб\b|прізвищ|фамили"),
    ("date", r"\bdate\b|\bday\b|\bдат[аыуи]|\bдень\b"), ("time", r"\btime\b|\bвремя\b|\bчас\b"),
    ("url", r"\burl\b|website|\bсайт|\bлінк|ссылк|посилан"),
    ("code", r"order|number|номер|\bcode\b|\bкод\b|заказ|замовлен|артикул|invoice|договор|договір"),
)  # fmt: skip


def name_of(field: dict[str, Any]) -> str:
    """The field's name in the answer."""
    return str(field.get("name") or field.get("id") or "")


def extract(
    texts: Sequence[str], fields: Sequence[dict[str, Any]], today: date | None = None, *, asked: str = ""
) -> dict[str, Any]:
    """`{name: value or None}`. `texts` are what the person wrote, the newest first; the newest mention wins.

    `asked`: the field the person was just asked for, so that a bare text may be its value.
    """
    only = name_of(fields[0]) if len(fields) == 1 else asked
    day = today or dates.today()
    return {name_of(f): _first(texts, f, day, alone=name_of(f) == only) for f in fields if name_of(f)}


def _first(texts: Sequence[str], field: dict[str, Any], today: date, *, alone: bool) -> Any:
    for n, text in enumerate(texts):
        value = _value(text, field, kind_of(field), today, alone=alone and n == 0)
        if value is not None:
            return value
    return None


def kind_of(field: dict[str, Any]) -> str:
    """What a field wants, by its type or else by the words of its name, label and hint."""
    given = _KINDS.get(str(field.get("type", "")).lower(), "")
    if field.get("options") or field.get("choices") or field.get("enum"):
        return "choice"
    if given:
        return given
    about = " ".join(str(field.get(k) or "") for k in ("name", "id", "label", "hint")).lower()
    return next((kind for kind, pattern in _BY_WORD if re.search(pattern, about)), "text")


def _value(text: str, field: dict[str, Any], kind: str, today: date, *, alone: bool) -> Any:
    if kind in ("integer", "number"):
        return _number(text, field, whole=kind == "integer")
    if kind in ("date", "datetime"):
        return dates.find_date(text, today, with_time=kind == "datetime")
    if kind == "time":
        return dates.find_time(text)
    if kind == "boolean":
        return yes_or_no(text)
    if kind == "choice":
        return _choice(text, field)
    if kind == "phone":
        found = PHONE.search(text)
        return re.sub(r"[^\d+]", "", found[0]) if found else None
    if kind == "name":
        return _name(text, alone=alone)
    if kind in ("email", "url", "code"):
        pattern = {"email": EMAIL, "url": _URL, "code": _CODE}[kind]
        found = pattern.search(EMAIL.sub(" ", text) if kind == "code" else text)
        return found[0].rstrip(".,;") if found else None
    found_text = _free_text(text, field, alone=alone)
    if kind == "list" and found_text:
        return [part.strip() for part in re.split(r",|;|\n|\s+(?:and|и|та|і)\s+", found_text) if part.strip()]
    return found_text


def _number(text: str, field: dict[str, Any], *, whole: bool) -> int | float | None:
    """The number nearest to a word of the field's label, else the first one that is not part of a phone or date."""
    bare = dates.without(EMAIL.sub(" ", text))
    bare = PHONE.sub(lambda m: " " if len(re.sub(r"\D", "", m[0])) >= 9 else m[0], bare)
    found = [(m.start(), m[0]) for m in _NUMBER.finditer(bare)]
    if not found:
        return next((COUNTED[w] for w in words(text) if w in COUNTED), None)
    about = stems(" ".join(str(field.get(k) or "") for k in ("name", "id", "label", "hint")).replace("_", " "))
    places = [m.start() for m in re.finditer(r"\w+", bare) if any(alike(stem(m[0].lower()), a) >= 0.7 for a in about)]
    if places:
        found.sort(key=lambda f: min(abs(f[0] - p) for p in places))
    value = float(re.sub(r"[\s\u00a0]", "", found[0][1]).replace(",", "."))
    if whole or value.is_integer():
        return int(value) if value.is_integer() or not whole else None
    return value


def yes_or_no(text: str) -> bool | None:
    """True, False, or None when neither was said."""
    said = words(text)[:6]
    if any(w in NO for w in said):
        return False
    return True if any(w in YES for w in said) else None


def _choice(text: str, field: dict[str, Any]) -> Any:
    best, score = None, 0.6
    for option in field.get("options") or field.get("choices") or field.get("enum") or ():
        value, label = (
            (option.get("id", option.get("value")), option.get("label", ""))
            if isinstance(option, dict)
            else (option, option)
        )
        offered = stems(f"{label} {value}") or words(str(label))
        now = max((alike(a, o) for a in (stems(text) or words(text)) for o in offered), default=0.0)
        if now > score:
            best, score = value, now
    return best


def _name(text: str, *, alone: bool) -> str | None:
    found = _CALLED.search(text)
    if found:
        return found[1].strip()
    bare = text.strip(" .,!")
    if _CAPITALS.fullmatch(bare):
        return bare
    short = len(words(bare)) <= 2 and re.fullmatch(r"[^\W\d_]+(?:[ ’'ʼ-][^\W\d_]+)*", bare)
    return bare.title() if alone and short and not set(words(bare)) & (YES | NO) else None


def _free_text(text: str, field: dict[str, Any], *, alone: bool) -> str | None:
    """What follows the field's label ("city: Kyiv", "city is Kyiv"); the whole text when only this was asked."""
    for about in {str(field.get("label") or ""), name_of(field).replace("_", " ")} - {""}:
        found = re.search(rf"\b{re.escape(about)}\w{{0,3}}\s*(?:[:=—-]|is|это|це)\s*([^.,;\n]+)", text, re.IGNORECASE)
        if found:
            return found[1].strip()
    return text.strip() if alone and text.strip() else None
