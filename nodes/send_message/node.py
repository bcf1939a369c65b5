"""Message: say something, with a picture or file and quick replies, in one of several wordings."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.answering import MayBeApproved
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.messages import Choices, Media, Option, Part, Text
from graph_runtime.contract.nodes import Leave, NodeContext, NodeType, setting

_MEDIA = ["image", "document", "audio", "video"]


class Variant(SettingsItem):
    """Another text for one kind of channel."""

    id: str = setting("Id", default="", widget="id")
    channel: Literal["web_chat", "api", "phone"] = setting(
        "Channel", default="phone", options={"web_chat": "Website chat", "api": "API", "phone": "Phone call"}
    )
    text: str = setting("Text there", default="", widget="template", outside=True, max_length=8000)


class Settings(MayBeApproved):
    """What to say."""

    text: str = setting(
        "Text",
        default="",
        widget="template",
        required=True,
        outside=True,
        max_length=8000,
        placeholder="Good to see you, {{ contact.first_name }}. Your order is on its way.",
        help="**bold**, *italic*, [links](https://example.com) and lists are shown where the channel can.",
    )
    media: Literal["none", "image", "document", "audio", "video"] = setting(
        "Attach",
        default="none",
        options={
            "none": "Nothing", "image": "A picture", "document": "A document", "audio": "A sound", "video": "A video",
        },
    )  # fmt: skip
    media_url: str = setting(
        "Address of the file",
        default="",
        widget="line_template",
        required=True,
        show_when={"media": _MEDIA},
        max_length=2000,
        placeholder="https://example.com/price-list.pdf",
        help="A public https address.",
    )
    caption: str = setting(
        "Caption",
        default="",
        widget="line_template",
        outside=True,
        show_when={"media": _MEDIA},
        max_length=1000,
        placeholder="Price list for spring",
    )
    quick_replies: tuple[str, ...] = setting(
        "Quick replies",
        default=(),
        outside=True,
        max_length=20,
        placeholder="Tell me more",
        help="Buttons that answer for the contact. The next step that waits gets the words on the button.",
    )
    wordings: tuple[str, ...] = setting(
        "Other wordings",
        default=(),
        outside=True,
        advanced=True,
        max_length=20,
        placeholder="Glad you are back.",
        help="When the conversation comes here again, the next wording is used, so nobody reads the same text twice.",
    )
    typing_seconds: float = setting(
        "Show “typing” for, seconds",
        default=0,
        ge=0,
        le=10,
        advanced=True,
        help="A short pause makes several messages in a row easier to read.",
    )
    has_sources: bool = setting(
        "Sources of the last search are shown below", default=False, advanced=True,
        help="For a text that quotes what “Search knowledge” has just found.",
    )  # fmt: skip
    variants: tuple[Variant, ...] = setting(
        "Other text on a channel",
        default=(),
        advanced=True,
        max_length=10,
        help="For example a shorter text for a phone call.",
    )


NODE = NodeType(
    type="send_message",
    category="talk",
    label="Message",
    summary="Says something and goes on.",
    settings=Settings,
    step_outputs={"text": "Text that was said"},
    story=("text",),
)


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Say the wording whose turn it is."""
    text = ctx.render(_wording(settings, ctx)).strip()
    parts: list[Part] = []
    url = ctx.render(settings.media_url).strip()
    if settings.media != "none" and url.startswith(("https://", "http://")):
        caption = ctx.render(ctx.text("caption", settings.caption))
        parts.append(Media(media=settings.media, url=url, name=url.split("?")[0].rsplit("/", 1)[-1], caption=caption))
    replies = [ctx.text(f"quick_replies.{i}", r) for i, r in enumerate(settings.quick_replies)]
    options = tuple(Option(id=f"q_{i}", label=r) for i, r in enumerate(map(ctx.render, replies)) if r.strip())
    if options and text:
        parts.append(Choices(text=text, options=options))
    elif text:
        sources = ctx.sources() if settings.has_sources else ()
        parts.append(Text(text=text, typing_ms=int(settings.typing_seconds * 1000), sources=sources or None))
    if parts:
        await ctx.say(*parts)
    ctx.output("text", text)
    return Leave()


def _wording(settings: Settings, ctx: NodeContext) -> str:
    for i, row in enumerate(settings.variants):
        if row.channel == ctx.channel and row.text.strip():
            return ctx.text(f"variants.{row.id or i}.text", row.text)
    visit = int(ctx.memory.get("visits", 0))
    ctx.memory["visits"] = visit + 1
    others = [(i, w) for i, w in enumerate(settings.wordings) if w.strip()]
    turn = visit % (len(others) + 1)
    if turn == 0:
        return ctx.text("text", settings.text)
    index, wording = others[turn - 1]
    return ctx.text(f"wordings.{index}", wording)
