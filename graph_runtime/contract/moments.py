"""Reads a moment that a person or a program wrote: a date, a time, or both, on the wall clock of a zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from graph_runtime.contract.answers import read_date
from graph_runtime.contract.local_time import moment_of, wall_of

_TIME = re.compile(
    r"^(?P<day>.*?)(?:^|[\s,]|\b(?:at|в|о|об)\s)\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?\s*$", re.IGNORECASE
)
_ISO_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_DOTTED_DAY = re.compile(r"\d{1,2}[./]\d{1,2}(?:[./]\d{2,4})?")


class NoMoment(ValueError):
    """The text names no moment; the message says why, in a sentence."""


def read_moment(text: str, now: datetime, zone: str, at: time = time(9)) -> datetime:
    """The moment (aware UTC) that `text` names: ISO with or without an offset, "25.12.2026 18:30", "tomorrow", "18:30".

    A day without a time means `at`; a time without a day the next such time. Raises: NoMoment.
    """
    text = text.strip()
    if not text:
        raise NoMoment("There is no date here: the value is empty.")
    try:
        exact = datetime.fromisoformat(text) if len(text) > 10 else None
    except ValueError:
        exact = None
    try:
        if exact is not None:
            return exact.astimezone(UTC) if exact.tzinfo else moment_of(exact, zone)
        return _read(text[:300], wall_of(now, zone), zone, at)
    except OverflowError:
        raise NoMoment(f"“{text[:60]}” is too far away.") from None


def _read(text: str, today: datetime, zone: str, at: time) -> datetime:
    match = _TIME.match(text)
    day_text = match["day"].strip(" ,") if match else text
    if match:
        hour, minute = int(match["hour"]), int(match["minute"])
        if hour > 23 or minute > 59:
            raise NoMoment(f"“{hour}:{minute:02d}” is no time of day.")
        at = time(hour, minute)
    if not day_text:
        moment = moment_of(datetime.combine(today.date(), at), zone)
        tomorrow = datetime.combine(today.date() + timedelta(days=1), at)
        return moment if datetime.combine(today.date(), at) > today else moment_of(tomorrow, zone)
    day = _day(day_text, today.date())
    return moment_of(datetime.combine(day, at), zone)


def _day(text: str, today: date) -> date:
    is_iso = _ISO_DAY.fullmatch(text)
    try:
        # What is written as ISO is read as nothing else: "2026-13-01" is no 13 January.
        day = date(*map(int, text.split("-"))) if is_iso else read_date(text, today)
    except ValueError:
        day = None
    if day is None:
        looks_like_one = is_iso or _DOTTED_DAY.fullmatch(text)
        why = "is a day that the calendar does not have" if looks_like_one else "is no date"
        raise NoMoment(f"“{text[:60]}” {why}.")
    return day
