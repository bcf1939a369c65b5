"""Start follow-ups: put the contact into a chain, whose steps then come at their own time."""

from __future__ import annotations

from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, setting


class Settings(NodeSettings):
    """Which chain."""

    chain_id: str = setting(
        "Chain", default="", widget="chain", required=True, max_length=60,
        help="Chains are drawn up under Follow-ups. It must be published and on.",
    )  # fmt: skip


NODE = NodeType(
    type="enroll_in_chain",
    category="time",
    label="Start follow-ups",
    summary="Puts the contact into a chain of follow-ups.",
    settings=Settings,
    story=("chain_id",),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Ask for the enrollment; it happens with the turn's commit."""
    if settings.chain_id:
        ctx.follow_up(settings.chain_id)
    return Leave()
