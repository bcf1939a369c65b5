"""Dates and times as people write them in English, Russian and Ukrainian."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DOTTED = re.compile(r"\b(\d{1,2})[./](\d{1,2})(?:[./](\d{4}|\d{2}))?(?![\d.])")
_TIME = re.compile(
    r"\b([01]?\d|2[0-3])[:.]([0-5]\d)\b(?!\.\d)(?:\s*(am|pm)\b)?|\b(1[0-2]|0?[1-9])\s*(am|pm)\b", re.IGNORECASE
)
_DAYS = (
    (r"day after tomorrow|послезавтра|післязавтра", 2), (r"tomorrow|завтра", 1), (r"today|сегодня|сьогодні", 0),
    (r"yesterday|вчера|вчора", -1),
)  # fmt: skip
_MONTHS = (
    "jan|январ|січ", "feb|феврал|лют", "mar|март|берез", "apr|апрел|квіт", "may|ма[йея]|трав", "jun|июн|черв",
    "jul|июл|лип", "aug|август|серп", "sep|сентябр|верес", "oct|октябр|жовт", "nov|ноябр|листопад", "dec|декабр|груд",
)  # fmt: skip
_WEEKDAYS = (
    "monday|понедельник|понеділ", "tuesday|вторник|вівтор", "wednesday|сред[ауыи]|серед[ауи]",
    "thursday|четверг|четвер", "friday|пятниц|п['’ʼ]?ятниц", "saturday|суббот|субот", "sunday|воскресень|неділ",
)  # fmt: skip


def today() -> date:
    """Today in UTC; a step that knows the contact's day gives it as a hint."""
    return datetime.now(UTC).date()


def find_date(text: str, now: date, *, with_time: bool = False) -> str | None:
    """An ISO date (with `T15:00` when asked for and said), or None."""
    found = _find(text.lower(), now)
    if found is None:
        return None
    time = find_time(text) if with_time else None
    return found.isoformat() + (f"T{time}" if time else "")


def find_time(text: str) -> str | None:
    """HH:MM, or None."""
    found = _TIME.search(_ISO.sub(" ", text))
    if not found:
        return None
    hour, minutes = int(found[1] or found[4]), found[2] or "00"
    half = (found[3] or found[5] or "").lower()
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f"{hour:02d}:{minutes}"


def without(text: str) -> str:
    """The text with dates and times blanked, so that their figures are not taken for numbers."""
    for pattern in (_ISO, _TIME):
        text = pattern.sub(" ", text)
    months = "|".join(_MONTHS)
    text = re.sub(
        rf"\b\d{{1,2}}(?:st|nd|rd|th|-?го)?\s+(?:{months})\w*|\b(?:{months})\w*\s+\d{{1,2}}\b",
        " ",
        text,
        flags=re.IGNORECASE,
    )
    return re.sub(r"\b\d{1,2}\.\d{1,2}\.\d{2,4}\b", " ", text)


def _find(text: str, today: date) -> date | None:
    if m := _ISO.search(text):
        return _made(int(m[1]), int(m[2]), int(m[3]))
    for pattern, days in _DAYS:
        if re.search(pattern, text):
            return today + timedelta(days=days)
    for number, names in enumerate(_MONTHS, 1):
        stem = rf"(?:{names})\w*\.?"
        if m := re.search(rf"\b(\d{{1,2}})(?:st|nd|rd|th|-?го)?\s+{stem}(?:,?\s+(\d{{4}}))?", text):
            return _soon(today, number, int(m[1]), m[2])
        if m := re.search(rf"\b{stem}\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?", text):
            return _soon(today, number, int(m[1]), m[2])
    if m := _DOTTED.search(text):
        return _soon(today, int(m[2]), int(m[1]), m[3])
    for number, names in enumerate(_WEEKDAYS):
        if re.search(rf"\b(?:{names})", text):
            return today + timedelta(days=(number - today.weekday()) % 7 or 7)
    return None


def _soon(today: date, month: int, day: int, year: str | None) -> date | None:
    """Without a year, the next such day."""
    if year:
        return _made(int(year) + (2000 if len(year) == 2 else 0), month, day)
    found = _made(today.year, month, day)
    return _made(today.year + 1, month, day) if found and found < today else found


def _made(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
