"""Carries out occasions of triggers: times that have come, what happened inside, what programs and people ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pydantic import TypeAdapter, ValidationError

from graph_runtime.contract.conditions import Condition, evaluate
from graph_runtime.contract.schedules import due
from graph_runtime.contract.trigger_rules import Facts, verdict
from graph_runtime.contract.triggers import PERIOD_HOURS, Limits, OnInactivity, OnSchedule, Trigger
from graph_runtime.services.live import Live
from graph_runtime.services.trigger_acts import Cause, Did, TriggerActs
from graph_runtime.services.turn_starts import TurnStarts
from graph_runtime.storage import contacts
from graph_runtime.storage import trigger_runs as runs
from graph_runtime.storage import triggers as rows
from graph_runtime.storage.database import DATABASE_AWAY, Connection, Database, Row

log = structlog.get_logger(__name__)
PAGE: Final = 500
SILENCES: Final = 2000
LOOK_SECONDS: Final = 20
MOST_ATTEMPTS: Final = 3
AGAIN_SECONDS: Final = (5.0, 60.0, 300.0)
_CONDITION: Final[TypeAdapter[Any]] = TypeAdapter(Condition)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an occasion came to."""

    state: str
    reason: str
    did: Sequence[Did] = ()

    @property
    def conversation_id(self) -> str | None:
        """The first conversation that began."""
        return next((d.conversation_id for d in self.did if d.conversation_id), None)


class TriggerRunner:
    """Everything of one occasion is one transaction: a process that dies leaves it waiting, as if untouched."""

    def __init__(self, database: Database, acts: TriggerActs, starts: TurnStarts, live: Live) -> None:
        self._database = database
        self._acts = acts
        self._starts = starts
        self._live = live

    async def tick(self, workspace_id: str, trigger_id: str, now: datetime | None = None) -> bool:
        """A time has come: make its occasions and note the next time; whether it was done here."""
        async with self._database.workspace(workspace_id) as connection:
            tick = await runs.claim_tick(connection, trigger_id, now)
            if tick is None:
                return False
            row = await rows.get(connection, trigger_id)
            trigger = load(row)
            if row is None or trigger is None or not row["is_on"]:
                await rows.set_tick(connection, trigger_id, None)
            elif isinstance(trigger.when, OnSchedule):
                await self._schedule(connection, row, trigger.when, tick)
            elif isinstance(trigger.when, OnInactivity):
                await self._silences(connection, row, trigger.when, tick["now"])
            else:
                await rows.set_tick(connection, trigger_id, None)
            return True

    async def _schedule(self, connection: Connection, row: Row, when: OnSchedule, tick: Row) -> None:
        found = due(when.schedule, tick["due_at"], tick["now"])
        for moment in found.moments:
            data = {"type": "schedule", "scheduled_at": moment.isoformat(), "passed_over": found.passed_over}
            await runs.add(
                connection, row["id"], f"schedule:{moment.isoformat()}", "schedule", data=data, at=moment,
                spreads=when.audience == "contacts", next_at=tick["now"],
            )  # fmt: skip
        if found.passed_over and not found.moments:
            await runs.add(
                connection, row["id"], f"missed:{tick['due_at'].isoformat()}", "schedule", at=tick["now"], state="not_fired",
                reason="missed", data={"type": "schedule", "passed_over": found.passed_over},
            )  # fmt: skip
        await rows.set_tick(connection, row["id"], found.next_at)

    async def _silences(self, connection: Connection, row: Row, when: OnInactivity, now: datetime) -> None:
        until = now - timedelta(minutes=when.minutes)
        found = await runs.silent(
            connection, row["agent_id"], row["heard_until"] or until, until, ended=when.ended
        )  # fmt: skip
        for silence in found:
            data = {
                "type": "inactivity", "conversation_id": silence["id"], "status": silence["status"],
                "result": silence["result"], "since": silence["updated_at"].isoformat(), "minutes": when.minutes,
            }  # fmt: skip
            key = f"silence:{silence['id']}:{silence['updated_at'].isoformat()}"
            await runs.add(
                connection,
                row["id"],
                key,
                "inactivity",
                contact_id=silence["contact_id"],
                data=data,
                next_at=now,
                at=now,
            )
        is_full = len(found) == SILENCES
        heard = found[-1]["updated_at"] if is_full else until
        await rows.change(connection, row["id"], heard_until=heard)
        await rows.set_tick(connection, row["id"], now if is_full else now + timedelta(seconds=LOOK_SECONDS))

    async def run(self, workspace_id: str, run_id: str, now: datetime | None = None) -> bool:
        """Carry out an occasion; whether it was done here. What breaks is tried again, three times in all."""
        began: list[str] = []
        try:
            async with self._database.workspace(workspace_id) as connection:
                occasion = await runs.claim(connection, run_id, now)
                if occasion is None:
                    return False
                row = await rows.get(connection, occasion.trigger_id)
                trigger = load(row)
                if occasion.spreads and row is not None and trigger is not None and row["is_on"]:
                    await self._spread(connection, occasion, trigger)
                    return True
                outcome = await self._decide(connection, occasion, row, trigger)
                await runs.finish(
                    connection, run_id, outcome.state, outcome.reason, did=[d.data() for d in outcome.did],
                    conversation_id=outcome.conversation_id, at=occasion.now,
                )  # fmt: skip
                began = [d.conversation_id for d in outcome.did if d.conversation_id]
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("trigger_failed", run_id=run_id)
            await self._broke(workspace_id, run_id, now)
            return True
        for conversation_id in began:
            self._live.changed(workspace_id, conversation_id)
            self._starts.begin(workspace_id, conversation_id, None)
        return True

    async def _broke(self, workspace_id: str, run_id: str, now: datetime | None) -> None:
        async with self._database.workspace(workspace_id) as connection:
            occasion = await runs.claim(connection, run_id, now)
            if occasion is None:
                return
            if occasion.attempts + 1 >= MOST_ATTEMPTS:
                await runs.finish(connection, run_id, "failed", "failed", at=occasion.now)
            else:
                await runs.put_off(connection, run_id, AGAIN_SECONDS[occasion.attempts], now)

    async def _decide(
        self, connection: Connection, occasion: runs.Occasion, row: Row | None, trigger: Trigger | None
    ) -> Outcome:
        if row is None or trigger is None:
            return Outcome("not_fired", "deleted")
        if not row["is_on"] and occasion.source not in ("manual", "api"):
            return Outcome("not_fired", "off")
        contact_id = occasion.contact_id
        if contact_id is not None and await runs.only_tested(connection, contact_id):
            return Outcome("not_fired", "only_tests")
        facts = await facts_of(connection, trigger.limits, occasion)
        reason = verdict(trigger, facts)
        if reason:
            return Outcome("not_fired", reason)
        return await act(connection, self._acts, trigger, cause_of(row, occasion), facts)

    async def _spread(self, connection: Connection, occasion: runs.Occasion, trigger: Trigger) -> None:
        """One page of the contacts that a time is for; each that fits becomes an occasion of its own."""
        when = trigger.when
        segment: Any = None
        if isinstance(when, OnSchedule) and when.segment_id:
            found = await contacts.segment(connection, when.segment_id)
            segment = _CONDITION.validate_python(found["condition"] if found else {"any": []})
        page = await contacts.listed(connection, contacts.filters(), before=occasion.position, limit=PAGE)
        fits = 0
        for row in page:
            known = {k: v for k, v in occasion.data.items() if k not in ("looked", "fits")}
            facts = Facts(contact=contacts.facts(row), event=known)
            if segment is not None and not evaluate(segment, facts.resolve, facts.render):
                continue
            if not evaluate(trigger.condition, facts.resolve, facts.render):
                continue
            fits += 1
            await runs.add(
                connection, occasion.trigger_id, f"{occasion.key}/{row['id']}", occasion.source, contact_id=row["id"],
                data=known, depth=occasion.depth, at=occasion.at, next_at=occasion.now,
            )  # fmt: skip
        data = occasion.data | {
            "looked": occasion.data.get("looked", 0) + len(page), "fits": occasion.data.get("fits", 0) + fits,
        }  # fmt: skip
        if page:
            await runs.move(connection, occasion.id, page[-1]["id"], data)
        if len(page) < PAGE:
            state, reason = ("fired", "spread") if data["fits"] else ("not_fired", "nobody_fits")
            await runs.finish(connection, occasion.id, state, reason, at=occasion.now)


def load(row: Row | None) -> Trigger | None:
    """The document of a row; None when it is gone or was written by a newer program."""
    if row is None:
        return None
    try:
        return Trigger.model_validate(row["document"])
    except ValidationError:
        log.error("trigger_damaged", trigger_id=row["id"])
        return None


def cause_of(row: Row, occasion: runs.Occasion) -> Cause:
    """Why its actions are done."""
    return Cause(
        row, occasion.id, occasion.source, occasion.contact_id, occasion.now, occasion.data.get("variables") or {}
    )


async def facts_of(connection: Connection, limits: Limits, occasion: runs.Occasion) -> Facts:
    """What is known, with the limits counted while nobody else counts them."""
    await runs.alone_with(connection, f"{occasion.trigger_id}:{occasion.contact_id or ''}")
    if limits.total:
        await runs.alone_with(connection, f"{occasion.trigger_id}")
    contact = await contacts.get(connection, occasion.contact_id) if occasion.contact_id else None
    wanted = {
        "now": occasion.now, "contact_hours": PERIOD_HOURS[limits.contact_period], "total_hours": PERIOD_HOURS[limits.total_period],
    }  # fmt: skip
    count = await runs.counted(connection, occasion.trigger_id, occasion.contact_id, wanted)
    return Facts(
        contact=contacts.facts(contact) if contact else None,
        event={k: v for k, v in occasion.data.items() if k != "variables"},
        variables=occasion.data.get("variables") or {},
        depth=occasion.depth,
        fired_for_contact=count["for_contact"],
        fired_in_all=count["in_all"],
        fired_lately=count["lately"],
    )


async def act(
    connection: Connection, acts: TriggerActs, trigger: Trigger, cause: Cause, facts: Facts
) -> Outcome:  # fmt: skip
    """Carry out the actions. A trigger none of whose actions could be done has not fired."""
    await runs.set_depth(connection, facts.depth + 1)
    did = [
        await acts.do(connection, action, replace(cause, place=place), facts)
        for place, action in enumerate(trigger.actions)
    ]
    done = [d for d in did if not d.reason]
    return Outcome("fired", "", did) if done else Outcome("not_fired", did[0].reason if did else "failed", did)
