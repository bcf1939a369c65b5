"""People in chains: putting them in, holding them, letting them go on; what they will get, and what came of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter

from graph_runtime.contract.chain_times import plan
from graph_runtime.contract.chains import Chain, ContactFacts, read_chain
from graph_runtime.contract.conditions import Condition, evaluate
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.services.chain_entry import Entered, enroll_many, facts_of, open_door
from graph_runtime.services.chain_progress import go_on
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.days_off import calendar_of
from graph_runtime.services.principal import Principal
from graph_runtime.storage import audit, contacts
from graph_runtime.storage import chain_steps as steps
from graph_runtime.storage import chains as rows
from graph_runtime.storage.database import Connection, Database, Row

MOST_AT_ONCE: Final = 10_000
BATCH: Final = 200
REST: Final = 0.02
"""Seconds between two batches: whoever writes meanwhile is answered by the same process."""
SHOWN_AHEAD: Final = 60
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
STATES: Final = ("active", "paused", "done", "stopped", "failed")
_CONDITION: Final[TypeAdapter[Any]] = TypeAdapter(Condition)


@dataclass(frozen=True, slots=True)
class EnrollmentRow:
    """One contact's progress. `note`: why the step was put off; `reason`: why it ended or waits."""

    id: str
    chain_id: str
    version_id: str
    version: int
    contact_id: str
    contact_name: str
    phone: str
    email: str
    state: str
    reason: str
    step_id: str
    due_at: datetime | None
    note: str
    source: str
    enrolled_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What somebody will get, if all goes as planned. `zone`: whose clock counts; `reason`: why it will be skipped."""

    step_id: str
    kind: str
    due_at: datetime | None
    zone: str
    reason: str = ""
    contact_id: str = ""
    contact_name: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of enrolling many: how many are in now, and of the others how many for which reason."""

    enrolled: int
    problems: dict[str, int] = field(default_factory=dict)


class Chains:
    """Whoever may see conversations sees who is inside; whoever may write in them puts people in and takes them out."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def enroll(
        self, principal: Principal, chain_id: str, contact_ids: Sequence[str], *, source: str = "page",
        now: datetime | None = None,
    ) -> list[Entered]:  # fmt: skip
        """Put contacts into the live version. Twice is once. `now` None: the database's clock decides.

        Raises: AccessDenied, NotFound when there is no such chain, InputInvalid for more than 10 000 at once.
        """
        principal.require("conversation.write")
        if len(contact_ids) > MOST_AT_ONCE:
            raise InputInvalid(
                f"At most {MOST_AT_ONCE} contacts fit into one request. Send them in parts.", field="contacts"
            )
        found: list[Entered] = []
        async with self._database.workspace(principal.workspace_id) as connection:
            if await rows.get(connection, chain_id) is None:
                raise NotFound("There is no such chain in this workspace.")
        for start in range(0, len(contact_ids), BATCH):
            async with self._database.workspace(principal.workspace_id) as connection:
                door = await open_door(connection, chain_id, now)
                # In one order everywhere: two requests for the same people wait for each other instead of failing.
                batch = sorted(contact_ids[start : start + BATCH])
                found += await enroll_many(connection, door, batch, source=source[:40])
            await asyncio.sleep(REST if start + BATCH < len(contact_ids) else 0)
        await self._note(principal, "enrolled", chain_id, sum(not e.problem for e in found))
        return found

    async def enroll_known(
        self, principal: Principal, chain_id: str, *, phones: Iterable[str] = (), emails: Iterable[str] = (),
        source: str = "csv",
    ) -> list[Entered]:  # fmt: skip
        """Put in the contacts who have these numbers and addresses. Raises: as `enroll`."""
        principal.require("conversation.write")
        ids: list[str] = []
        unknown: list[Entered] = []
        async with self._database.workspace(principal.workspace_id) as connection:
            wanted = [(p, _phone(p)) for p in phones] + [(e, e.strip().lower()) for e in emails]
            wanted = wanted[: MOST_AT_ONCE + 1]
            known = await contacts.ids_by(connection, [key for _, key in wanted if key])
            for given, key in wanted:
                if key in known:
                    ids.append(known[key])
                else:
                    unknown.append(Entered(given, problem="no_contact"))
        return [*await self.enroll(principal, chain_id, ids, source=source), *unknown]

    async def enroll_segment(self, principal: Principal, chain_id: str, segment_id: str) -> Summary:
        """Put in everybody who is in a segment now. Raises: AccessDenied, NotFound."""
        principal.require("conversation.write")
        inside: list[str] = []
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await contacts.segment(connection, segment_id) if is_uuid(segment_id) else None
            if row is None:
                raise NotFound("There is no such segment in this workspace.")
            condition = _CONDITION.validate_python(row["condition"])
            before: str | None = None
            while page := await contacts.listed(connection, contacts.filters(), before=before, limit=500):
                before = page[-1]["id"]
                inside.extend(r["id"] for r in page if _fits(condition, contacts.facts(r)))
        found: list[Entered] = []
        for start in range(0, len(inside), MOST_AT_ONCE):
            found += await self.enroll(principal, chain_id, inside[start : start + MOST_AT_ONCE], source="segment")
        return summary(found)

    async def segments(self, principal: Principal) -> list[tuple[str, str]]:
        """(id, name) of those that can be put in. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return [(row["id"], row["name"]) for row in await contacts.segments(connection)]

    async def find_contacts(self, principal: Principal, search: str, limit: int = 8) -> list[tuple[str, str, str]]:
        """(id, name, number or address) of contacts to choose from. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await contacts.listed(connection, contacts.filters(search=search), before=None, limit=limit)
            return [
                (r["id"], r["name"] or r["phone"] or r["email"] or r["id"][-6:], r["phone"] or r["email"])
                for r in found
            ]

    async def people(
        self, principal: Principal, chain_id: str, *, state: str | None = None, search: str = "",
        before: str | None = None, limit: int = 50,
    ) -> list[EnrollmentRow]:  # fmt: skip
        """Who is and was inside, the newest first; `before`: the last id of the page before. Raises: AccessDenied."""
        principal.require("conversation.read")
        if state is not None and state not in STATES:
            raise InputInvalid(f"A state is one of {', '.join(STATES)}.", field="state")
        pattern = search.strip()[:200].replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        wanted = {
            "chain": chain_id, "state": state, "search": f"%{pattern}%" if pattern else None, "id": None,
            "before": before if before and is_uuid(before) else None, "limit": min(max(limit, 1), 200),
        }  # fmt: skip
        async with self._database.workspace(principal.workspace_id) as connection:
            return [EnrollmentRow(**row) for row in await rows.enrollments(connection, wanted)]

    async def person(
        self, principal: Principal, chain_id: str, enrollment_id: str
    ) -> tuple[EnrollmentRow, list[dict[str, Any]]]:
        """One enrollment with all that happened to it, in order. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        wanted = {"chain": chain_id, "state": None, "search": None, "before": None, "limit": 1, "id": enrollment_id}
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.enrollments(connection, wanted)
            if not found:
                raise NotFound("There is no such enrollment in this chain.")
            return EnrollmentRow(**found[0]), await rows.log_of(connection, enrollment_id)

    async def stop(self, principal: Principal, chain_id: str, ids: Sequence[str]) -> int:
        """Take people out; how many. Raises: AccessDenied."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.stop(connection, reason="member", chain_id=chain_id, ids=[*ids])

    async def set_going(self, principal: Principal, chain_id: str, ids: Sequence[str], is_on: bool) -> int:
        """Hold people where they are, or let them go on (also after a step that broke); how many. Raises: AccessDenied."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.pause(connection, chain_id, ids, is_on=is_on)

    async def skip(self, principal: Principal, chain_id: str, ids: Sequence[str]) -> int:
        """Pass over the next step of these people; how many. Raises: AccessDenied."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            skipped = 0
            for row in await rows.lock_inside(connection, chain_id, ids):
                claimed = await steps.claim(connection, row["id"], self._clock(), is_due=False)
                assert claimed is not None  # this transaction has just locked it
                chain, contact = read_chain(claimed.document), facts_of(claimed.contact)
                place = chain.place(claimed.step_id)
                if place < len(chain.steps):
                    step = chain.steps[place]
                    await steps.note_down(
                        connection, claimed, "skipped", kind=step.kind, step_id=step.id, reason="member"
                    )
                await go_on(connection, claimed, chain, contact, place + 1)
                skipped += 1
            await rows.wake(connection)
            return skipped

    async def move_to_live(self, principal: Principal, chain_id: str, ids: Sequence[str] | None = None) -> int:
        """Let people inside (all of them: `ids` None) go on in the live version, after the steps they have had; how many.

        Raises: AccessDenied, NotFound.
        """
        principal.require("flow.publish")
        moved, after = 0, NOBODY
        while True:
            async with self._database.workspace(principal.workspace_id) as connection:
                head = await rows.live(connection, chain_id, None)
                if head is None or head["version_id"] is None:
                    raise NotFound("There is no such chain in this workspace, or it was never published.")
                batch = await rows.in_other_versions(connection, chain_id, head["version_id"], ids, after, BATCH)
                for enrollment_id in batch:
                    moved += await self._move(connection, enrollment_id, head)
                await rows.wake(connection)
            if len(batch) < BATCH:
                return moved
            after = batch[-1]

    async def _move(self, connection: Connection, enrollment_id: str, head: Row) -> bool:
        claimed = await steps.claim(connection, enrollment_id, self._clock(), is_due=False)
        if claimed is None:
            return False
        chain = read_chain(head["document"])
        had = await rows.done_steps(connection, claimed.id)
        await steps.set_enrollment(connection, claimed.id, version_id=head["version_id"])
        claimed = replace(claimed, version_id=head["version_id"])
        await steps.note_down(connection, claimed, "version")
        place = _place_in(chain, claimed.step_id, had)
        await go_on(connection, claimed, chain, facts_of(claimed.contact), place, claimed.previous_at)
        return True

    async def preview(
        self, principal: Principal, chain_id: str, *, contact_id: str = "", at: datetime | None = None
    ) -> list[Ahead]:
        """What the draft would bring to a contact (none: one of whom nothing is known) who enters now.

        Raises: AccessDenied, NotFound.
        """
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await rows.get(connection, chain_id)
            if row is None:
                raise NotFound("There is no such chain in this workspace.")
            chain, contact = read_chain(row["document"]), ContactFacts()
            if contact_id:
                found = await rows.contact(connection, contact_id)
                if found is None:
                    raise NotFound("There is no such contact in this workspace.")
                contact = facts_of(found["contact"])
        calendar = calendar_of(chain, contact)
        planned = plan(chain, contact, at or self._clock(), calendar, key=contact.id)
        return [
            Ahead(p.step.id, p.step.kind, p.due_at, calendar.zone.key, _skipped(contact, p.step, p.reason))
            for p in planned
        ]

    async def ahead(self, principal: Principal, chain_id: str, days: int = 30) -> list[Ahead]:
        """Who will get what when in the next days, the soonest first, at most 60. Raises: AccessDenied."""
        principal.require("conversation.read")
        until = self._clock() + timedelta(days=min(max(days, 1), 366))
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.upcoming(connection, chain_id, until, SHOWN_AHEAD)
        chains: dict[str, Chain] = {}
        coming: list[Ahead] = []
        for row in found:
            chain = chains.setdefault(row["version_id"], read_chain(row["document"]))
            contact = facts_of(row["contact"])
            calendar = calendar_of(chain, contact)
            place, previous, name = chain.place(row["step_id"]), row["due_at"], contact.name or contact.phone
            later = plan(
                chain, contact, row["enrolled_at"], calendar, key=row["id"], first=place + 1, previous_at=previous
            )
            first = [
                Ahead(s.id, s.kind, previous, calendar.zone.key, "", contact.id, name) for s in chain.steps[place:][:1]
            ]
            rest = [
                Ahead(p.step.id, p.step.kind, p.due_at, calendar.zone.key, "", contact.id, name)
                for p in later if p.due_at is not None and p.due_at <= until
            ]  # fmt: skip
            coming += first + rest
        return sorted(coming, key=lambda a: (a.due_at or until, a.contact_id, a.step_id))[:SHOWN_AHEAD]

    async def figures(self, principal: Principal, chain_id: str) -> list[dict[str, Any]]:
        """By step and wording: done, delivered, skipped, failed, replied, stopped. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.step_figures(connection, chain_id)

    async def notes(self, principal: Principal) -> list[dict[str, Any]]:
        """What chains ask this member to do, and what they ask everybody. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.notes(connection, principal.member_id)

    async def close_note(self, principal: Principal, note_id: str) -> bool:
        """It is dealt with; False when it was already. Raises: AccessDenied."""
        principal.require("conversation.write")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await rows.close_note(connection, note_id)

    async def _note(self, principal: Principal, what: str, chain_id: str, count: int) -> None:
        async with self._database.workspace(principal.workspace_id) as connection:
            ids = {"chain": chain_id, "count": count}
            await audit.append(connection, principal.actor, f"chain.{what}", ids, self._clock())


def summary(found: Sequence[Entered]) -> Summary:
    """Counted."""
    return Summary(sum(not e.problem for e in found), dict(Counter(e.problem for e in found if e.problem)))


def _fits(condition: Any, facts: dict[str, Any]) -> bool:
    def resolve(path: str) -> Any:
        root, _, name = path.partition(".")
        return facts.get(name) if root == "contact" else None

    return evaluate(condition, resolve, lambda text: text)


def _skipped(contact: ContactFacts, step: Any, reason: str) -> str:
    return reason or ("" if not contact.id or contact.fits(step.only_if) else "condition")


def _place_in(chain: Chain, step_id: str, had: Sequence[str]) -> int:
    """Where somebody goes on in another version: at their step if it is there, else after the last that they had."""
    place = chain.place(step_id)
    if place < len(chain.steps):
        return place
    places = [chain.place(s) for s in had if chain.place(s) < len(chain.steps)]
    return max(places) + 1 if places else 0


def _phone(text: str) -> str:
    digits = "".join(c for c in text if c.isdigit())
    return f"+{digits}" if digits else ""
