"""A process that runs chains, on a real database, with channels that send to a fake receiver and a clock that moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from connectors.asterisk.connector import CONNECTOR as ASTERISK
from graph_runtime.contract.catalog import Catalog
from graph_runtime.engine.virtual_clock import VirtualClock
from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.services.call_admission import CallAdmission
from graph_runtime.services.calls_out import CallsOut
from graph_runtime.services.chain_acts import Acts
from graph_runtime.services.chain_drafts import ChainDrafts
from graph_runtime.services.chain_entry import Entered
from graph_runtime.services.chain_play import ChainPlay
from graph_runtime.services.chain_runner import ChainRunner
from graph_runtime.services.chains import Chains
from graph_runtime.services.deliveries import SendRules
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.services.principal import Principal
from graph_runtime.storage import contacts
from graph_runtime.storage.chain_steps import ChainSweep
from graph_runtime.storage.database import Database
from graph_runtime.worker.chains import ChainTimers
from tests.delivery_world import CONNECTORS, Channel, Place, SendingProcess
from tests.engine.small_nodes import CATALOG


def with_lines() -> Catalog:
    """What sending processes know, and phone lines."""
    return Catalog(CATALOG.nodes, CONNECTORS | {ASTERISK.id: ASTERISK})


def message(step_id: str, text: str, **more: Any) -> dict[str, Any]:
    """A step that writes."""
    return {"id": step_id, "kind": "message", "wordings": [{"id": "a", "texts": {"": text}}], **more}


def after(amount: int, unit: str = "days", at: str = "", **more: Any) -> dict[str, Any]:
    """A delay."""
    return {"amount": amount, "unit": unit, "at": at, **more}


class ChainProcess(SendingProcess):
    """The services of one process that sends and runs chains. Its chains live by `clock`."""

    def __init__(self, database: Database, rules: SendRules, now: datetime) -> None:
        catalog = with_lines()
        super().__init__(database, rules, catalog=catalog)
        self.clock = VirtualClock(now)
        self.drafts = ChainDrafts(database, self.clock.now)
        self.chains = Chains(database, self.clock.now)
        speech = BoundSpeech(database, catalog, self.vault)
        calls = CallsOut(database, PhoneLines(self.open_channels, catalog), CallAdmission(database, speech))
        self.acts = Acts(calls, self.store, self.runner)
        self.chain_runner = ChainRunner(database, self.acts)
        self.play = ChainPlay(database, self.acts)
        self.sweep_of_chains = ChainSweep(database)
        self.timers = ChainTimers(self.sweep_of_chains, self.chain_runner, database.listen, self.clock.now)

    def by_the_database(self) -> ChainTimers:
        """What a worker runs: the database's clock decides."""
        return ChainTimers(self.sweep_of_chains, self.chain_runner, self.database.listen)

    async def chain(self, who: Principal, *steps: dict[str, Any], name: str = "Quote", **more: Any) -> str:
        """A published chain that is on; its id. Without quiet hours and spacing unless asked for."""
        document = {"quiet": None, "caps": {"per_contact_day": 0, "spacing_minutes": 0}, "steps": [*steps], **more}
        draft = await self.drafts.create(who, name, document)
        await self.drafts.publish(who, draft.row.id)
        return draft.row.id

    async def contact(self, place: Place, channel: Channel | None, user: str = "u1", **values: Any) -> str:
        """A contact who is known at a channel."""
        async with self.database.workspace(place.workspace_id) as connection:
            contact_id = await contacts.insert(connection, values)
            if channel is not None:
                await self.known(connection, contact_id, channel, user)
        return contact_id

    @staticmethod
    async def known(connection: Any, contact_id: str, channel: Channel, user: str) -> None:
        """The contact is known at a channel."""
        await connection.execute(
            "INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id)"
            " VALUES (%s, %s, current_setting('app.workspace_id')::uuid, %s)",
            (channel.row.id, user, contact_id),
        )

    async def enroll(self, who: Principal, chain_id: str, *ids: str) -> list[Entered]:
        """At the clock's moment."""
        return await self.chains.enroll(who, chain_id, ids, now=self.clock.now())

    async def pass_until(self, moment: datetime) -> None:
        """Let time pass: whatever falls due on the way happens at its moment."""
        await self.run_due()
        while True:
            seconds = await self.sweep_of_chains.seconds_to_next(1e9, self.clock.now())
            if seconds >= (moment - self.clock.now()).total_seconds():
                break
            self.clock.advance(timedelta(seconds=seconds, milliseconds=1))
            await self.run_due()
        self.clock.advance_to(moment)
        await self.run_due()

    async def run_due(self) -> None:
        """Until nothing is due and nothing waits to be heard."""
        while await self.timers.once():
            await self.settle()


@asynccontextmanager
async def chaining(url: str, now: datetime, *, is_started: bool = True) -> AsyncIterator[ChainProcess]:
    """Start the services of one process and stop them."""
    database = Database(url)
    await database.open()
    side = ChainProcess(database, SendRules(jitter=lambda low, high: min(high, 0.2)), now)
    try:
        await side.open()
        if is_started:
            side.start_sending()
        yield side
    finally:
        await side.stop_sending()
        await side.deliveries.close()
        await side.events.close()
        await side.close(1.0)
        await database.close()
