"""When the steps of a chain are due: the contact's own days and hours, gaps and repeats of the clock, short months."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_runtime.contract.chain_times import (
    Calendar,
    Planned,
    add_months,
    due,
    instant,
    moment_of,
    plan,
    shifted,
    zone_of,
)
from graph_runtime.contract.chains import (
    Chain,
    ContactFacts,
    Delay,
    MessageStep,
    NotifyStep,
    Quiet,
    Window,
    Wording,
    read_chain,
    wording_for,
)
from graph_runtime.contract.errors import FlowDamaged
from graph_runtime.services.days_off import calendar_of

ZONES = [
    "UTC",
    "Europe/Kyiv",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "America/Nuuk",
]
NOBODY = ContactFacts()


def local(text: str, zone: str = "Europe/Kyiv") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def message(step_id: str = "m", **more: Any) -> MessageStep:
    return MessageStep(id=step_id, wordings=(Wording(id="a", texts={"": "Hello"}),), **more)


def when(
    step: MessageStep, base: datetime, zone: str = "Europe/Kyiv", *, chain: Chain | None = None, **more: Any
) -> Planned:
    calendar = Calendar(ZoneInfo(zone), **more)
    return due(chain or Chain(quiet=None), step, NOBODY, base, base, calendar)


CASES = [
    ("two days later, same hour", Delay(amount=2), "2026-03-02T15:30", "2026-03-04T15:30"),
    ("over the change of clocks the wall time stays", Delay(amount=1), "2026-03-28T15:30", "2026-03-29T15:30"),
    ("a day of hours does not", Delay(amount=24, unit="hours"), "2026-03-28T15:30", "2026-03-29T16:30"),
    ("two working days from a Friday", Delay(amount=2, unit="working_days", at="11:00"), "2026-03-06T18:00",
     "2026-03-10T11:00"),
    ("two working days from a Saturday", Delay(amount=2, unit="working_days"), "2026-03-07T10:00", "2026-03-10T10:00"),
    ("no working days from a Sunday", Delay(amount=0, unit="working_days", at="09:00"), "2026-03-08T12:00",
     "2026-03-09T09:00"),
    ("a month after 31 January", Delay(amount=1, unit="months"), "2026-01-31T10:00", "2026-02-28T10:00"),
    ("in a leap year", Delay(amount=1, unit="months"), "2028-01-31T10:00", "2028-02-29T10:00"),
    ("a year after 29 February", Delay(amount=12, unit="months"), "2028-02-29T10:00", "2029-02-28T10:00"),
    ("today at eleven, when it is ten", Delay(at="11:00"), "2026-05-05T10:00", "2026-05-05T11:00"),
    ("today at eleven, when it is noon", Delay(at="11:00"), "2026-05-05T12:00", "2026-05-06T11:00"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "delay", "base", "expected"), CASES, ids=[c[0] for c in CASES])
def test_a_delay(name: str, delay: Delay, base: str, expected: str) -> None:
    assert when(message(delay=delay), local(base)).due_at == local(expected)


def test_a_wall_time_that_does_not_exist_is_the_end_of_the_gap_and_of_two_the_first() -> None:
    kyiv = ZoneInfo("Europe/Kyiv")
    assert instant(date(2026, 3, 29), time(3, 30), kyiv) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert instant(date(2026, 10, 25), time(3, 30), kyiv) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    # A whole day that a country left out.
    apia = ZoneInfo("Pacific/Apia")
    assert instant(date(2011, 12, 30), time(12, 0), apia) == instant(date(2011, 12, 31), time(0, 0), apia)


def test_a_window_moves_to_the_next_time_it_is_open() -> None:
    office = Window(start="10:00", end="18:00", weekdays=(0, 1, 2, 3, 4), skip_holidays=True)
    step = message(window=office)
    assert when(step, local("2026-03-06T09:00")).due_at == local("2026-03-06T10:00")
    assert when(step, local("2026-03-06T18:00")).due_at == local("2026-03-09T10:00")
    holiday: dict[str, Any] = {"is_holiday": lambda day: day == date(2026, 3, 9)}
    assert when(step, local("2026-03-06T18:00"), **holiday).due_at == local("2026-03-10T10:00")
    night = message(window=Window(start="22:00", end="02:00", weekdays=(4,)))
    assert when(night, local("2026-03-07T01:00")).due_at == local("2026-03-07T01:00")
    assert when(night, local("2026-03-07T02:00")).due_at == local("2026-03-13T22:00")
    shut: dict[str, Any] = {"is_holiday": lambda _: True}
    assert when(step, local("2026-03-06T09:00"), **shut).reason == "never"


def test_quiet_hours_hold_for_what_the_contact_notices_only() -> None:
    chain = Chain(quiet=Quiet(start="21:00", end="09:00"))
    night = local("2026-03-06T23:00")
    assert when(message(), night, chain=chain).due_at == local("2026-03-07T09:00")
    note = NotifyStep(id="n", text="Call")
    assert due(chain, note, NOBODY, night, night, Calendar(ZoneInfo("Europe/Kyiv"))).due_at == night


WEEK = {"mon": (("09:00", "13:00"), ("14:00", "18:00")), "sat": (("10:00", "12:00"),)}


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("2026-03-02T08:00", "2026-03-02T09:00"),  # a Monday, before work
        ("2026-03-02T13:30", "2026-03-02T14:00"),  # lunch
        ("2026-03-02T18:00", "2026-03-07T10:00"),  # nobody works until Saturday
        ("2026-03-07T11:59", "2026-03-07T11:59"),
        ("2026-03-07T12:00", "2026-03-14T10:00"),  # the Monday between is a holiday
    ],
)
def test_working_hours_by_day_of_the_week_hold_for_what_the_contact_notices(base: str, expected: str) -> None:
    chain = Chain(quiet=None, hours=WEEK)
    days: dict[str, Any] = {"hours": chain.working_hours, "is_holiday": lambda day: day == date(2026, 3, 9)}
    assert when(message(delay=Delay(unit="minutes")), local(base), chain=chain, **days).due_at == local(expected)
    note = NotifyStep(id="n", text="x", delay=Delay(unit="minutes"))
    calendar = Calendar(ZoneInfo("Europe/Kyiv"), **days)
    assert due(chain, note, NOBODY, local(base), local(base), calendar).due_at == local(base)


def test_days_without_hours_are_no_working_days() -> None:
    chain = Chain(quiet=None, hours=WEEK, time_zone="Europe/Kyiv")
    step = message(delay=Delay(amount=1, unit="working_days", at="10:30"))
    base = local("2026-03-02T12:00")
    assert due(chain, step, NOBODY, base, base, calendar_of(chain, NOBODY)).due_at == local("2026-03-07T10:30")
    assert Chain(hours={"mon": ()}).working_hours is None
    with pytest.raises(FlowDamaged, match="hours"):
        read_chain({"hours": {"mon": [["18:00", "09:00"]]}})
    assert Chain(hours=WEEK).content_hash() != Chain().content_hash()


def test_dates_in_fields() -> None:
    calendar, now = Calendar(ZoneInfo("Europe/Kyiv")), local("2026-03-01T12:00")
    step = message(delay=Delay(amount=1, since="field", field="visit", before=True, at="10:00"))

    def planned(value: object) -> tuple[datetime | None, str]:
        one = due(Chain(quiet=None), step, ContactFacts(fields={"visit": value}), now, now, calendar)
        return one.due_at, one.reason

    assert planned("2026-03-05T16:00") == (local("2026-03-04T10:00"), "")
    assert planned("2026-03-05") == (local("2026-03-04T10:00"), "")
    assert planned("2026-02-20") == (None, "past")
    for wrong in ("2026-02-31", "soon", None, 5, "", "2026-13-01", ["2026-03-05"]):
        assert planned(wrong) == (None, "no_date")


def test_whose_clock_counts() -> None:
    assert zone_of(ContactFacts(time_zone="Mars/Olympus"), "Europe/Kyiv").key == "Europe/Kyiv"
    assert zone_of(ContactFacts(phone="+380671234567"), "America/New_York").key == "Europe/Kyiv"
    assert zone_of(ContactFacts(time_zone="../etc/passwd"), "no zone").key == "UTC"


moments = st.datetimes(datetime(2011, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds)
clock_times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
delays = st.builds(
    Delay,
    amount=st.integers(0, 60),
    unit=st.sampled_from(["minutes", "hours", "days", "working_days", "weeks", "months"]),
) | st.builds(
    Delay, amount=st.integers(0, 60), unit=st.sampled_from(["days", "working_days", "weeks", "months"]), at=clock_times
)
windows = st.none() | st.builds(
    Window, start=clock_times, end=clock_times,
    weekdays=st.lists(st.integers(0, 6), max_size=7, unique=True).map(tuple), skip_holidays=st.booleans(),
)  # fmt: skip
quiets = st.none() | st.builds(Quiet, start=clock_times, end=clock_times)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(delays, windows), min_size=1, max_size=5), quiets, st.integers(0, 90), moments,
    st.sampled_from(ZONES), st.text(max_size=5),
)  # fmt: skip
def test_steps_come_in_order_never_early_and_inside_their_hours(
    timings: list[tuple[Delay, Window | None]], quiet: Quiet | None, jitter: int, base: datetime, zone: str, key: str
) -> None:
    steps = tuple(message(f"s{n}", delay=d, window=w) for n, (d, w) in enumerate(timings))
    chain = Chain(steps=steps, quiet=quiet, jitter_minutes=jitter)
    calendar = Calendar(ZoneInfo(zone), lambda day: day.day == 1)
    planned = plan(chain, NOBODY, base, calendar, key=key)
    assert planned == plan(chain, NOBODY, base, calendar, key=key)
    previous = base
    for one in planned:
        if one.due_at is None:
            assert one.reason == "never"
            continue
        assert one.due_at >= previous
        assert one.due_at.tzinfo is UTC
        here = one.due_at.astimezone(ZoneInfo(zone))
        at = f"{here:%H:%M}"
        if quiet is not None and quiet.start < quiet.end:
            assert not quiet.start <= at < quiet.end
        w = one.step.window
        if w is not None and w.start < w.end:
            assert w.start <= at < w.end
            assert not w.weekdays or here.weekday() in w.weekdays
            assert not w.skip_holidays or here.day != 1
        previous = one.due_at


@given(moments, delays, st.sampled_from(ZONES))
def test_no_delay_goes_back_in_time(moment: datetime, delay: Delay, zone: str) -> None:
    assert shifted(moment, delay, Calendar(ZoneInfo(zone))) >= moment - timedelta(hours=1)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(-500, 500))
def test_months_never_leave_the_month(day: date, amount: int) -> None:
    moved = add_months(day, amount)
    assert (moved.year * 12 + moved.month) - (day.year * 12 + day.month) == amount
    assert moved.day <= day.day


@given(st.dates(date(2011, 1, 1), date(2040, 1, 1)), st.times(), st.sampled_from(ZONES))
def test_every_wall_time_is_a_moment(day: date, at: time, zone: str) -> None:
    moment = instant(day, at, ZoneInfo(zone))
    back = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert back == datetime.combine(day, at) or back > datetime.combine(day, at)


@given(st.text(max_size=40) | st.integers() | st.none())
def test_any_value_of_a_field_is_a_moment_or_none(value: object) -> None:
    found = moment_of(value, ZoneInfo("Europe/Kyiv"))
    assert found is None or found.tzinfo is UTC


def test_wordings_are_drawn_by_their_shares_and_stay_the_same_for_one_person() -> None:
    step = MessageStep(
        id="m", wordings=(Wording(id="a", texts={"": "A"}, share=3), Wording(id="b", texts={"": "B"}, share=1))
    )
    drawn = [wording_for(step, f"person {n}") for n in range(2000)]
    share = sum(w is not None and w.id == "a" for w in drawn) / len(drawn)
    assert 0.72 < share < 0.78
    assert drawn[:5] == [wording_for(step, f"person {n}") for n in range(5)]
    assert wording_for(MessageStep(id="m"), "x") is None
