"""Working hours of a week: reading them, whether a moment is within them, and the next moment that is."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final

from graph_runtime.contract.local_time import moment_of, wall_of

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
MOST_SPANS: Final = 4
LOOK_DAYS: Final = 400

Span = tuple[int, int]
"""Minutes of the day, from and before; 1440 is midnight."""


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """Spans of each weekday, Monday first, in order and apart from one another."""

    days: tuple[tuple[Span, ...], ...]

    @property
    def are_empty(self) -> bool:
        """Nobody ever works."""
        return not any(self.days)

    def data(self) -> dict[str, list[list[str]]]:
        """As JSON: {"mon": [["09:00", "18:00"]], …}; days without hours are left out."""
        return {
            name: [[_text(start), _text(end)] for start, end in spans]
            for name, spans in zip(WEEKDAYS, self.days, strict=True)
            if spans
        }


ALWAYS: Final = WorkingHours(((((0, DAY_MINUTES)),),) * 7)
OFFICE: Final = WorkingHours((((9 * 60, 18 * 60),),) * 5 + ((), ()))
"""Monday to Friday, 9 to 18."""


def load_hours(data: Any) -> WorkingHours:
    """Read what `WorkingHours.data` wrote.

    Raises: ValueError with a sentence for a person.
    """
    if not isinstance(data, Mapping):
        raise ValueError("Working hours are a list of times for each weekday.")  # noqa: TRY004 (one kind for a form)
    if unknown := [str(k) for k in data if k not in WEEKDAYS]:
        raise ValueError(f"There is no weekday “{unknown[0]}”.")
    return WorkingHours(tuple(_spans(data.get(name) or []) for name in WEEKDAYS))


def _spans(rows: Any) -> tuple[Span, ...]:
    if not isinstance(rows, list) or len(rows) > MOST_SPANS:
        raise ValueError(f"A day has at most {MOST_SPANS} spans of working time.")
    spans = sorted(_span(row) for row in rows)
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise ValueError("Two spans of one day overlap. Make them one.")
    return tuple(spans)


def _span(row: Any) -> Span:
    if not isinstance(row, list | tuple) or len(row) != 2:
        raise ValueError("A span of working time has a beginning and an end, such as 09:00 and 18:00.")
    start, end = (_minute(text) for text in row)
    if end <= start:
        raise ValueError(
            "A span of working time ends after it begins. Split one that goes over midnight into two days."
        )
    return start, end


def _minute(text: Any) -> int:
    hour, _, minute = str(text).strip().partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and len(hour) <= 2 and len(minute) == 2):
        raise ValueError(f"“{text}” is no time of day. It looks like 09:30.")
    value = int(hour) * 60 + int(minute)
    if int(minute) > 59 or value > DAY_MINUTES:
        raise ValueError(f"“{text}” is no time of day. The last one is 24:00.")
    return value


def _text(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def is_working(moment: datetime, hours: WorkingHours, zone: str, holidays: Container[date] = ()) -> bool:
    """Whether somebody works at a moment (aware), by the clock of `zone`."""
    return next_working(moment, hours, zone, holidays) == moment


def next_working(moment: datetime, hours: WorkingHours, zone: str, holidays: Container[date] = ()) -> datetime | None:
    """The moment itself when it is within working hours, else the beginning of the next (aware UTC).

    None when there is none within 400 days. Hours are read from the wall clock of `zone`: a beginning that the clock
    skips is the first moment after the gap.
    """
    day = wall_of(moment, zone).date()
    for _ in range(LOOK_DAYS):
        for start, end in () if day in holidays else hours.days[day.weekday()]:
            begins, ends = _at(day, start, zone), _at(day, end, zone)
            if moment < ends and begins < ends:
                return max(moment, begins)
        if day == date.max:
            return None
        day += timedelta(days=1)
    return None


def _at(day: date, minute: int, zone: str) -> datetime:
    return moment_of(datetime.combine(day, time()) + timedelta(minutes=minute), zone)
