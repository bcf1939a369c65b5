"""A process to be killed after the customer system took a deal in and before anything was committed.

Arguments: database address, workspace, agent, channel, external user, conversation.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from tests.conversation_world import process
from tests.integration.crm_world import CATALOG, outside


async def main(arguments: list[str]) -> None:
    url, workspace, agent, channel, external, conversation = arguments
    access = ChannelAccess(workspace, agent, channel, external)
    async with outside(url) as reach, process(url, reach, CATALOG) as side:
        finish = side.store.value

        async def hangs(statement: str, *values: Any) -> Any:
            if "finish_effect" in statement and "lead" in str(values):
                print("created", flush=True)
                await asyncio.Event().wait()
            return await finish(statement, *values)

        side.store.value = hangs  # type: ignore[method-assign]
        await side.conversations.receive(access, conversation, Reply(text="500"), dedupe_key="key")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
