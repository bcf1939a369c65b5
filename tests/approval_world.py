"""An agent whose words somebody approves: a flow that answers, its settings, and the services around it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import psycopg

from graph_runtime.contract.answering import MayBeApproved
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.messages import Text
from graph_runtime.contract.nodes import Leave, NodeContext, NodeType, setting
from graph_runtime.services.approvals import Approvals
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.hand_offs import HandOffs
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.database import Database
from tests.conversation_world import Process
from tests.engine.small_nodes import CATALOG, flow


class Speech(MayBeApproved):
    text: str = setting("Text", default="")


SPEAK = NodeType(
    type="speak",
    category="ai",
    label="Speak",
    summary="Says what a model wrote.",
    settings=Speech,
    says_model_text=True,
)


@SPEAK.runs
async def speak(settings: Speech, ctx: NodeContext) -> Leave:
    await ctx.say(Text(text=ctx.render(settings.text)))
    return Leave()


SPEAKING = Catalog(MappingProxyType({**CATALOG.nodes, SPEAK.type: SPEAK}))
QUIET = {"gather_ms": 0}
ANSWERS = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "?"}),
        "m": ("speak", {"text": "Answer to {{ message.text }}"}),
    },
    {"s.next": "q", "q.answered": "m", "m.next": "q"},
)  # fmt: skip
"""Answers whatever is said, as a model would, and asks on with a fixed "?"."""


class ApprovingProcess(Process):
    """A process whose members approve."""

    def __init__(self, database: Database, outside: Outside | None = None) -> None:
        super().__init__(database, SPEAKING, outside or Outside())
        self.approvals = Approvals(self)
        self.hand_offs = HandOffs(self)


@asynccontextmanager
async def approving(url: str, outside: Outside | None = None) -> AsyncIterator[ApprovingProcess]:
    database = Database(url)
    await database.open()
    side = ApprovingProcess(database, outside)
    try:
        await side.open()
        yield side
    finally:
        await side.close(1.0)
        await database.close()


def answer_by(admin: psycopg.Connection[Any], access: ChannelAccess, **answering: Any) -> None:
    """Set how the agent answers: `approval={…}`, `delay={…}`."""
    admin.execute(
        "UPDATE agent SET settings = settings || jsonb_build_object('answering', %s::jsonb) WHERE id = %s",
        (json.dumps(answering), access.agent_id),
    )
