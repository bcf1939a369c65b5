"""A process to be killed while what a member says is being stored.

Arguments: database address, workspace, member, conversation, client id. Run by test_hand_offs_killed.
"""

from __future__ import annotations

import asyncio
import sys

from graph_runtime.services.hand_offs import HandOffs
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.conversation_world import process


async def main(url: str, workspace_id: str, member_id: str, conversation_id: str, client_id: str) -> None:
    async with process(url) as side:
        anna = Principal(workspace_id, member_id, "operator", PERMISSIONS["operator"])
        print("ready", flush=True)
        await HandOffs(side).reply(anna, conversation_id, "I will see to it.", client_id=client_id)
        print("said", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
