"""State of working hours and of opting out, in the settings of the workspace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from builder_ui.i18n import LANGUAGES
from builder_ui.session import Session, handler, services, text_of
from graph_runtime.contract.opt_out import CAME_BACK, STOPPED
from graph_runtime.contract.working_hours import WEEKDAYS
from graph_runtime.services.workspace_facts import holiday_countries

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

NONE: Final = "none"
_DASH: Final = re.compile(r"\s*[-–—]\s*")


class WorkSettings(Session):
    """What the two forms begin with."""

    zone: str = "UTC"
    days: dict[str, str] = {}
    country: str = NONE
    countries: list[str] = []
    stop_words: str = ""
    start_words: str = ""
    stop_answers: dict[str, str] = {}
    start_answers: dict[str, str] = {}

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        row = await services().workspace_settings.get(who)
        self.zone, self.country, self.countries = row.time_zone, row.holiday_country or NONE, list(holiday_countries())
        self.days = {d: ", ".join("–".join(span) for span in row.working_hours.get(d, ())) for d in WEEKDAYS}
        self.stop_words, self.start_words = ", ".join(row.stop_words), ", ".join(row.start_words)
        self.stop_answers, self.start_answers = STOPPED | row.stop_answer, CAME_BACK | row.start_answer

    @handler
    async def save_hours(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep the time zone, the hours and the country of the holidays."""
        hours = {}
        for day in WEEKDAYS:
            spans = [_DASH.split(s.strip()) for s in text_of(form, day).split(",") if s.strip()]
            if spans:
                hours[day] = spans
        country = str(form.get("country") or NONE)
        await services().workspace_settings.update(
            who, time_zone=text_of(form, "zone", required=True), working_hours=hours,
            holiday_country="" if country == NONE else country,
        )  # fmt: skip
        self._tell("settings.saved")

    @handler
    async def save_words(self, who: Principal, form: dict[str, Any]) -> None:
        """Keep the words to opt out and to come back, and what they are answered."""
        words = {
            k: [w.strip() for w in text_of(form, k, limit=2000).split(",") if w.strip()]
            for k in ("stop_words", "start_words")
        }
        answers = {
            k: {lang: text_of(form, f"{k}:{lang}", limit=500) for lang in LANGUAGES}
            for k in ("stop_answer", "start_answer")
        }
        await services().workspace_settings.update(who, **words, **answers)
        self._tell("settings.saved")
