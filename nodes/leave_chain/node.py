"""Stop follow-ups: take the contact out of a chain, or of all of them."""

from __future__ import annotations

from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, setting


class Settings(NodeSettings):
    """Which chain; none means all."""

    chain_id: str = setting("Chain", default="", widget="chain", max_length=60, help="Without a choice: all chains.")


NODE = NodeType(
    type="leave_chain",
    category="time",
    label="Stop follow-ups",
    summary="Takes the contact out of follow-ups.",
    settings=Settings,
    story=("chain_id",),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Ask for it; it happens with the turn's commit."""
    ctx.follow_up(settings.chain_id, leaves=True)
    return Leave()
