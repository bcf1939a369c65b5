"""Time where people live: whose clock counts, and what a wall clock's reading means when the clock is changed."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping
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


def zone_by(resolve: Callable[[str], Any], *, is_contacts: bool = True) -> str:
    """The zone of the contact, or of the workspace, that a conversation's values name (`NodeContext.resolve`)."""
    contact = {key: resolve(f"contact.{key}") for key in ("time_zone", "phone")} if is_contacts else {}
    return time_zone_of(contact, str(resolve("workspace.time_zone") or ""))


@lru_cache(maxsize=4096)
def zone_of_phone(phone: str, likely_zone: str = "") -> str:
    """The zone of a number's prefix; "" when nothing says it.

    Where a prefix stands for several zones, `likely_zone` if it is one of them, else the zone where most people of that
    country live.
    """
    if not phone.startswith("+"):
        return ""
    for length in (1, 2, 3):  # no country's code begins another's
        if zone := _lone_zones().get(phone[1 : 1 + length]):
            return zone
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


def warm_up() -> None:
    """Load the tables, for processes in which nobody may wait for them."""
    zone_of_phone("+12025550100")


@lru_cache(maxsize=1)
def _lone_zones() -> dict[str, str]:
    """Zones of the countries (by their code) that have one zone only: whatever the rest of a number is, it rings there."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
    from phonenumbers.tzdata import TIMEZONE_DATA

    zones: dict[str, set[str]] = {}
    for prefix, names in TIMEZONE_DATA.items():
        code = next((prefix[:n] for n in (1, 2, 3) if int(prefix[:n]) in COUNTRY_CODE_TO_REGION_CODE), "")
        zones.setdefault(code, set()).update(names)
    return {code: names.copy().pop() for code, names in zones.items() if len(names) == 1}


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
