"""Runs the steps of chains that are due: one transaction each, so that whatever dies, a step is done once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from graph_runtime.contract.chain_times import Calendar, allowed_from, instant
from graph_runtime.contract.chains import SPEAKING, Chain, ChainStep, ContactFacts, read_chain
from graph_runtime.contract.errors import BuilderError
from graph_runtime.services.chain_acts import Acts, Done
from graph_runtime.services.chain_entry import facts_of
from graph_runtime.services.chain_progress import end, go_on
from graph_runtime.services.days_off import calendar_of
from graph_runtime.storage import chain_steps as rows
from graph_runtime.storage.chain_steps import Claim
from graph_runtime.storage.crm_hooks import had_stage
from graph_runtime.storage.database import Connection, Database

log = structlog.get_logger(__name__)
BACK_OFF: Final = (30.0, 120.0, 600.0, 3600.0, 6 * 3600.0)
"""Seconds after which a step that broke is tried again; after the last one the enrollment is put aside."""
CHAINS_KEPT: Final = 200


@dataclass(slots=True)
class After:
    """What is to be told once the transaction is committed: conversations to look at, and those to run."""

    said: list[tuple[str, int, bool]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Put:
    """A step is put off: until when, by which rule."""

    until: datetime
    rule: str


class ChainRunner:
    """The system's own hands: what it does was decided by whoever published the chain and enrolled the contact."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts
        self._chains: OrderedDict[str, Chain] = OrderedDict()

    async def run_step(self, workspace_id: str, enrollment_id: str, now: datetime | None = None) -> bool:
        """Run the step that is due; False when somebody else has it or nothing is due any more."""
        after = After()
        try:
            async with self._database.workspace(workspace_id) as connection:
                if not await self.run_within(connection, enrollment_id, now, after):
                    return False
        except asyncio.CancelledError:
            raise
        except Exception as error:
            reason = error.code if isinstance(error, BuilderError) else type(error).__name__
            log.exception("chain_step_failed", enrollment_id=enrollment_id)
            await self._broke(workspace_id, enrollment_id, reason, now)
            return True
        self._acts.tell(workspace_id, after.said, after.started)
        return True

    async def hear(self, workspace_id: str, signal_id: int, now: datetime | None = None) -> bool:
        """Do what a signal asks for; False when somebody else does."""
        after = After()
        async with self._database.workspace(workspace_id) as connection:
            signal = await rows.take_signal(connection, signal_id)
            if signal is None:
                return False
            if signal["kind"] in ("enroll", "leave"):
                await self._acts.flow_asked(connection, signal["contact_id"], signal["data"], now)
            elif signal["kind"] == "undelivered":
                await self._acts.fall_back(connection, signal["data"], after.said)
            await self.look_within(connection, signal["contact_id"], now)
        self._acts.tell(workspace_id, after.said, after.started)
        return True

    async def run_within(
        self, connection: Connection, enrollment_id: str, now: datetime | None, after: After | None = None
    ) -> bool:  # fmt: skip
        """Run the step that is due in the caller's transaction; False when nothing is."""
        claimed = await rows.claim(connection, enrollment_id, now)
        if claimed is None:
            return False
        await self._run(connection, claimed, after or After())
        return True

    async def look_within(self, connection: Connection, contact_id: str, now: datetime | None) -> None:
        """End what a stop rule ends now, in every chain that the contact is in."""
        for enrollment_id in await rows.going_on(connection, contact_id):
            claimed = await rows.claim(connection, enrollment_id, now, is_due=False)
            if claimed is not None:
                chain = self._chain(claimed)
                reason = await self._stop_reason(connection, claimed, chain, facts_of(claimed.contact))
                if reason:
                    await end(connection, claimed, "stopped", reason)

    async def _run(self, connection: Connection, claimed: Claim, after: After) -> None:
        chain, contact = self._chain(claimed), facts_of(claimed.contact)
        reason = await self._stop_reason(connection, claimed, chain, contact)
        if reason:
            await end(connection, claimed, "stopped", reason)
            return
        place = chain.place(claimed.step_id)
        if place == len(chain.steps):
            await end(connection, claimed, "done", "")
            return
        step = chain.steps[place]
        if not contact.fits(step.only_if):
            if step.otherwise == "stop":
                await end(connection, claimed, "stopped", "condition", step)
                return
            await self._finish_step(connection, claimed, chain, contact, step, Done("skipped", "condition"))
            return
        if step.kind in SPEAKING and contact.is_opted_out:
            await end(connection, claimed, "stopped", "opted_out", step)
            return
        calendar = calendar_of(chain, contact)
        if step.kind in SPEAKING and not claimed.note.startswith("calling:"):
            put = await self._put_off(connection, claimed, chain, step, calendar)
            if put is not None:
                await self._move(connection, claimed, step, put)
                return
        done = await self._acts.do(connection, claimed, chain, step, contact)
        after.said.extend(done.said)
        after.started.extend(done.started)
        if done.again_at is not None:
            await self._look_again(connection, claimed, step, done)
            return
        await self._finish_step(connection, claimed, chain, contact, step, done)

    async def _look_again(self, connection: Connection, claimed: Claim, step: ChainStep, done: Done) -> None:
        """The step is not over: it waits for its channel, or for how a call went."""
        if done.is_news:
            what, data = ("called", done.data) if step.kind == "call" else ("moved", {"until": str(done.again_at)})
            reason = done.note if what == "moved" else ""
            await rows.note_down(connection, claimed, what, kind=step.kind, step_id=step.id, reason=reason, data=data)
        await rows.set_enrollment(
            connection, claimed.id, due_at=done.again_at, note=done.note, failures=0, **{"try": done.tries}
        )

    async def _finish_step(
        self, connection: Connection, claimed: Claim, chain: Chain, contact: ContactFacts, step: ChainStep, done: Done
    ) -> None:
        """Write the end of a step and when the next one is due. Steps that can never be due are passed over."""
        await rows.note_down(
            connection, claimed, done.what, kind=step.kind, step_id=step.id, reason=done.reason, wording=done.wording,
            channel_id=done.channel_id, conversation_id=done.conversation_id, effect_key=done.effect_key, data=done.data,
        )  # fmt: skip
        await go_on(connection, claimed, chain, contact, chain.place(step.id) + 1)

    async def _stop_reason(self, connection: Connection, claimed: Claim, chain: Chain, contact: ContactFacts) -> str:
        """The stop rule that holds now, or an empty text."""
        stop = chain.stop
        wanted = {tag.casefold() for tag in stop.tags}
        if wanted & {tag.casefold() for tag in contact.tags}:
            return "tag"
        if stop.when is not None and contact.fits(stop.when):
            return "condition"
        if contact.is_opted_out and any(s.kind in SPEAKING for s in chain.steps[chain.place(claimed.step_id) :]):
            return "opted_out"
        if stop.on_reply and await rows.has_replied(connection, claimed.id, claimed.contact_id):
            return "replied"
        if stop.results and await rows.had_result(connection, claimed.id, claimed.contact_id, [*stop.results]):
            return "result"
        if stop.stages and await had_stage(connection, claimed.id, claimed.contact_id, stop.stages):
            return "stage"
        return ""

    async def _put_off(
        self, connection: Connection, claimed: Claim, chain: Chain, step: ChainStep, calendar: Calendar
    ) -> _Put | None:
        """Why a step that speaks must not happen now, if so. From here on nobody else speaks to this contact."""
        opened = allowed_from(claimed.at, step.window, chain.quiet, calendar)
        if opened != claimed.at:
            return _Put(opened or claimed.at + timedelta(days=1), "hours")
        if claimed.tries:
            return None  # a call that nobody took is placed again: that is one step, and was counted
        caps = chain.caps
        await rows.alone_with(connection, claimed.contact_id)
        if not caps.spacing_minutes and not caps.per_contact_day:
            return None
        today = instant(claimed.at.astimezone(calendar.zone).date(), datetime.min.time(), calendar.zone)
        count, last = await rows.said(connection, claimed.contact_id, today)
        until, rule = claimed.at, ""
        if last is not None and last + timedelta(minutes=caps.spacing_minutes) > claimed.at:
            until, rule = last + timedelta(minutes=caps.spacing_minutes), "spacing"
        if caps.per_contact_day and count >= caps.per_contact_day:
            tomorrow = claimed.at.astimezone(calendar.zone).date() + timedelta(days=1)
            until, rule = max(until, instant(tomorrow, datetime.min.time(), calendar.zone)), "contact_day"
        if not rule:
            return None
        return _Put(allowed_from(until, step.window, chain.quiet, calendar) or until, rule)

    async def _move(self, connection: Connection, claimed: Claim, step: ChainStep, put: _Put) -> None:
        if claimed.note != put.rule:
            data = {"until": put.until.isoformat()}
            await rows.note_down(
                connection, claimed, "moved", kind=step.kind, step_id=step.id, reason=put.rule, data=data
            )
        await rows.set_enrollment(connection, claimed.id, due_at=put.until, note=put.rule)

    async def _broke(self, workspace_id: str, enrollment_id: str, reason: str, now: datetime | None) -> None:
        async with self._database.workspace(workspace_id) as connection:
            claimed = await rows.claim(connection, enrollment_id, now)
            if claimed is None:
                return
            if claimed.failures < len(BACK_OFF):
                await rows.count_failure(connection, enrollment_id, BACK_OFF[claimed.failures], now)
                return
            await rows.note_down(connection, claimed, "stopped", reason="error", data={"error": reason})
            await rows.set_enrollment(
                connection, claimed.id, state="failed", reason=reason[:100], due_at=None, ended_at=claimed.at
            )

    def _chain(self, claimed: Claim) -> Chain:
        """A version never changes, so it is read once."""
        chain = self._chains.get(claimed.version_id)
        if chain is None:
            chain = self._chains[claimed.version_id] = read_chain(claimed.document)
            while len(self._chains) > CHAINS_KEPT:
                self._chains.popitem(last=False)
        return chain
