"""Start: where a conversation comes in, and which ones this flow takes."""

from __future__ import annotations

from graph_runtime.contract.answers import words
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Settings(NodeSettings):
    """What comes in here."""

    takes_chats: bool = setting("Chats start here", default=True, help="The website chat and messengers.")
    takes_api: bool = setting("Conversations from the API start here", default=True)
    takes_calls: bool = setting("Phone calls start here", default=True)
    keywords: tuple[str, ...] = setting(
        "Only when the first message has one of these words",
        default=(),
        help="Leave empty to take every conversation. Everything else leaves by “Anything else”.",
        placeholder="price",
        advanced=True,
        max_length=50,
    )
    save_first_message_to: str = setting(
        "Save the first message to",
        default="",
        widget="save_to",
        help="People often write what they want before the first question. It is empty when they only opened the chat.",
        advanced=True,
    )


def outputs(settings: Settings) -> tuple[Port, ...]:
    """A second exit appears once something is turned away."""
    takes_all = settings.takes_chats and settings.takes_api and settings.takes_calls and not settings.keywords
    return (Port("next", "Next"),) if takes_all else (Port("next", "Next"), Port("other", "Anything else"))


NODE = NodeType(
    type="start",
    category="start",
    label="Start",
    summary="The conversation comes in here.",
    settings=Settings,
    outputs=outputs,
    entry=True,
    step_outputs={"text": "First message", "channel": "Channel"},
    story=("keywords",),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Let in what is wanted, send the rest to the other exit."""
    first = str(ctx.resolve("message.text") or "")
    ctx.output("text", first)
    ctx.output("channel", ctx.channel)
    if settings.save_first_message_to:
        ctx.set(settings.save_first_message_to, first)
    is_wanted = {"api": settings.takes_api, "phone": settings.takes_calls}.get(ctx.channel, settings.takes_chats)
    if is_wanted and settings.keywords:
        said = f" {' '.join(words(first))} "
        wanted = (" ".join(words(k)) for k in settings.keywords)
        is_wanted = any(k and f" {k} " in said for k in wanted)
    return Leave("next" if is_wanted else "other")
