"""Numbers as people write and say them: "1 200,50", "50k", "50 тыс", "двадцать пять"."""

from __future__ import annotations

import math
import re

from graph_runtime.contract.answers.words import normal, words

_DIGITS = re.compile(
    r"(?<!\w)(?P<sign>[-+]?)(?P<body>\d{1,3}(?:[ ']\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)*)\s?(?P<scale>[^\W\d_]+)?"
)
_SCALES = (
    (1_000, ("k", "к", "тыс", "тис", "thousand", "grand")),
    (1_000_000, ("m", "mln", "млн", "million", "миллион", "мільйон")),
    (1_000_000_000, ("bn", "млрд", "billion", "миллиард", "мільярд")),
)
_EXACT_SCALES = frozenset({"k", "к", "m", "bn"})


def _table(*rows: str) -> dict[str, int]:
    return {w: int(value) for value, _, forms in (r.partition(":") for r in rows) for w in forms.split()}


_UNITS = _table(
    "0:zero ноль нуль нолик",
    "1:one один одна одно одну одного одне однієї",
    "2:two два две двух двое дві двох двоє",
    "3:three три трех трое трьох троє",
    "4:four четыре четырех четверо чотири чотирьох четверо",
    "5:five пять пяти пятеро п'ять п'яти п'ятеро",
    "6:six шесть шести шестеро шість шести",
    "7:seven семь семи семеро сім семи",
    "8:eight восемь восьми вісім восьми",
    "9:nine девять девяти дев'ять дев'яти",
)
_TEENS = _table(
    "11:eleven одиннадцать одиннадцати одинадцять",
    "12:twelve двенадцать двенадцати дванадцять",
    "13:thirteen тринадцать тринадцять",
    "14:fourteen четырнадцать чотирнадцять",
    "15:fifteen пятнадцать п'ятнадцять",
    "16:sixteen шестнадцать шістнадцять",
    "17:seventeen семнадцать сімнадцять",
    "18:eighteen восемнадцать вісімнадцять",
    "19:nineteen девятнадцать дев'ятнадцять",
)
_TENS = _table(
    "10:ten десять десяти десятка",
    "20:twenty двадцать двадцати двадцять",
    "30:thirty тридцать тридцати тридцять",
    "40:forty сорок сорока",
    "50:fifty пятьдесят пятидесяти полтинник п'ятдесят",
    "60:sixty шестьдесят шістдесят",
    "70:seventy семьдесят сімдесят",
    "80:eighty восемьдесят вісімдесят",
    "90:ninety девяносто дев'яносто",
)
_HUNDREDS = _table(
    "100:сто ста сотня сотню",
    "200:двести двухсот двісті",
    "300:триста трехсот трьохсот",
    "400:четыреста чотириста",
    "500:пятьсот пятисот п'ятсот",
    "600:шестьсот шістсот",
    "700:семьсот сімсот",
    "800:восемьсот вісімсот",
    "900:девятьсот дев'ятсот",
)
_HALVES = frozenset({"полтора", "полторы", "півтора", "півтори"})
# "Тысячи три" is about three thousand: the plural before the number.
_ABOUT = frozenset({"тысячи", "тысяч", "тисячі", "тисяч"})
_MINUS = frozenset({"minus", "минус", "мінус"})


def read_number(text: str, language: str = "en") -> float | int | None:
    """The one number in a text; None when there is none or more than one.

    A comma before exactly three digits separates thousands in English and decimals in Russian and Ukrainian.
    """
    if len(text) > 300:
        return None
    plain = normal(text)
    found = list(_DIGITS.finditer(plain))
    if len(found) > 1:
        return None
    if not found:
        return _tidy(_spoken(words(text)))
    match = found[0]
    if match["body"].count(",") + match["body"].count(".") > 6 or len(match["body"]) > 30:
        return None
    value = _written(match["body"].replace(" ", "").replace("'", ""), language)
    if value is None:
        return None
    scale = _scale(match["scale"] or "") or 1
    return _tidy(value * scale * (-1 if match["sign"] == "-" else 1))


def _written(body: str, language: str) -> float | None:
    comma, dot = body.count(","), body.count(".")
    if comma and dot:
        decimal = "," if body.rfind(",") > body.rfind(".") else "."
        if body.count(decimal) > 1:
            return None
        body = body.replace("." if decimal == "," else ",", "").replace(decimal, ".")
    elif comma == 1:
        is_thousands = language == "en" and len(body.partition(",")[2]) == 3 and not body.startswith("0")
        body = body.replace(",", "" if is_thousands else ".")
    elif comma > 1 or dot > 1:
        if any(len(group) != 3 for group in re.split("[.,]", body)[1:]):
            return None
        body = body.replace(",", "").replace(".", "")
    # \d also matches digits of other scripts; float() reads them too.
    return float(body)


def _scale(word: str) -> int | None:
    for factor, stems in _SCALES:
        if any(word == s if s in _EXACT_SCALES else word.startswith(s) for s in stems):
            return factor
    return None


def _spoken(tokens: list[str]) -> float | None:
    total = current = ahead = 0.0
    is_found = is_negative = False
    for word in tokens:
        if word in _MINUS and not is_found:
            is_negative = True
        elif word in _HALVES and not current:
            current, is_found = 1.5, True
        elif word == "hundred" and current < 10:
            current = (current or 1) * 100
        elif not is_found and word in _ABOUT:
            ahead, is_found = float(_scale(word) or 1), True
        elif (factor := _scale(word)) and word not in _EXACT_SCALES:
            total, current, is_found = total + (current or 1) * factor, 0.0, True
        elif (step := _step(word, current)) is not None:
            if step < 0:
                return None
            current, is_found = current + step, True
    value = (total + current) * ahead if ahead and total + current else total + current + ahead
    return (-1 if is_negative else 1) * value if is_found else None


def _step(word: str, current: float) -> int | None:
    """What a number word adds; -1 when it starts a second number; None for another word."""
    for table, room in ((_UNITS, 10), (_TEENS, 100), (_TENS, 100), (_HUNDREDS, 1000)):
        if word in table:
            has_room = current % room == 0 and not (room == 10 and current % 100 == 10)
            return table[word] if has_room else -1
    return None


def _tidy(value: float | None) -> float | int | None:
    if value is None or not math.isfinite(value) or abs(value) > 1e15:
        return None
    return int(value) if float(value).is_integer() else round(value, 6)
