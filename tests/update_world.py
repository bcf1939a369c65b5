"""An agent that asks one thing again and again, a model that answers as it is told, and update rules between them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from graph_runtime.bootstrap import Services
from graph_runtime.contract.messages import Reply
from graph_runtime.engine.models import ModelRunner
from graph_runtime.services.principal import Principal
from graph_runtime.services.update_changes import Change
from graph_runtime.services.update_checks import UpdateChecks, UpdateReader
from graph_runtime.services.update_rules import UpdateRuleRow, UpdateRules
from graph_runtime.storage.update_checks import CheckSweep
from graph_runtime.testing import FakeModel
from graph_runtime.worker.update_checks import UpdateLooks
from tests.engine.small_nodes import flow


class OneModel:
    """Stands where the connected models stand."""

    def __init__(self, model: FakeModel) -> None:
        self.model = model

    async def chat_model(self, workspace_id: str, agent_id: str, slot: str) -> list[FakeModel]:
        return [self.model]


class UpdateWorld:
    """What tests of update rules use. Without `model` the product's demo model is what there is."""

    def __init__(self, services: Services, who: Principal, admin: Any) -> None:
        self.services, self.who, self.admin = services, who, admin
        self.rules: UpdateRules = services.update_rules
        self.checks: UpdateChecks = services.update_checks
        self.changes = services.update_changes
        self.agent_id = self.talk_id = self.contact_id = ""

    async def open(self, question: str = "How many people work in your company?") -> UpdateWorld:
        """An agent with a conversation that has begun."""
        document = flow(
            {"s": ("start", {}), "a": ("ask", {"text": question, "save_to": "x"})}, {"s.next": "a", "a.answered": "a"}
        )
        self.agent_id = self.insert("agent", name="Reception", is_on=True, language="en", public_id=uuid4().hex)
        flow_id = self.insert("flow", agent_id=self.agent_id, name="Main", kind="main", document=document.to_json())
        version = self.insert(
            "version", flow_id=flow_id, number=1, document=document.to_json(), bundle={}, content_hash=document.content_hash()
        )  # fmt: skip
        self.admin.execute("UPDATE flow SET live_version_id = %s WHERE id = %s", (version, flow_id))
        self.admin.execute("UPDATE agent SET main_flow_id = %s WHERE id = %s", (flow_id, self.agent_id))
        for kind in ("web_chat", "api", "test"):
            self.insert("channel", agent_id=self.agent_id, connector=kind, public_id=uuid4().hex)
        await self.begin()
        return self

    def with_model(self, *answers: Any) -> FakeModel:
        """From here on a model reads, and answers this."""
        model = FakeModel(answers)
        reader = UpdateReader(OneModel(model), ModelRunner())  # type: ignore[arg-type]
        self.rules = UpdateRules(self.services.database, reader)
        self.checks = UpdateChecks(self.services.database, reader)
        return model

    async def begin(self, **more: Any) -> None:
        """Another conversation, with somebody new."""
        started = await self.services.conversations.start(
            self.who, agent_id=self.agent_id, dedupe_key=uuid4().hex, **more
        )
        await self.settle()
        row = self.admin.execute("SELECT contact_id::text FROM conversation WHERE id = %s", (started,)).fetchone()
        self.talk_id, self.contact_id = started, str(row[0])

    async def settle(self) -> None:
        """Until no turn runs."""
        runner = self.services.conversation_side.runner
        while runner.running:
            for task in runner.running:
                await task

    def insert(self, table: str, **values: Any) -> str:
        """A row of the workspace; its id."""
        values = {"workspace_id": self.who.workspace_id, **values}
        columns, places = ", ".join(values), ", ".join(["%s"] * len(values))
        row = self.admin.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING id::text",
            [json.dumps(v) if isinstance(v, dict) else v for v in values.values()],
        ).fetchone()
        return str(row[0])

    async def field(self, key: str, type_: str, options: Sequence[str] = ()) -> None:
        """A field of the workspace's own."""
        await self.services.contact_segments.put_field(self.who, key, key.capitalize(), type_, tuple(options))

    async def rule(self, field: str, when: str = "what it is about", **more: Any) -> UpdateRuleRow:
        """A rule that is on."""
        return await self.rules.create(self.who, self.agent_id, {"field": field, "when": when, **more})

    async def say(self, text: str, *, look: bool = True) -> None:
        """The contact writes and is answered; then rules look at it."""
        await self.services.conversations.receive(self.who, self.talk_id, Reply(text=text), dedupe_key=uuid4().hex)
        await self.settle()
        if look:
            await self.look()

    async def look(self) -> int:
        """Do what a worker does; how much there was."""
        return await UpdateLooks(CheckSweep(self.services.database), self.checks).once()

    async def contact(self) -> dict[str, Any]:
        """The contact as it is now."""
        return await self.services.contacts.get(self.who, self.contact_id)

    async def history(self, **wanted: Any) -> list[Change]:
        """Changes, oldest first."""
        return (await self.changes.listed(self.who, **wanted))[::-1]

    def outcomes(self) -> list[str]:
        """What rules came to, check by check."""
        rows = self.admin.execute("SELECT outcomes FROM update_check ORDER BY id").fetchall()
        return [outcome for (found,) in rows for outcome in found.values()]


def answer(quote: str, value: Any = None, confidence: float = 0.9) -> dict[str, Any]:
    """What a model says of one rule that it finds met."""
    return {"matched": True, "quote": quote, "value": value, "confidence": confidence}


NOT = {"matched": False, "quote": "", "value": None, "confidence": 0.0}
