"""Moments as people and programs write them."""

from datetime import UTC, datetime, time

import pytest

from graph_runtime.contract.moments import NoMoment, read_moment

NOW = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)  # 15:00 in Kyiv
KYIV = "Europe/Kyiv"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-25T18:30:00+02:00", "2026-12-25T16:30"), ("2026-12-25T18:30:00Z", "2026-12-25T18:30"),
        ("2026-12-25 18:30", "2026-12-25T16:30"), ("2026-12-25", "2026-12-25T07:00"),
        ("25.12.2026 в 18:30", "2026-12-25T16:30"), ("25.12.2026, 18:30", "2026-12-25T16:30"),
        ("tomorrow at 8:15", "2026-07-01T05:15"), ("завтра о 08:15", "2026-07-01T05:15"),
        ("завтра", "2026-07-01T06:00"), ("18:30", "2026-06-30T15:30"), ("09:00", "2026-07-01T06:00"),
        ("2027-03-28 03:30", "2027-03-28T01:00"), ("2028-02-29", "2028-02-29T07:00"),
    ],
)  # fmt: skip
def test_a_moment(text: str, moment: str) -> None:
    assert read_moment(text, NOW, KYIV) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"), ("  ", "empty"), ("31.02.2027", "calendar does not have"), ("2027-02-29", "calendar does not have"),
        ("2026-13-01", "calendar does not have"), ("25.12.2026 25:00", "no time of day"), ("soon", "is no date"),
        ("None", "is no date"), ("9999-12-31T23:59:59-12:00", "too far"), ("{{ var.meeting }}", "is no date"),
        ("0001-01-01T00:00:00+14:00", "too far"),
    ],
)  # fmt: skip
def test_what_is_no_moment(text: str, why: str) -> None:
    with pytest.raises(NoMoment, match=why):
        read_moment(text, NOW, KYIV)


def test_a_day_means_the_wanted_time() -> None:
    assert read_moment("2026-07-01", NOW, "UTC", time(23, 59)) == datetime(2026, 7, 1, 23, 59, tzinfo=UTC)
