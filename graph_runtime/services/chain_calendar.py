"""The calendar of a chain: how many people get which step on which day, whoever many are inside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from graph_runtime.contract.chain_times import Calendar, plan
from graph_runtime.contract.chains import Chain, ContactFacts, read_chain
from graph_runtime.contract.errors import NotFound
from graph_runtime.services.days_off import calendar_of
from graph_runtime.services.principal import Principal
from graph_runtime.storage import chain_calendar as rows
from graph_runtime.storage.database import Database, Row

MOST_DAYS = 62


@dataclass(frozen=True, slots=True)
class DayCount:
    """So many people get a step of a version on a day of their own calendar, if all goes as planned."""

    day: date
    step_id: str
    kind: str
    count: int


class ChainCalendar:
    """People who wait for the same step at the same time under the same clock are planned once, together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(self, principal: Principal, chain_id: str, first: date, days: int = 31) -> list[DayCount]:
        """What is ahead from a day on, by day and step, in order; conditions that steps may have count as met.

        Raises: AccessDenied, NotFound.
        """
        principal.require("conversation.read")
        after = first + timedelta(days=min(max(days, 1), MOST_DAYS))
        # A day begins up to 14 hours earlier and ends up to 12 hours later than in UTC.
        until = datetime(after.year, after.month, after.day, tzinfo=UTC) + timedelta(hours=14)
        async with self._database.workspace(principal.workspace_id) as connection:
            documents = await rows.inside_documents(connection, chain_id)
            if documents is None:
                raise NotFound("There is no such chain in this workspace.")
            chains = {version: read_chain(document) for version, document in documents.items()}
            steps = [step for chain in chains.values() for step in chain.steps]
            groups = await rows.groups(
                connection,
                chain_id,
                until,
                fields=sorted({s.delay.field.partition(".")[0] for s in steps if s.delay.since == "field"}),
                by_entry=any(s.delay.since == "enrollment" for s in steps),
            )
        return _counted(groups, chains, first, after, until)


def _counted(
    groups: list[Row], chains: dict[str, Chain], first: date, after: date, until: datetime
) -> list[DayCount]:  # fmt: skip
    counts: Counter[tuple[date, str, str]] = Counter()
    calendars: dict[tuple[str, str, str], Calendar] = {}
    for group in groups:
        chain = chains[group["version_id"]]
        contact = ContactFacts(time_zone=group["time_zone"], phone=group["phone"], fields=group["fields"] or {})
        where = (group["version_id"], group["time_zone"], group["phone"])
        calendar = calendars.get(where)
        if calendar is None:
            calendar = calendars[where] = calendar_of(chain, contact)
        place = chain.place(group["step_id"])
        for step in chain.steps[place:][:1]:
            counts[group["due_at"].astimezone(calendar.zone).date(), step.id, step.kind] += group["people"]
        later = plan(
            chain, contact, group["enrolled_at"], calendar, key=group["id"], first=place + 1,
            previous_at=group["due_at"], until=until,
        )  # fmt: skip
        for one in later:
            if one.due_at is not None:
                counts[one.due_at.astimezone(calendar.zone).date(), one.step.id, one.step.kind] += group["people"]
    order = {step.id: n for chain in chains.values() for n, step in enumerate(chain.steps)}
    found = [DayCount(*key, count) for key, count in counts.items() if first <= key[0] < after]
    return sorted(found, key=lambda d: (d.day, order.get(d.step_id, 0), d.step_id))
