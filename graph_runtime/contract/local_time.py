"""Time where people live: whose clock counts, and what a wall clock's reading means when the clock is changed."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

# Where one number may ring in several zones and nothing else is known: where most people of the country live.
_MOST_PEOPLE: Final = {
    "AU": "Australia/Sydney", "BR": "America/Sao_Paulo", "CA": "America/Toronto", "CD": "Africa/Kinshasa",
    "CL": "America/Santiago", "ES": "Europe/Madrid", "ID": "Asia/Jakarta", "KZ": "Asia/Almaty", "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City", "NZ": "Pacific/Auckland", "PT": "Europe/Lisbon", "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv", "US": "America/New_York",
}  # fmt: skip


@lru_cache(maxsize=1024)
def is_time_zone(name: str) -> bool:
    """Whether this is the IANA name of a time zone, such as "Europe/Kyiv"."""
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; no name at all; a folder
        return False
    return bool(name)


def time_zone_of(contact: Mapping[str, Any], workspace_zone: str = "") -> str:
    """The zone whose clock counts for a contact: their own, else their phone's, else the workspace's, else UTC.

    `contact`: a mapping with `time_zone` and `phone` (E.164), either may be missing.
    """
    for name in (
        contact.get("time_zone"),
        zone_of_phone(str(contact.get("phone") or ""), workspace_zone),
        workspace_zone,
    ):
        if isinstance(name, str) and is_time_zone(name):
            return name
    return "UTC"


@lru_cache(maxsize=4096)
def zone_of_phone(phone: str, likely_zone: str = "") -> str:
    """The zone of a number's prefix; "" when nothing says it.

    Where a prefix stands for several zones, `likely_zone` if it is one of them, else the zone where most people of that
    country live.
    """
    if not phone.startswith("+"):
        return ""
    import phonenumbers
    from phonenumbers import timezone  # loads its tables, so not before somebody asks

    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ""
    zones = [z for z in timezone.time_zones_for_number(number) if z != timezone.UNKNOWN_TIMEZONE]
    if len(zones) == 1:
        return str(zones[0])
    if likely_zone in zones:
        return likely_zone
    return _MOST_PEOPLE.get(phonenumbers.region_code_for_number(number) or "", "")


def moment_of(wall: datetime, zone: str) -> datetime:
    """The moment (aware UTC) at which a clock on the wall (naive) shows this.

    A reading that the clock skips in spring is the first moment after the gap; one that it shows twice in autumn is the
    first of the two.
    """
    where = zoneinfo.ZoneInfo(zone)
    moment = wall.replace(tzinfo=where, fold=0).astimezone(UTC)
    if moment.astimezone(where).replace(tzinfo=None) == wall.replace(fold=0):
        return moment
    # In a gap the two folds are read with the offsets of before and after: the change lies between them.
    early, late = wall.replace(tzinfo=where, fold=1).astimezone(UTC), moment
    after = late.astimezone(where).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(where).utcoffset() == after:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0) + timedelta(seconds=bool(late.microsecond))


def wall_of(moment: datetime, zone: str) -> datetime:
    """What a clock on the wall shows at a moment (naive)."""
    return moment.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
