"""A whole conversation service on a real database, as one process has it; several may share the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.conversation_side import ConversationSide, Part
from graph_runtime.services.conversations import Accepted
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.database import Database
from tests.engine.small_nodes import CATALOG


class Process(ConversationSide):
    """The services of one process, and short ways to use them."""

    async def settle(self) -> None:
        """Until no turn of this process runs."""
        while self.runner.running:
            await asyncio.wait(self.runner.running)
            # A finished task is taken off the list by a callback, which needs a turn of the loop.
            await asyncio.sleep(0)

    async def begin(self, access: ChannelAccess, **more: Any) -> str:
        """Start a conversation; returns when the first turn is committed."""
        conversation_id = await self.conversations.start(access, dedupe_key=uuid4().hex, **more)
        await self.settle()
        return conversation_id

    async def say(self, access: ChannelAccess, conversation_id: str, text: str, key: str | None = None) -> Accepted:
        """The contact writes; returns when the answer is committed."""
        reply = Reply(text=text)
        accepted = await self.conversations.receive(access, conversation_id, reply, dedupe_key=key or uuid4().hex)
        await self.settle()
        return accepted

    async def run_all(self, access: ChannelAccess, conversation_id: str) -> None:
        """Run what waits, here."""
        await self.settle()
        await self.runner.run_pending(access.workspace_id, conversation_id)

    async def texts(self, access: ChannelAccess, conversation_id: str) -> list[str]:
        """All that was said, in order; the contact's with "> "."""
        transcript = await self.conversations.transcript(access, conversation_id, limit=1000)
        return [("> " if m["role"] == "contact" else "") + m["text"] for m in transcript.messages]


@asynccontextmanager
async def process(
    url: str, outside: Outside | None = None, catalog: Catalog = CATALOG, part: Part | None = None
) -> AsyncIterator[Process]:
    """Start the services of one process and stop them."""
    database = Database(url)
    await database.open()
    side = Process(database, catalog, outside or Outside(), part)
    try:
        await side.open()
        yield side
    finally:
        await side.close(1.0)
        await database.close()


def publish(
    admin_url: str,
    document: Flow,
    bundle: dict[str, Flow] | None = None,
    *,
    kind: str = "web_chat",
    is_on: bool = True,
    is_live: bool = True,
) -> ChannelAccess:
    """A fresh workspace with an agent that runs this flow; access for one contact."""
    with psycopg.connect(admin_url) as connection:

        def insert(table: str, **values: Any) -> str:
            columns, places = ", ".join(values), ", ".join(["%s"] * len(values))
            row = connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING id::text",
                [json.dumps(v) if isinstance(v, dict) else v for v in values.values()],
            ).fetchone()
            assert row is not None
            return str(row[0])

        workspace = insert("workspace", name="Test")
        agent = insert("agent", workspace_id=workspace, name="Agent", is_on=is_on, language="en", public_id=uuid4().hex)
        flow = insert("flow", workspace_id=workspace, agent_id=agent, name="Main", kind="main", document={})
        flows = {k: v.to_json() for k, v in (bundle or {}).items()}
        version = insert(
            "version", workspace_id=workspace, flow_id=flow, number=1, document=document.to_json(), bundle=flows,
            content_hash=document.content_hash(),
        )  # fmt: skip
        channel = insert("channel", workspace_id=workspace, agent_id=agent, connector=kind, public_id=uuid4().hex)
        if is_live:
            connection.execute("UPDATE flow SET live_version_id = %s WHERE id = %s", (version, flow))
        connection.execute("UPDATE agent SET main_flow_id = %s WHERE id = %s", (flow, agent))
    return ChannelAccess(workspace, agent, channel, f"visitor:{uuid4()}", kind)
