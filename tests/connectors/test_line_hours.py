"""When a line takes calls: past midnight, at the edges, in time zones, and on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.asterisk.line import Settings, hours_of
from graph_runtime.contract.calls import is_open

WEEK = "mon 09:00-18:00, fri 22:00-02:00, sat 00:00-24:00"


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        # 2026-11-23 is a Monday
        ("2026-11-23 08:59", False), ("2026-11-23 09:00", True), ("2026-11-23 17:59", True), ("2026-11-23 18:00", False),
        ("2026-11-24 12:00", False),
        # past midnight, Friday into Saturday, which is open all day
        ("2026-11-27 21:59", False), ("2026-11-27 22:00", True), ("2026-11-28 00:00", True), ("2026-11-28 01:59", True),
        ("2026-11-28 23:59", True), ("2026-11-29 00:00", False),
    ],
)  # fmt: skip
def test_a_week(at: str, open_: bool) -> None:
    hours = hours_of(Settings(hours=WEEK).hours)
    assert is_open(hours, datetime.fromisoformat(at)) is open_


def test_the_same_minute_twice_is_a_whole_day() -> None:
    hours = hours_of(Settings(hours="sun 20:00-20:00").hours)
    found = [hour for hour in range(48) if is_open(hours, datetime(2026, 11, 29 + hour // 24, hour % 24, tzinfo=UTC))]
    assert found == list(range(20, 44)), "Sunday evening into Monday evening"


def test_no_hours_are_all_hours() -> None:
    assert is_open(hours_of(""), datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("night", ["sat 23:00-01:00", "sat 23:00-24:00, sun 00:00-01:00"])
def test_a_night_can_be_written_in_one_piece_or_two(night: str) -> None:
    hours = hours_of(Settings(hours=night).hours)
    found = [
        hour for hour in range(48) if is_open(hours, datetime(2026, 11, 28 + hour // 24, hour % 24, 30, tzinfo=UTC))
    ]
    assert found == [23, 24]


@pytest.mark.parametrize(
    ("zone", "utc", "open_"),
    [
        ("Europe/Kyiv", "2026-07-06 06:00", True),  # 09:00 in summer time
        ("Europe/Kyiv", "2026-12-07 06:00", False),  # 08:00 in winter time
        ("Europe/Kyiv", "2026-12-07 07:00", True),
        ("America/Los_Angeles", "2026-12-08 01:00", True),  # still Monday there, 17:00
        ("Asia/Kathmandu", "2026-12-07 03:14", False),  # a quarter of an hour counts: 08:59
        ("Asia/Kathmandu", "2026-12-07 03:15", True),
        ("Pacific/Auckland", "2026-12-06 20:00", True),  # already Monday there
    ],
)
def test_the_zone_of_the_line_counts_and_not_ours(zone: str, utc: str, open_: bool) -> None:
    local = datetime.fromisoformat(utc).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    assert is_open(hours_of(Settings(hours="mon 09:00-18:00", time_zone=zone).hours), local) is open_


def test_a_night_with_a_change_of_clocks_keeps_its_wall_times() -> None:
    """Kyiv, 25 October 2026: 04:00 becomes 03:00, so 03:30 is there twice, and both are outside sat 22:00-03:00."""
    hours, zone = hours_of("sat 22:00-03:00"), ZoneInfo("Europe/Kyiv")
    for utc, open_ in (("2026-10-24 23:59", True), ("2026-10-25 00:30", False), ("2026-10-25 01:30", False)):
        assert is_open(hours, datetime.fromisoformat(utc).replace(tzinfo=UTC).astimezone(zone)) is open_


@pytest.mark.parametrize(
    "wrong", ["mon", "mon 9-18", "mon 09:00-25:00", "mon 24:30-25:00", "funday 09:00-18:00", "mon 09:60-10:00"]
)
def test_what_is_not_hours_is_said(wrong: str) -> None:
    with pytest.raises(ValueError, match="write hours as in"):
        Settings(hours=wrong)
