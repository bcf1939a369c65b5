"""Say: speak on a call, in words or with a recording; on other channels it is written."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.calls import PHONE, Listen
from graph_runtime.contract.messages import Media, Reply, Spoken, Text
from graph_runtime.contract.nodes import AwaitReply, Leave, NodeContext, NodeSettings, NodeType, Port, setting

_AT_ONCE = 500
"""Milliseconds of silence after the last word that count as having heard it to the end."""


class Settings(NodeSettings):
    """What is said, and how."""

    what: Literal["words", "recording"] = setting(
        "Said with", default="words", options={"words": "A voice", "recording": "A recording"}
    )
    text: str = setting(
        "Text", default="", widget="template", required=True, outside=True, max_length=8000,
        placeholder="Good morning, this is the clinic.",
        help="With a recording: its words, for the transcript and for other channels.",
    )  # fmt: skip
    recording_url: str = setting(
        "Address of the recording", default="", widget="line_template", required=True, max_length=2000,
        show_when={"what": ["recording"]}, placeholder="https://example.com/welcome.wav", help="A public https address.",
    )  # fmt: skip
    is_interruptible: bool = setting("The caller may interrupt it", default=True)
    waits_to_end: bool = setting(
        "The flow goes on when it was heard", default=False,
        help="Adds the exit “Interrupted”, by which the conversation leaves when the caller speaks meanwhile.",
        show_when={"is_interruptible": [True]},
    )  # fmt: skip
    voice: str = setting(
        "Voice",
        default="",
        max_length=100,
        advanced=True,
        help="A name that the speech service knows. Empty: the line's.",
    )
    language: Literal["", "en", "ru", "uk"] = setting(
        "Language", default="", advanced=True,
        options={"": "The conversation's", "en": "English", "ru": "Russian", "uk": "Ukrainian"},
        help="For this step alone. To change the conversation, use the step “Language”.",
    )  # fmt: skip
    rate: float = setting("Speed", default=1.0, ge=0.5, le=2.0, advanced=True)


def outputs(settings: Settings) -> tuple[Port, ...]:
    """It can only be noticed as interrupted when it waits."""
    waits = settings.waits_to_end and settings.is_interruptible
    return (Port("finished", "Finished"), *((Port("interrupted", "Interrupted"),) if waits else ()))


NODE = NodeType(
    type="say", category="phone", label="Say", summary="Speaks on a call; writes on other channels.", settings=Settings,
    outputs=outputs, waits="reply", at_once=("finished",), always_says="text", story=("text",), step_outputs={"text": "What the caller said meanwhile"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave | AwaitReply:
    """Speak or write it."""
    text = ctx.render(ctx.text("text", settings.text)).strip()
    spoken = Spoken(
        voice=settings.voice.strip(), language=settings.language, rate=settings.rate, is_interruptible=settings.is_interruptible,
        may_cache="{{" not in settings.text and "{%" not in settings.text,
    )  # fmt: skip
    url = ctx.render(settings.recording_url).strip()
    if settings.what == "recording" and ctx.channel == PHONE and url.startswith(("https://", "http://")):
        await ctx.say(Media(media="audio", url=url, caption=text, spoken=spoken))
    elif text:
        await ctx.say(Text(text=text, spoken=spoken))
    if settings.waits_to_end and settings.is_interruptible and ctx.channel == PHONE:
        return AwaitReply(on_call=Listen(no_input_ms=_AT_ONCE, repeats=0))
    return Leave("finished")


@NODE.replies
async def heard(_: Settings, ctx: NodeContext, reply: Reply | None) -> Leave:
    """Silence means that it was heard to the end."""
    ctx.output("text", reply.text if reply else "")
    return Leave("interrupted" if reply and (reply.text or reply.option_id) else "finished")
