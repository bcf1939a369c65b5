"""Whose clock counts, what a wall clock means when it is changed, and when somebody works."""

from datetime import UTC, date, datetime

import pytest

from graph_runtime.contract.local_time import is_time_zone, moment_of, time_zone_of, wall_of, zone_of_phone
from graph_runtime.contract.working_hours import ALWAYS, OFFICE, WorkingHours, is_working, load_hours, next_working

KYIV = "Europe/Kyiv"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("contact", "workspace", "zone"),
    [
        ({"time_zone": "Asia/Tokyo", "phone": "+380671234567"}, "UTC", "Asia/Tokyo"),
        ({"time_zone": "", "phone": "+380671234567"}, "America/Chicago", "Europe/Kyiv"),
        ({"time_zone": "Mars/Base", "phone": "+4915112345678"}, "UTC", "Europe/Berlin"),
        ({"phone": "+79161234567"}, "Europe/Kyiv", "Europe/Moscow"),
        ({"phone": "+79161234567"}, "Asia/Omsk", "Asia/Omsk"),
        ({"phone": "+18005551234"}, "", "America/New_York"),
        ({"phone": "+80012345678"}, "Europe/Kyiv", "Europe/Kyiv"),
        ({"phone": "garbage"}, "Europe/Kyiv", "Europe/Kyiv"),
        ({"phone": "+"}, "no such zone", "UTC"),
        ({"time_zone": 5, "phone": None}, "", "UTC"),
    ],
)
def test_the_zone_of_a_contact(contact: dict[str, object], workspace: str, zone: str) -> None:
    assert time_zone_of(contact, workspace) == zone


@pytest.mark.parametrize(
    "name", ["", "Europe", "../etc/passwd", "/etc/passwd", "Europe/Kyiv\0", "europe kyiv", "x" * 300]
)
def test_what_is_no_zone(name: str) -> None:
    assert not is_time_zone(name)


def test_a_number_without_its_country_says_nothing() -> None:
    assert zone_of_phone("0671234567") == ""


@pytest.mark.parametrize(
    ("wall", "zone", "moment"),
    [
        ("2026-07-01T09:00", KYIV, "2026-07-01T06:00"),
        ("2026-01-01T09:00", KYIV, "2026-01-01T07:00"),
        ("2026-03-29T03:30", KYIV, "2026-03-29T01:00"),  # skipped: 3:00 becomes 4:00
        ("2026-10-25T03:30", KYIV, "2026-10-25T00:30"),  # twice: the first of the two
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:30"),  # a gap of half an hour
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00"),  # a day that was never there
        ("2026-01-01T00:00", "Asia/Kathmandu", "2025-12-31T18:15"),
    ],
)
def test_what_a_wall_clock_means(wall: str, zone: str, moment: str) -> None:
    assert moment_of(datetime.fromisoformat(wall), zone) == utc(moment)


def test_the_wall_clock_of_a_moment() -> None:
    assert wall_of(utc("2026-07-01T06:00"), KYIV) == datetime.fromisoformat("2026-07-01T09:00")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-07-01T10:00", "2026-07-01T10:00"),  # Wednesday, 13:00 there
        ("2026-07-01T06:00", "2026-07-01T06:00"),  # on the stroke of nine
        ("2026-07-01T15:00", "2026-07-02T06:00"),  # on the stroke of six it is over
        ("2026-07-01T03:00", "2026-07-01T06:00"),  # before nine
        ("2026-07-03T16:00", "2026-07-06T06:00"),  # Friday evening: Monday
        ("2026-10-23T15:30", "2026-10-26T07:00"),  # over the change of the clock: still nine there
    ],
)
def test_the_next_working_moment(moment: str, expected: str) -> None:
    assert next_working(utc(moment), OFFICE, KYIV) == utc(expected)


def test_holidays_are_free() -> None:
    assert next_working(utc("2026-08-24T08:00"), OFFICE, KYIV, {date(2026, 8, 24)}) == utc("2026-08-25T06:00")
    assert not is_working(utc("2026-08-24T08:00"), OFFICE, KYIV, {date(2026, 8, 24)})


def test_nobody_ever_works() -> None:
    assert next_working(utc("2026-07-01T10:00"), WorkingHours(((),) * 7), KYIV) is None
    everyday = {date.fromordinal(n) for n in range(date(2026, 1, 1).toordinal(), date(2029, 1, 1).toordinal())}
    assert next_working(utc("2026-07-01T10:00"), ALWAYS, KYIV, everyday) is None


def test_always_is_now_in_the_gap_too() -> None:
    for moment in (utc("2026-03-29T00:59:59"), utc("2026-03-29T01:00"), utc("2026-10-25T01:30")):
        assert next_working(moment, ALWAYS, KYIV) == moment


def test_a_beginning_that_the_clock_skips() -> None:
    sunday = load_hours({"sun": [["03:30", "05:00"]]})
    assert next_working(utc("2026-03-29T00:00"), sunday, KYIV) == utc("2026-03-29T01:00")


def test_a_lunch_break() -> None:
    hours = load_hours({"wed": [["14:00", "18:00"], ["09:00", "13:00"]]})
    assert next_working(utc("2026-07-01T10:30"), hours, KYIV) == utc("2026-07-01T11:00")
    assert hours.data() == {"wed": [["09:00", "13:00"], ["14:00", "18:00"]]}
    assert load_hours(hours.data()) == hours


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ([], "weekday"), ({"funday": []}, "funday"), ({"mon": [["9", "18:00"]]}, "no time of day"),
        ({"mon": [["25:00", "26:00"]]}, "24:00"), ({"mon": [["18:00", "09:00"]]}, "midnight"),
        ({"mon": [["09:00", "13:00"], ["12:00", "14:00"]]}, "overlap"), ({"mon": [["09:00"]]}, "beginning"),
        ({"mon": [["00:00", "01:00"]] * 5}, "at most"), ({"mon": [["09:60", "10:00"]]}, "no time of day"),
        ({"mon": "09:00"}, "at most"),
    ],
)  # fmt: skip
def test_hours_that_are_none(data: object, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        load_hours(data)
