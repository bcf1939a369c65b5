"""Hang up: last words, then the call and the conversation are over."""

from __future__ import annotations

from graph_runtime.contract.messages import Spoken, Text
from graph_runtime.contract.nodes import EndConversation, NodeContext, NodeSettings, NodeType, setting


class Settings(NodeSettings):
    """Last words and the reason."""

    text: str = setting(
        "Last words", default="", widget="template", outside=True, max_length=8000,
        placeholder="Thank you for calling. Goodbye.",
    )  # fmt: skip
    reason: str = setting(
        "Reason", default="", max_length=60, placeholder="answered",
        help="A word for reports and filters. In a sub-flow it names this exit.",
    )  # fmt: skip


NODE = NodeType(
    type="hang_up", category="phone", label="Hang up", summary="Says the last words and ends the call.",
    settings=Settings, outputs=(), ends=True, story=("text", "reason"),
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> EndConversation:
    """On other channels the conversation ends with the same words."""
    text = ctx.render(ctx.text("text", settings.text)).strip()
    if text:
        await ctx.say(Text(text=text, spoken=Spoken(is_interruptible=False)))
    return EndConversation(result=settings.reason.strip())
