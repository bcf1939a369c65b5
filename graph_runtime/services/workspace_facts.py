"""What every turn of a workspace may read about it: name, time zone, working hours, holidays, and words to opt out by."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from graph_runtime.contract.opt_out import CAME_BACK, START_WORDS, STOP_WORDS, STOPPED, Wish, wish_of
from graph_runtime.contract.working_hours import OFFICE
from graph_runtime.storage import accounts as rows
from graph_runtime.storage.database import Database

KEPT_SECONDS: Final = 10.0
"""A changed setting counts after this at the latest."""
YEARS_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class Facts:
    """`shown`: what texts and steps read as `workspace.…`."""

    shown: dict[str, Any]
    stop_words: tuple[str, ...] = STOP_WORDS
    start_words: tuple[str, ...] = START_WORDS
    stopped: dict[str, str] = field(default_factory=lambda: dict(STOPPED))
    came_back: dict[str, str] = field(default_factory=lambda: dict(CAME_BACK))

    def wish(self, text: str, *, has_opted_out: bool) -> Wish:
        """What a message of a contact asks for."""
        return wish_of(
            text, has_opted_out=has_opted_out, stop_words=self.stop_words, start_words=self.start_words
        )  # fmt: skip

    def answer(self, wish: Wish, language: str) -> str:
        """The one sentence that answers it."""
        texts = self.stopped if wish == "stop" else self.came_back
        return texts.get(language) or texts.get("en") or ""


class WorkspaceFacts:
    """Facts by workspace, remembered for some seconds. `size` in workspaces."""

    def __init__(self, database: Database, *, size: int = 1000, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._size = size
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Facts]] = OrderedDict()

    async def get(self, workspace_id: str) -> Facts:
        """The facts as they were at most ten seconds ago."""
        kept = self._kept.get(workspace_id)
        if kept is not None and self._now() - kept[0] < KEPT_SECONDS:
            return kept[1]
        async with self._database.workspace(workspace_id) as connection:
            stored = await rows.settings(connection)
        facts = facts_of(workspace_id, stored)
        self._kept[workspace_id] = (self._now(), facts)
        self._kept.move_to_end(workspace_id)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return facts


def facts_of(workspace_id: str, stored: dict[str, Any]) -> Facts:
    """Out of the settings as they are stored; what nobody has set is as at the beginning."""
    return Facts(
        shown={
            "id": workspace_id,
            "name": stored.get("name") or "",
            "time_zone": stored.get("time_zone") or "UTC",
            "working_hours": stored.get("working_hours") or OFFICE.data(),
            "holidays": holidays_of(str(stored.get("holiday_country") or ""), datetime.now(UTC).year),
        },
        stop_words=tuple(stored.get("stop_words") or STOP_WORDS),
        start_words=tuple(stored.get("start_words") or START_WORDS),
        stopped=STOPPED | {k: v for k, v in (stored.get("stop_answer") or {}).items() if v},
        came_back=CAME_BACK | {k: v for k, v in (stored.get("start_answer") or {}).items() if v},
    )


@lru_cache(maxsize=256)
def holidays_of(country: str, year: int) -> list[str]:
    """Public holidays of a country (ISO 3166 code) from this year on, as ISO dates; none for ""."""
    if not country:
        return []
    import holidays  # loads every country's calendar, so not before somebody asks

    years = range(year, year + YEARS_AHEAD + 1)
    return sorted(day.isoformat() for day in holidays.country_holidays(country, years=years))


@lru_cache(maxsize=1)
def holiday_countries() -> tuple[str, ...]:
    """ISO codes of the countries whose holidays are known."""
    import holidays

    return tuple(sorted(holidays.list_supported_countries(include_aliases=False)))
