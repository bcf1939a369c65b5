"""Public holidays of a country, asked for one year at a time and remembered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache


def days_off(country: str) -> Callable[[date], bool]:
    """Whether a day is a public holiday in a country (ISO 3166 code); "" and unknown codes have none."""

    def is_holiday(day: date) -> bool:
        return bool(country) and day in _of_year(country, day.year)

    return is_holiday


@lru_cache(maxsize=500)
def _of_year(country: str, year: int) -> frozenset[date]:
    import holidays  # heavy, and most chains ask for none

    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return frozenset()
