"""Conversations that people take over: a process with hand-offs, members of a workspace, and a flow that asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import psycopg

from graph_runtime.contract.catalog import Catalog
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.hand_offs import HandOffs
from graph_runtime.services.principal import PERMISSIONS, Principal, Role
from graph_runtime.services.queues import Queues
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.database import Database
from nodes.hand_off.node import NODE as HAND_OFF
from tests.conversation_world import Process
from tests.engine.small_nodes import CATALOG, flow

WITH_PEOPLE = Catalog(MappingProxyType({**CATALOG.nodes, HAND_OFF.type: HAND_OFF}))
HELP = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "What is it?", "save_to": "x"}),
        "h": ("hand_off", {"text": "One moment.", "summary": "About {{ var.x }}", "wait": "PT60S", "priority": "high",
                           "accepted_text": "{operator} is here."}),
        "m": ("set", {"name": "was", "value": "accepted by {{ step.h.operator }}"}),
        "r": ("say", {"text": "Back: {{ step.h.note }} / {{ step.h.outcome }} / {{ var.was }}"}),
        "t": ("say", {"text": "Nobody came: {{ step.h.reason }}"}),
        "n": ("ask", {"text": "Anything else?", "save_to": "y"}),
        "a": ("say", {"text": "Heard {{ var.y }}"}),
    },
    {
        "s.next": "q", "q.answered": "h", "h.accepted": "m", "h.returned": "r", "h.timeout": "t", "r.next": "n",
        "t.next": "n", "n.answered": "a", "a.next": "n",
    },
)  # fmt: skip
"""Asks, hands over, and goes on asking when it has the conversation back."""


class PeopleProcess(Process):
    """A process whose members answer."""

    def __init__(self, database: Database, outside: Outside | None = None) -> None:
        super().__init__(database, WITH_PEOPLE, outside or Outside())
        self.hand_offs = HandOffs(self)
        self.queues = Queues(database)

    async def quiet(self) -> None:
        """Until nothing runs and nothing has just been begun."""
        for _ in range(3):
            await self.settle()
            await asyncio.sleep(0)


@asynccontextmanager
async def people_process(url: str, outside: Outside | None = None) -> AsyncIterator[PeopleProcess]:
    database = Database(url)
    await database.open()
    side = PeopleProcess(database, outside)
    try:
        await side.open()
        yield side
    finally:
        await side.close(1.0)
        await database.close()


def add_member(
    admin: psycopg.Connection[Any], access: ChannelAccess, name: str, role: Role = "operator", password_hash: str = "-"
) -> Principal:
    """A member of the workspace, signed in."""
    row = admin.execute(
        "INSERT INTO member (workspace_id, email, name, role, password_hash) VALUES (%s, %s, %s, %s, %s) RETURNING id::text",
        (access.workspace_id, f"{name.lower()}@{access.workspace_id[-8:]}.test", name, role, password_hash),
    ).fetchone()
    assert row is not None
    return Principal(access.workspace_id, row[0], role, PERMISSIONS[role])
