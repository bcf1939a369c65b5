"""A process to be killed while somebody, or the time, decides about a message that waits.

Arguments: database address, workspace, member ("" the time decides), held message. Run by test_approvals_sent.
"""

from __future__ import annotations

import asyncio
import sys

from graph_runtime.services.approvals import Approvals
from graph_runtime.services.principal import PERMISSIONS, Principal
from tests.conversation_world import process


async def main(url: str, workspace_id: str, member_id: str, held_id: str) -> None:
    async with process(url) as side:
        approvals = Approvals(side)
        print("ready", flush=True)
        if member_id:
            who = Principal(workspace_id, member_id, "operator", PERMISSIONS["operator"])
            await approvals.decide(who, held_id, "edit", "Changed")
        else:
            await approvals.time_out()
        print("done", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
