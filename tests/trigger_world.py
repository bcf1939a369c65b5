"""An agent with two flows, a channel that is written to and one that is not, and triggers on a clock that moves."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any
from uuid import uuid4

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.services.trigger_log import OccasionRow
from graph_runtime.services.triggers import TriggerRow
from graph_runtime.storage.trigger_runs import TriggerSweep
from graph_runtime.testing import FakeClock
from graph_runtime.worker.triggers import TriggerTimers
from tests.engine.small_nodes import flow


class World:
    """What tests of triggers use. The worker goes by the clock of the services."""

    def __init__(self, services: Services, who: Principal, admin: Any, clock: FakeClock) -> None:
        self.services, self.who, self.admin, self.clock = services, who, admin, clock
        self.timers = TriggerTimers(
            TriggerSweep(services.database), services.trigger_runner, services.database.listen, clock.now
        )
        self.agent_id = self.channel_id = self.main_id = self.other_id = ""

    async def open(self) -> World:
        """An agent on a channel that pushes, with a main flow and another one, both live."""
        insert = self.insert
        self.agent_id = insert("agent", name="Reception", is_on=True, language="en", public_id=uuid4().hex)
        self.main_id = self.flow("Main", "main", "What is your name?")
        self.admin.execute("UPDATE agent SET main_flow_id = %s WHERE id = %s", (self.main_id, self.agent_id))
        self.other_id = self.flow("Offer", "sub", "{{ var.event.note }}Would you like an offer, {{ contact.name }}?")
        self.channel_id = insert("channel", agent_id=self.agent_id, connector="webhook", public_id=uuid4().hex,
                                 settings={"url": "https://example.com/in"})  # fmt: skip
        for kind in ("web_chat", "api", "test"):
            insert("channel", agent_id=self.agent_id, connector=kind, public_id=uuid4().hex)
        return self

    def insert(self, table: str, **values: Any) -> str:
        """A row of the workspace; its id."""
        values = {"workspace_id": self.who.workspace_id, **values}
        columns, places = ", ".join(values), ", ".join(["%s"] * len(values))
        row = self.admin.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING id::text",
            [json.dumps(v) if isinstance(v, dict) else v for v in values.values()],
        ).fetchone()
        return str(row[0])

    def flow(self, name: str, kind: str, text: str, *, is_live: bool = True) -> str:
        """A flow of the agent that asks one thing and ends with the result "done"."""
        document = flow(
            {"s": ("start", {}), "a": ("ask", {"text": text}), "e": ("end", {"result": "done"})},
            {"s.next": "a", "a.answered": "e"},
        )
        flow_id = self.insert("flow", agent_id=self.agent_id, name=name, kind=kind, document=document.to_json())
        version = self.insert(
            "version",
            flow_id=flow_id,
            number=1,
            document=document.to_json(),
            bundle={},
            content_hash=document.content_hash(),
        )
        if is_live:
            self.admin.execute("UPDATE flow SET live_version_id = %s WHERE id = %s", (version, flow_id))
        return flow_id

    def contact(self, name: str, *, is_known: bool = True, **values: Any) -> str:
        """A contact, whom the channel knows by their name."""
        contact_id = self.insert("contact", name=name, **values)
        if is_known:
            self.admin.execute(
                "INSERT INTO contact_identity (source_id, external_user_id, workspace_id, contact_id) VALUES (%s, %s, %s, %s)",
                (self.channel_id, name, self.who.workspace_id, contact_id),
            )
        return contact_id

    async def trigger(self, when: dict[str, Any], *, is_on: bool = True, **more: Any) -> TriggerRow:
        """A trigger that starts the flow “Offer”, unless something else is said."""
        document = {
            "name": when["kind"], "when": when, "actions": [{"do": "start_flow", "flow_id": self.other_id}],
            "limits": {"per_contact": 0}, **more,
        }  # fmt: skip
        row, self.secret = await self.services.triggers.create(self.who, self.agent_id, document)
        return await self.services.triggers.set_on(self.who, row.id, True) if is_on else row

    async def work(self, **later: float) -> int:
        """Do what is due, after moving the clock; how much was done."""
        if later:
            self.clock.advance(**later)
        done = 0
        while count := await self.timers.once():
            done += count
        await self.settle()
        return done

    async def settle(self) -> None:
        """Until no turn runs."""
        runner = self.services.conversation_side.runner
        while runner.running:
            await asyncio.wait(runner.running)
            await asyncio.sleep(0)

    async def log(self, row: TriggerRow) -> list[OccasionRow]:
        """The log, oldest first."""
        return (await self.services.trigger_log.log(self.who, row.id, limit=200))[::-1]

    async def told(self, row: TriggerRow) -> list[tuple[str, str, str]]:
        """(contact, state, reason) of every occasion, oldest first."""
        return [(o.contact, o.state, o.reason) for o in await self.log(row)]

    def said(self, contact: str = "") -> list[str]:
        """What agents wrote, oldest first; to one contact, or to all."""
        rows = self.admin.execute(
            "SELECT m.text FROM message m JOIN conversation c ON c.id = m.conversation_id JOIN contact k ON k.id = c.contact_id"
            " WHERE m.role = 'agent' AND (%s = '' OR k.name = %s) ORDER BY m.created_at, m.seq",
            (contact, contact),
        ).fetchall()
        return [str(r[0]) for r in rows]

    @property
    def now(self) -> datetime:
        return self.clock.now()
