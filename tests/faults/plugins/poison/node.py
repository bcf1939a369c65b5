"""Poison: kills its process, blocks it, or fills its memory, as a defect in a step would."""

from __future__ import annotations

import os
import signal
import time

from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType

HANG_SECONDS = 45.0
BLOAT_BYTES = 100_000_000


class Settings(NodeSettings):
    """Nothing to choose: the contact's words decide."""


NODE = NodeType(
    type="poison", category="logic", label="Poison", summary="Ruins the process it runs in.", settings=Settings
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Die; or keep a huge value; or hold the whole event loop for longer than a lease lasts."""
    said = str(ctx.resolve("message.text"))
    if "bloat" in said:
        ctx.set("echo", "x" * BLOAT_BYTES)
        return Leave()
    if "hang" in said:
        time.sleep(HANG_SECONDS)  # noqa: ASYNC251  # that it blocks is the point
        return Leave()
    os.kill(os.getpid(), signal.SIGKILL)
    return Leave()
