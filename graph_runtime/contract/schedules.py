"""When something recurs: the plain choices and cron, read by the wall clock of one time zone, and what was missed."""

from __future__ import annotations

import calendar
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Final, Literal

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field

from graph_runtime.contract.local_time import is_time_zone, moment_of, wall_of

Every = Literal["once", "day", "weekday", "week", "month", "cron"]
CatchUp = Literal["skip", "once", "all"]
LATE: Final = timedelta(minutes=10)
"""What comes this much later is not yet a time that was missed."""
MOST_MISSED: Final = 100
LOOK_DAYS: Final = 366 * 5
_CRON_PARTS: Final = ("minute", "hour", "day of the month", "month", "weekday")


class Schedule(BaseModel):
    """Times by the clock of `zone` (IANA). `at`: "HH:MM"; `weekdays`: 0 is Monday; `day`: 1 to 31, 0 is the last one.

    A day that a month does not have is its last one. `catch_up` says what happens with times that passed while nothing
    ran: none of them, one for all of them, or each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    every: Every = "weekday"
    at: str = Field(default="09:00", max_length=5)
    on: date | None = None
    weekdays: tuple[int, ...] = Field(default=(0,), max_length=7)
    day: int = Field(default=1, ge=0, le=31)
    cron: str = Field(default="", max_length=200)
    zone: str = Field(default="UTC", max_length=64)
    catch_up: CatchUp = "once"


@dataclass(frozen=True, slots=True)
class ScheduleProblem:
    """What is wrong with a schedule. `code` names a text for screens, `message` says it in English."""

    code: str
    field: str
    message: str


def check(schedule: Schedule, now: datetime) -> ScheduleProblem | None:
    """The first thing that keeps a schedule from working; None when it works."""
    if not is_time_zone(schedule.zone):
        return _problem("zone", "zone", "There is no such time zone. It looks like Europe/Kyiv.")
    if schedule.every == "cron":
        return _check_cron(schedule.cron, schedule.zone, now)
    if clock_time(schedule.at) is None:
        return _problem("at", "at", "This is no time of day. It looks like 09:30.")
    if schedule.every == "week" and (not schedule.weekdays or any(not 0 <= d <= 6 for d in schedule.weekdays)):
        return _problem("weekdays", "weekdays", "Choose at least one day of the week.")
    if schedule.every == "once":
        if schedule.on is None:
            return _problem("on", "on", "Choose the day.")
        if next(times(schedule, now), None) is None:
            return _problem("past", "on", "This moment has passed. Choose one that is still to come.")
    return None


def _check_cron(text: str, zone: str, now: datetime) -> ScheduleProblem | None:
    parts = text.split()
    if len(parts) == 6:
        return _problem(
            "cron_seconds", "cron", "Six parts would mean seconds. Write five: the shortest is each minute."
        )
    if len(parts) != 5:
        message = f"A cron line has five parts: {', '.join(_CRON_PARTS)}. This one has {len(parts)}."
        return _problem("cron_parts", "cron", message)
    try:
        CronSim(text, now.astimezone(zoneinfo.ZoneInfo(zone)))
    except CronSimError as error:
        if _never(parts):
            return _problem("cron_never", "cron", "No month of this line has such a day, so it never comes.")
        part = str(error).removeprefix("Bad ").replace("-", " ").replace("day of week", "weekday")
        return _problem("cron_part", "cron", f"The part for the {part} cannot be read. Check “{text}”.")
    if next(times(Schedule(every="cron", cron=text, zone=zone), now), None) is None:
        return _problem("cron_never", "cron", "This line never comes true.")
    return None


def _never(parts: list[str]) -> bool:
    return parts[2].isdigit() and 29 <= int(parts[2]) <= 31 and parts[4].startswith("*")


def _problem(code: str, field: str, message: str) -> ScheduleProblem:
    return ScheduleProblem(f"schedule_{code}", field, message)


def clock_time(text: str) -> time | None:
    """A time of day as "9:30" or "09:30"; None when it is none."""
    hour, colon, minute = text.strip().partition(":")
    if not (colon and hour.isascii() and hour.isdigit() and minute.isascii() and minute.isdigit() and len(minute) == 2):
        return None
    return time(int(hour), int(minute)) if len(hour) <= 2 and int(hour) < 24 and int(minute) < 60 else None


def times(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Every moment (aware UTC) strictly after one, in order. Empty for a schedule that `check` refuses.

    A time that the clock skips in spring comes at the first moment after the gap; one that it shows twice comes once,
    the first time. A cron line whose minute or hour is a star goes on by elapsed time instead, gap or not.
    """
    last = after
    for moment in _cron(schedule, after) if schedule.every == "cron" else _plain(schedule, after):
        if moment > last:
            last = moment
            yield moment


def next_times(schedule: Schedule, after: datetime, n: int) -> list[datetime]:
    """The next `n` moments; fewer when there are no more."""
    return list(islice(times(schedule, after), n))


def _cron(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    try:
        # From before any change of the clock, so that a repeated hour is found the same from both of its readings.
        found = CronSim(schedule.cron, (after - timedelta(hours=2)).astimezone(zoneinfo.ZoneInfo(schedule.zone)))
        for wall in found:
            yield wall.astimezone(UTC)
    except (CronSimError, OverflowError, ValueError, KeyError):
        return


def _plain(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    clock = clock_time(schedule.at)
    if clock is None or not is_time_zone(schedule.zone):
        return
    if schedule.every == "once":
        if schedule.on is not None:
            yield moment_of(datetime.combine(schedule.on, clock), schedule.zone)
        return
    day = wall_of(after, schedule.zone).date() - timedelta(days=1)
    for _ in range(LOOK_DAYS):
        if _falls_on(schedule, day):
            yield moment_of(datetime.combine(day, clock), schedule.zone)
        if day == date.max:
            return
        day += timedelta(days=1)


def _falls_on(schedule: Schedule, day: date) -> bool:
    if schedule.every == "weekday":
        return day.weekday() < 5
    if schedule.every == "week":
        return day.weekday() in schedule.weekdays
    if schedule.every == "month":
        last = calendar.monthrange(day.year, day.month)[1]
        return day.day == (min(schedule.day, last) if schedule.day else last)
    return True


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule asks for now. `moments`: for which times it fires; `passed_over`: how many it leaves out."""

    moments: list[datetime]
    passed_over: int
    next_at: datetime | None


def due(schedule: Schedule, due_at: datetime, now: datetime) -> Due:
    """What to do at `now` about a schedule whose next time was `due_at`; nothing before that."""
    if now < due_at:
        return Due([], 0, due_at)
    missed = [due_at]
    next_at = None
    more = 0
    for moment in times(schedule, due_at):
        if moment > now:
            next_at = moment
            break
        missed.append(moment)
        if len(missed) > MOST_MISSED:
            # The newest are those that matter; how many were before them is only counted.
            missed.pop(0)
            more += 1
    if schedule.catch_up == "all":
        chosen = missed
    elif schedule.catch_up == "once" or now - missed[-1] <= LATE:
        chosen = missed[-1:]
    else:
        chosen = []
    return Due(chosen, more + len(missed) - len(chosen), next_at)
