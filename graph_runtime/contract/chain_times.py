"""When the steps of a chain are due, in the contact's own calendar; pure: the same answer for the same question."""

from __future__ import annotations

import calendar as months
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from graph_runtime.contract.chains import SPEAKING, Chain, ChainStep, ContactFacts, Delay, Quiet, Window, draw
from graph_runtime.contract.local_time import moment_of as moment_at
from graph_runtime.contract.local_time import time_zone_of
from graph_runtime.contract.working_hours import WorkingHours

LONGEST_SEARCH_DAYS: Final = 800
"""A window that opens on no day for so long opens never."""
Reason = Literal["", "no_date", "past", "never"]


def _never(_: date) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days as the contact counts them. `weekend`: 0 is Monday. `hours`: when somebody may be spoken to; None: at any."""

    zone: ZoneInfo
    is_holiday: Callable[[date], bool] = _never
    weekend: tuple[int, ...] = (5, 6)
    hours: WorkingHours | None = None

    def is_at_work(self, moment: datetime) -> bool:
        """Whether it is within the hours; none are on a holiday."""
        if self.hours is None:
            return True
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        spans = () if self.is_holiday(local.date()) else self.hours.days[local.weekday()]
        return any(start <= minute < end for start, end in spans)

    def is_day_off(self, day: date) -> bool:
        """Whether nobody works that day."""
        return day.weekday() in self.weekend or self.is_holiday(day)


@dataclass(frozen=True, slots=True)
class Planned:
    """A step and when it is due (aware UTC); None with the reason when it will be skipped."""

    step: ChainStep
    due_at: datetime | None
    reason: Reason = ""


def zone_of(contact: ContactFacts, likely: str) -> ZoneInfo:
    """The zone whose clock counts for a contact: their own, else their phone's, else `likely`, else UTC."""
    return ZoneInfo(time_zone_of({"time_zone": contact.time_zone, "phone": contact.phone}, likely))


def plan(
    chain: Chain, contact: ContactFacts, enrolled_at: datetime, calendar: Calendar, *, key: str = "", first: int = 0,
    previous_at: datetime | None = None, until: datetime | None = None,
) -> list[Planned]:  # fmt: skip
    """Every step from `first` on, if all goes as planned. `key`: of the enrollment, for the jitter.

    `previous_at`: when the step before `first` was done; None: that is the enrollment. `until`: what is due after it
    is left out, and so is what follows: no step comes before the one in front of it.
    """
    planned = []
    previous = previous_at or enrolled_at
    for step in chain.steps[first:]:
        one = due(chain, step, contact, enrolled_at, previous, calendar, key=key)
        if until is not None and one.due_at is not None and one.due_at > until:
            break
        planned.append(one)
        previous = one.due_at or previous
    return planned


def due(
    chain: Chain, step: ChainStep, contact: ContactFacts, enrolled_at: datetime, previous_at: datetime,
    calendar: Calendar, *, key: str = "",
) -> Planned:  # fmt: skip
    """When one step is due. Never before the step that comes before it."""
    delay = step.delay
    if delay.since == "field":
        found = moment_of(contact.resolve(f"contact.{delay.field}"), calendar.zone)
        if found is None:
            return Planned(step, None, "no_date")
        at = shifted(found, delay, calendar)
        if at < enrolled_at - timedelta(minutes=1) or at < previous_at:
            return Planned(step, None, "past")
    else:
        at = shifted(enrolled_at if delay.since == "enrollment" else previous_at, delay, calendar)
    at = max(at, previous_at)
    speaks = step.kind in SPEAKING
    quiet = chain.quiet if speaks else None
    calendar = calendar if speaks or calendar.hours is None else replace(calendar, hours=None)
    opened = allowed_from(at, step.window, quiet, calendar)
    if opened is None:
        return Planned(step, None, "never")
    if speaks and chain.jitter_minutes:
        later = opened + timedelta(seconds=draw(f"{key}/{step.id}/jitter", chain.jitter_minutes * 60 + 1))
        if allowed_from(later, step.window, quiet, calendar) == later:
            opened = later
    return Planned(step, opened)


def is_alike_for_all(chain: Chain, step: ChainStep) -> bool:
    """Whether a step is due at one time for all whose clock is the same and who begin together."""
    return step.delay.since != "field" and not (step.kind in SPEAKING and chain.jitter_minutes)


def shifted(moment: datetime, delay: Delay, calendar: Calendar) -> datetime:
    """A moment with a delay added. Minutes and hours are elapsed time; days and longer keep the wall clock."""
    sign = -1 if delay.before else 1
    amount = delay.amount * sign
    if delay.unit == "minutes":
        return moment + timedelta(minutes=amount)
    if delay.unit == "hours":
        return moment + timedelta(hours=amount)
    local = moment.astimezone(calendar.zone)
    day = _day(local.date(), amount, delay.unit, calendar)
    if not delay.at:
        return moment if day == local.date() else instant(day, local.time(), calendar.zone)
    at = instant(day, clock(delay.at), calendar.zone)
    # “0 days, at 11:00” after 11:00 is tomorrow's; a date in a field means that very day.
    if at < moment and delay.since != "field":
        at = instant(_day(day, 1, delay.unit, calendar) if delay.unit == "working_days" else day + timedelta(days=1),
                     clock(delay.at), calendar.zone)  # fmt: skip
    return at


def _day(day: date, amount: int, unit: str, calendar: Calendar) -> date:
    if unit == "weeks":
        return day + timedelta(weeks=amount)
    if unit == "months":
        return add_months(day, amount)
    if unit == "working_days":
        return _working_day(day, amount, calendar)
    return day + timedelta(days=amount)


def _working_day(day: date, amount: int, calendar: Calendar) -> date:
    """`amount` working days on; 0 gives this day, or the next working one."""
    way = timedelta(days=-1 if amount < 0 else 1)
    left, tries = abs(amount), LONGEST_SEARCH_DAYS + abs(amount) * 3
    while tries and (left or calendar.is_day_off(day)):
        day += way
        tries -= 1
        if left and not calendar.is_day_off(day):
            left -= 1
    return day


def add_months(day: date, amount: int) -> date:
    """The same day of another month, or that month's last."""
    place = day.year * 12 + day.month - 1 + amount
    year, month = place // 12, place % 12 + 1
    return date(year, month, min(day.day, months.monthrange(year, month)[1]))


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """A wall time as a moment: the first of two that are called alike, the end of the gap for one that does not exist."""
    return moment_at(datetime.combine(day, at.replace(tzinfo=None, fold=0)), zone.key)


def clock(text: str) -> time:
    """Of "11:00"."""
    hours, minutes = text.split(":")
    return time(int(hours), int(minutes))


def allowed_from(
    moment: datetime, window: Window | None, quiet: Quiet | None, calendar: Calendar
) -> datetime | None:  # fmt: skip
    """The first moment from this one on that is inside the window and outside quiet hours; None when there is none."""
    if _is_allowed(moment, window, quiet, calendar):
        return moment
    until = moment + timedelta(days=LONGEST_SEARCH_DAYS)
    for opened in _openings(moment, window, quiet, calendar):
        if opened > until:
            break
        if opened > moment and _is_allowed(opened, window, quiet, calendar):
            return opened
    return None


def _openings(moment: datetime, window: Window | None, quiet: Quiet | None, calendar: Calendar) -> Iterator[datetime]:
    """Moments at which something may begin to be allowed, in order."""
    times = {time(0)} | ({clock(window.start)} if window else set()) | ({clock(quiet.end)} if quiet else set())
    if calendar.hours is not None:
        times |= {time(start // 60, start % 60) for spans in calendar.hours.days for start, _ in spans if start < 1440}
    day = moment.astimezone(calendar.zone).date()
    for n in range(LONGEST_SEARCH_DAYS + 2):
        yield from (instant(day + timedelta(days=n), at, calendar.zone) for at in sorted(times))


def _is_allowed(moment: datetime, window: Window | None, quiet: Quiet | None, calendar: Calendar) -> bool:
    local = moment.astimezone(calendar.zone)
    at = local.time()
    if quiet is not None and quiet.start != quiet.end and _is_between(at, clock(quiet.start), clock(quiet.end)):
        return False
    if not calendar.is_at_work(moment):
        return False
    if window is None:
        return True
    start, end = clock(window.start), clock(window.end)
    if start != end and not _is_between(at, start, end):
        return False
    # Past midnight it is still the evening of the day before.
    day = local.date() - timedelta(days=1) if start > end and at < end else local.date()
    if window.weekdays and day.weekday() not in window.weekdays:
        return False
    return not (window.skip_holidays and calendar.is_holiday(day))


def _is_between(at: time, start: time, end: time) -> bool:
    return start <= at < end if start <= end else at >= start or at < end


def moment_of(value: Any, zone: ZoneInfo) -> datetime | None:
    """A date or a time as it stands in a field: “2026-03-01”, “2026-03-01T10:00”, with or without a zone; else None."""
    if not isinstance(value, str) or not 8 <= len(value.strip()) <= 40:
        return None
    try:
        read = datetime.fromisoformat(value.strip())
        return (read if read.tzinfo else instant(read.date(), read.time(), zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
