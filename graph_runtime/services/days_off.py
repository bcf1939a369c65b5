"""The calendar of a contact: their time zone and their country's public holidays, which are remembered by the year."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import lru_cache

from graph_runtime.contract.chain_times import Calendar, zone_of
from graph_runtime.contract.chains import Chain, ContactFacts


def calendar_of(chain: Chain, contact: ContactFacts) -> Calendar:
    """The days of the contact: their own time zone, else the chain's. Days without working hours are no working days."""
    hours = chain.working_hours
    calendar = Calendar(zone_of(contact, chain.time_zone), days_off(chain.country), hours=hours)
    if hours is None:
        return calendar
    return replace(calendar, weekend=tuple(n for n, spans in enumerate(hours.days) if not spans))


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
