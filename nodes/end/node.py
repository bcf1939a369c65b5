"""End: the conversation, or the sub-flow, is over, with a result for the reports."""

from __future__ import annotations

from graph_runtime.contract.answers import read_number
from graph_runtime.contract.messages import Text
from graph_runtime.contract.nodes import EndConversation, NodeContext, NodeSettings, NodeType, setting


class Settings(NodeSettings):
    """Last words and the result."""

    text: str = setting(
        "Last words", default="", widget="template", outside=True, max_length=8000,
        placeholder="Thank you, {{ contact.first_name }}. Have a good day.",
    )  # fmt: skip
    result: str = setting(
        "Result", default="", max_length=60, placeholder="won",
        help="A word for reports and filters. In a sub-flow it names this exit.",
    )  # fmt: skip
    goal_value: str = setting(
        "Value", default="", widget="line_template", max_length=200, placeholder="{{ var.budget }}", advanced=True,
        help="A number, such as the sum of the order.",
    )  # fmt: skip
    tags: tuple[str, ...] = setting("Tags", default=(), max_length=20, placeholder="hot lead", advanced=True)


NODE = NodeType(
    type="end",
    category="start",
    label="End",
    summary="The conversation is over.",
    settings=Settings,
    outputs=(),
    ends=True,
    story=("text", "result"),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> EndConversation:
    """Say the last words and close."""
    text = ctx.render(ctx.text("text", settings.text)).strip()
    if text:
        await ctx.say(Text(text=text))
    return EndConversation(
        result=settings.result.strip(),
        goal_value=read_number(ctx.render(settings.goal_value), "en"),
        tags=tuple(t.strip() for t in settings.tags if t.strip()),
    )
