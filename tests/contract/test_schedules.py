"""Schedules: every zone with a clock that is changed, catching up, and what is refused with which words."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.contract.local_time import wall_of
from graph_runtime.contract.schedules import Schedule, check, due, next_times

NOW = datetime(2026, 11, 26, 14, 0, tzinfo=UTC)
KYIV = "Europe/Kyiv"


def changes(zone: str) -> list[datetime]:
    """Moments (to the hour) at which the offset of a zone changes in 2026 and 2027."""
    where, found = zoneinfo.ZoneInfo(zone), []
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(730):
        after = day + timedelta(days=1)
        if day.astimezone(where).utcoffset() != after.astimezone(where).utcoffset():
            found.append(day)
        day = after
    return found


CHANGING = {zone: moments for zone in sorted(zoneinfo.available_timezones()) if (moments := changes(zone))}


def walls(schedule: Schedule, after: datetime, n: int) -> list[str]:
    return [f"{wall_of(m, schedule.zone):%m-%d %H:%M}" for m in next_times(schedule, after, n)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(every="day", at="09:00"), ["11-27 09:00", "11-28 09:00", "11-29 09:00"]),
        (Schedule(every="day", at="14:00"), ["11-27 14:00", "11-28 14:00", "11-29 14:00"]),
        (Schedule(every="day", at="14:01"), ["11-26 14:01", "11-27 14:01", "11-28 14:01"]),
        (Schedule(every="weekday"), ["11-27 09:00", "11-30 09:00", "12-01 09:00"]),
        (Schedule(every="week", weekdays=(6, 2)), ["11-29 09:00", "12-02 09:00", "12-06 09:00"]),
        (Schedule(every="month", day=31), ["11-30 09:00", "12-31 09:00", "01-31 09:00"]),
        (Schedule(every="month", day=0), ["11-30 09:00", "12-31 09:00", "01-31 09:00"]),
        (Schedule(every="month", day=29), ["11-29 09:00", "12-29 09:00", "01-29 09:00"]),
        (Schedule(every="once", on=date(2026, 12, 24), at="18:00"), ["12-24 18:00"]),
        (Schedule(every="cron", cron="*/20 8 * * mon"), ["11-30 08:00", "11-30 08:20", "11-30 08:40"]),
        (Schedule(every="cron", cron="0 0 29 2 *"), ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
    ],
)
def test_plain_choices_and_cron(schedule: Schedule, expected: list[str]) -> None:
    assert check(schedule, NOW) is None
    assert walls(schedule, NOW, 3) == expected


@pytest.mark.parametrize(
    ("schedule", "code", "word"),
    [
        (Schedule(every="day", zone="Mars/Olympus"), "zone", "Europe/Kyiv"),
        (Schedule(every="day", zone=""), "zone", "Europe/Kyiv"),
        (Schedule(every="day", at="25:00"), "at", "09:30"),
        (Schedule(every="day", at="9"), "at", "09:30"),
        (Schedule(every="week", weekdays=()), "weekdays", "day"),
        (Schedule(every="week", weekdays=(7,)), "weekdays", "day"),
        (Schedule(every="once"), "on", "day"),
        (Schedule(every="once", on=date(2026, 11, 26), at="13:59"), "past", "passed"),
        (Schedule(every="cron", cron="* * * * * *"), "cron_seconds", "minute"),
        (Schedule(every="cron", cron="0 9 31 2 *"), "cron_never", "never"),
        (Schedule(every="cron", cron="0 9 30 2 *"), "cron_never", "never"),
        (Schedule(every="cron", cron="0 9 31 4,6,9,11 *"), "cron_never", "never"),
        (Schedule(every="cron", cron="0 25 * * *"), "cron_part", "hour"),
        (Schedule(every="cron", cron="0 9 * * funday"), "cron_part", "weekday"),
        (Schedule(every="cron", cron=""), "cron_parts", "five"),
        (Schedule(every="cron", cron="@daily"), "cron_parts", "five"),
    ],
)
def test_what_cannot_work_is_refused_in_words(schedule: Schedule, code: str, word: str) -> None:
    problem = check(schedule, NOW)
    assert problem is not None
    assert problem.code == f"schedule_{code}"
    assert word in problem.message
    if code not in ("past", "weekdays"):
        assert next_times(schedule, NOW, 1) == [] or code == "cron_seconds"


def test_a_time_that_the_clock_skips_comes_right_after_the_gap_and_one_shown_twice_comes_once() -> None:
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    for schedule in (
        Schedule(every="day", at="03:30", zone=KYIV),
        Schedule(every="cron", cron="30 3 * * *", zone=KYIV),
    ):
        assert walls(schedule, spring, 2) == ["03-29 04:00", "03-30 03:30"]
        found = next_times(schedule, autumn, 2)
        assert [m.isoformat() for m in found] == ["2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"]
    quarters = next_times(Schedule(every="cron", cron="*/15 * * * *", zone=KYIV), autumn + timedelta(hours=11), 16)
    assert {b - a for a, b in pairwise(quarters)} == {timedelta(minutes=15)}, (
        "by elapsed time, whatever the clock shows"
    )


ANY = st.one_of(
    st.builds(
        Schedule,
        every=st.sampled_from(["day", "weekday", "week", "month"]),
        at=st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59)),
        weekdays=st.sets(st.integers(0, 6), min_size=1).map(lambda s: tuple(sorted(s))),
        day=st.integers(0, 31),
    ),
    st.builds(
        lambda minute, hour, day, week: Schedule(every="cron", cron=f"{minute} {hour} {day} * {week}"),
        st.sampled_from(["*", "*/7", "0", "30", "15,45", "59"]),
        st.sampled_from(["*", "*/2", "0", "1", "2", "3", "2-4", "23"]),
        st.sampled_from(["*", "1", "L"]),
        st.sampled_from(["*", "sun", "1-5"]),
    ),
)


@settings(max_examples=60)
@given(ANY, st.sampled_from(sorted(CHANGING)), st.data())
def test_times_go_on_from_each_of_themselves_and_are_never_early(
    schedule: Schedule, zone: str, data: st.DataObject
) -> None:
    """A schedule goes on from the time that it last fired for, so each must be found from the one before it."""
    schedule = schedule.model_copy(update={"zone": zone})
    change = data.draw(st.sampled_from(CHANGING[zone]))
    start = change - timedelta(minutes=data.draw(st.integers(0, 3000)))
    found = next_times(schedule, start, 6)
    assert len(found) == 6
    assert start < found[0]
    for before, after in pairwise(found):
        assert before < after
        assert next_times(schedule, before, 1) == [after]
        assert next_times(schedule, before + (after - before) / 2, 1) == [after]
    if schedule.every != "cron":
        hour, minute = map(int, schedule.at.split(":"))
        for moment in found:
            wall = wall_of(moment, zone)
            late = (wall.hour - hour) * 60 + wall.minute - minute
            # The clock shows the time, or the time was skipped and this is the first moment after the gap.
            assert late == 0 or (0 < late % 1440 <= 24 * 60 and wall_of(moment - timedelta(seconds=1), zone) < wall)
        days = [wall_of(m, zone).date() for m in found]
        assert len({*days}) == len(days), "once a day, also on the day of the change"


def test_every_zone_with_a_changing_clock_is_tried() -> None:
    """One night job at each change of each zone: once a night, never before its time."""
    assert len(CHANGING) > 150
    for zone, moments in CHANGING.items():
        schedule = Schedule(every="day", at="02:30", zone=zone)
        for change in moments:
            found = next_times(schedule, change - timedelta(days=1), 4)
            days = [wall_of(m, zone).date() for m in found]
            assert all(b - a == timedelta(days=1) for a, b in pairwise(days)), zone
            assert all((w := wall_of(m, zone)).hour * 60 + w.minute >= 150 for m in found), zone


DAILY = {"every": "day", "at": "09:00"}


def at(day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("catch_up", "now", "fires", "passed_over"),
    [
        ("once", at(1, 8), [], 0),
        ("skip", at(1), [1], 0),
        ("skip", at(1, 9, 10), [1], 0),
        ("skip", at(1, 9, 11), [], 1),
        ("skip", at(4, 9, 5), [4], 3),
        ("skip", at(4, 15), [], 4),
        ("once", at(4, 15), [4], 3),
        ("all", at(4, 15), [1, 2, 3, 4], 0),
    ],
)
def test_times_that_passed_while_nothing_ran(catch_up: str, now: datetime, fires: list[int], passed_over: int) -> None:
    schedule = Schedule.model_validate({**DAILY, "catch_up": catch_up})
    found = due(schedule, at(1), now)
    assert ([m.day for m in found.moments], found.passed_over) == (fires, passed_over)
    assert found.next_at == (at(1) if now < at(1) else next_times(schedule, now, 1)[0])


def test_a_very_long_downtime_is_bounded() -> None:
    schedule = Schedule(every="cron", cron="* * * * *", catch_up="all")
    found = due(schedule, at(1), at(1) + timedelta(days=2))
    assert len(found.moments) == 100
    assert found.moments[-1] == at(3)
    assert found.passed_over == 2 * 1440 + 1 - 100


def test_what_happens_once_has_no_next_time() -> None:
    schedule = Schedule(every="once", on=date(2026, 11, 3), at="09:00")
    found = due(schedule, at(3), at(3, 9, 1))
    assert (found.moments, found.next_at) == ([at(3)], None)
