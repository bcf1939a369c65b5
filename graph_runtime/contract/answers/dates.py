"""Dates as people write them: "12 марта", "next Friday", "через два дні", "12.03.26"."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal

from graph_runtime.contract.answers.numbers import read_number
from graph_runtime.contract.answers.words import normal, words

DateOrder = Literal["dmy", "mdy"]

_ISO = re.compile(r"(?<!\d)(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?!\d)")
_SHORT = re.compile(r"(?<!\d)(\d{1,2})\s?[-./]\s?(\d{1,2})(?:\s?[-./]\s?(\d{4}|\d{2}))?(?!\d)")
_DAY_OF_MONTH = re.compile(r"(?<!\d)(\d{1,2})(?:-?(?:st|nd|rd|th|го|е|те))?(?!\d)")
_YEAR = re.compile(r"(?<!\d)((?:19|20|21)\d\d)(?!\d)")
_MONTHS = (
    ("jan", "январ", "січ"), ("feb", "феврал", "лют"), ("mar", "март", "берез"), ("apr", "апрел", "квіт"),
    ("may", "май мая мае", "трав"), ("jun", "июн", "черв"), ("jul", "июл", "лип"), ("aug", "август", "серп"),
    ("sep", "сентябр", "верес"), ("oct", "октябр", "жовт"), ("nov", "ноябр", "листоп"), ("dec", "декабр", "груд"),
)  # fmt: skip
_ENGLISH = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WEEKDAYS = (
    ("monday", "понедельник", "понеділ"), ("tuesday", "вторник", "вівтор"), ("wednesday", "сред", "серед"),
    ("thursday", "четверг", "четвер"), ("friday", "пятниц", "п'ятниц"), ("saturday", "суббот", "субот"),
    ("sunday", "воскресень", "неділ"),
)  # fmt: skip
_SHORT_WEEKDAYS = (
    ("mon", "пн"), ("tue", "вт"), ("wed", "ср"), ("thu", "чт"), ("fri", "пт"), ("sat", "сб"), ("sun", "вс", "нд"),
)  # fmt: skip
_NEAR = (
    (2, ("day after tomorrow", "послезавтра", "післязавтра")),
    (1, ("tomorrow", "завтра")),
    (0, ("today", "tonight", "сегодня", "сьогодні")),
    (-2, ("позавчера", "позавчора")),
    (-1, ("yesterday", "вчера", "вчора")),
)
_UNITS = (
    (1, ("day", "дн", "день", "дня")),
    (7, ("week", "недел", "тиж")),
    (30, ("month", "месяц", "місяц")),
)
_AFTER = frozenset({"in", "через", "за"})
_NEXT = ("next", "следующ", "наступн")


def read_date(text: str, today: date, order: DateOrder = "dmy") -> date | None:
    """The date a text names; without a year the next one to come. None when it names none."""
    if len(text) > 300:
        return None
    plain, tokens = normal(text), words(text)
    readers: tuple[Callable[[], date | None], ...] = (
        lambda: _iso(plain),
        lambda: _with_month(plain, tokens, today),
        lambda: _short(plain, today, order),
        lambda: _near(plain, today),
        lambda: _after(plain, tokens, today),
        lambda: _weekday(tokens, today),
        lambda: _day_only(plain, tokens, today),
    )
    written = _ISO.search(plain)
    if written is not None and _iso(plain) is None:
        return None  # "2026-13-01" is no 13 January
    try:
        return next((found for read in readers if (found := read()) is not None), None)
    except OverflowError:
        return None


def _iso(plain: str) -> date | None:
    match = _ISO.search(plain)
    return _date(int(match[1]), int(match[2]), int(match[3])) if match else None


def _short(plain: str, today: date, order: DateOrder) -> date | None:
    match = _SHORT.search(plain)
    if match is None:
        return None
    first, second = int(match[1]), int(match[2])
    day, month = (first, second) if order == "dmy" else (second, first)
    if month > 12 >= day:
        day, month = month, day
    if match[3]:
        year = int(match[3])
        return _date(year + 2000 if year < 100 else year, month, day)
    return _coming(today, month, day)


def _with_month(plain: str, tokens: list[str], today: date) -> date | None:
    month = next((m for t in tokens if (m := _month(t))), None)
    if month is None:
        return None
    year = _YEAR.search(plain)
    without_year = plain[: year.start()] + plain[year.end() :] if year else plain
    day = _DAY_OF_MONTH.search(without_year)
    number = int(day[1]) if day else read_number(" ".join(t for t in tokens if not _month(t)))
    if number is None or not isinstance(number, int) or not 1 <= number <= 31:
        return None
    return _date(int(year[1]), month, number) if year else _coming(today, month, number)


def _month(word: str) -> int | None:
    for index, (english, russian, ukrainian) in enumerate(_MONTHS):
        is_english = word in (english, _ENGLISH[index]) or (word == "sept" and english == "sep")
        is_russian = word in russian.split() if " " in russian else word.startswith(russian)
        if is_english or is_russian or (word.startswith(ukrainian) and len(word) > len(ukrainian)):
            return index + 1
    return None


def _near(plain: str, today: date) -> date | None:
    for days, names in _NEAR:
        if any(name in plain for name in names):
            return today + timedelta(days=days)
    return None


def _after(plain: str, tokens: list[str], today: date) -> date | None:
    if not _AFTER & set(tokens):
        return None
    days = next((d for d, stems in _UNITS for t in tokens if t.startswith(stems)), None)
    if days is None:
        return None
    count = read_number(plain)
    count = 1 if count is None else count
    return today + timedelta(days=days * int(count)) if 0 < count <= 1000 else None


def _weekday(tokens: list[str], today: date) -> date | None:
    for index, (english, *stems) in enumerate(_WEEKDAYS):
        short = _SHORT_WEEKDAYS[index]
        if any(t == english or t.startswith(tuple(stems)) or t in short for t in tokens):
            if any(t.startswith(_NEXT) for t in tokens):
                return today + timedelta(days=7 - today.weekday() + index)
            return today + timedelta(days=(index - today.weekday() - 1) % 7 + 1)
    return None


def _day_only(plain: str, tokens: list[str], today: date) -> date | None:
    match = _DAY_OF_MONTH.search(plain)
    if match is None or len(_DAY_OF_MONTH.findall(plain)) > 1:
        return None
    is_named = any(t in ("числа", "число") for t in tokens) or bool(re.search(r"\d(st|nd|rd|th|-?го)\b", plain))
    if not is_named:
        return None
    day = int(match[1])
    for ahead in range(3):
        month = (today.month + ahead - 1) % 12 + 1
        found = _date(today.year + (today.month + ahead - 1) // 12, month, day)
        if found is not None and found >= today:
            return found
    return None


def _coming(today: date, month: int, day: int) -> date | None:
    found = _date(today.year, month, day)
    if found is not None and found < today:
        return _date(today.year + 1, month, day)
    return found or _date(today.year + 1, month, day)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if 1900 <= year <= 2200 else None
    except ValueError:
        return None
