"""Record: take a voice message from the caller; in a chat, a sound file or a text."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.calls import Record, Recorded
from graph_runtime.contract.messages import Reply, Spoken, Text
from graph_runtime.contract.nodes import AwaitReply, Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Settings(NodeSettings):
    """What is said before, and where the recording ends."""

    text: str = setting(
        "What to say before it", default="", widget="template", outside=True, max_length=8000,
        placeholder="Please leave a message after the tone.",
    )  # fmt: skip
    save_to: str = setting(
        "Save the words to", default="", widget="save_to", on_ports=("recorded",),
        help="The transcript of the message. The sound itself is in the conversation.",
    )  # fmt: skip
    longest_seconds: int = setting("Longest message, seconds", default=120, ge=1, le=1200)
    silence_seconds: float = setting("It ends after a silence of, seconds", default=3, ge=0.5, le=60)
    stops_on: Literal["", "#", "*"] = setting(
        "The key that ends it", default="#", options={"": "None", "#": "Hash (#)", "*": "Star (*)"}
    )
    has_beep: bool = setting("A tone sounds before it", default=True)
    is_transcribed: bool = setting("The message is also written down", default=True, advanced=True)


NODE = NodeType(
    type="record", category="phone", label="Record", summary="Takes a voice message.", settings=Settings,
    outputs=(Port("recorded", "Recorded"), Port("silence", "Silence", "no_reply")), waits="reply", story=("text",),
    step_outputs={"file": "Id of the sound file", "seconds": "Length, seconds", "text": "Words of the message"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> AwaitReply:
    """Say what is to be said, then record."""
    text = ctx.render(ctx.text("text", settings.text)).strip()
    if text:
        await ctx.say(Text(text=text, spoken=Spoken(is_interruptible=False)))
    return AwaitReply(
        on_call=Record(
            longest_ms=settings.longest_seconds * 1000, silence_ms=int(settings.silence_seconds * 1000),
            stops_on=settings.stops_on, has_beep=settings.has_beep, is_transcribed=settings.is_transcribed,
        )
    )  # fmt: skip


@NODE.replies
async def recorded(settings: Settings, ctx: NodeContext, reply: Reply | None) -> Leave:
    """A message that is empty is a silence."""
    if reply is None or not (reply.attachments or reply.text.strip()):
        return Leave("silence")
    text = reply.text.strip()
    ctx.output("file", reply.attachments[0].file_id if reply.attachments else "")
    ctx.output("seconds", round(reply.heard.duration_ms / 1000, 1) if isinstance(reply.heard, Recorded) else 0)
    ctx.output("text", text)
    if settings.save_to:
        ctx.set(settings.save_to, text)
    return Leave("recorded")
