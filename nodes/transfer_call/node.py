"""Transfer: connect the caller to a person or another number, and go on by how that ended."""

from __future__ import annotations

from graph_runtime.contract.calls import PHONE, Transfer, Transferred, dialable, is_dial_string
from graph_runtime.contract.messages import Reply, Spoken, Text
from graph_runtime.contract.nodes import AwaitReply, Leave, NodeContext, NodeSettings, NodeType, Port, setting

_EXITS = {"answered": "answered", "busy": "busy", "no_answer": "no_answer", "declined": "no_answer", "failed": "error"}


class Settings(NodeSettings):
    """Whom to ring, how long, and what is said meanwhile."""

    target: str = setting(
        "Number or extension", default="", widget="line_template", required=True, max_length=200,
        placeholder="+49 30 1234567",
        help="Dialed as the phone line says. A dial string such as PJSIP/desk is dialed as it is, if written out here.",
    )  # fmt: skip
    text: str = setting(
        "What to say before it rings", default="", widget="template", outside=True, max_length=2000,
        placeholder="One moment, I am connecting you.",
    )  # fmt: skip
    is_warm: bool = setting(
        "The colleague is asked first", default=False,
        help="They hear what it is about, then take the call with 1 or decline it with 2.",
    )  # fmt: skip
    summary: str = setting(
        "What the colleague hears", default="", widget="template", max_length=2000,
        placeholder="{{ contact.name }} asks about an invoice.",
    )  # fmt: skip
    ring_seconds: int = setting("Let it ring, seconds", default=20, ge=5, le=120)


NODE = NodeType(
    type="transfer_call", category="phone", label="Transfer", summary="Connects the caller to a person.",
    settings=Settings, waits="reply", effect="irreversible", latency="slow", story=("target",),
    outputs=(
        Port("answered", "Answered"), Port("busy", "Busy"), Port("no_answer", "No answer", "no_reply"),
        Port("error", "Cannot be dialed", "error"),
    ),
    step_outputs={"result": "How it ended", "target": "Number that was dialed"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> AwaitReply | Leave:
    """Announce it and move the call; what is no phone call cannot be moved and leaves by “No answer”."""
    if ctx.channel != PHONE:
        ctx.output("result", "not_a_call")
        return Leave("no_answer")
    written = settings.target.strip()
    # Only an author may name a technology: what a caller or a model fills in is a number and nothing else.
    target = written if is_dial_string(written) else dialable(ctx.render(written).strip())
    ctx.output("target", target)
    if not target:
        ctx.output("result", "failed")
        return Leave("error")
    text = ctx.render(ctx.text("text", settings.text)).strip()
    if text:
        await ctx.say(Text(text=text, spoken=Spoken(is_interruptible=False)))
    summary = ctx.render(ctx.text("summary", settings.summary)).strip() if settings.is_warm else ""
    transfer = Transfer(target=target, is_warm=settings.is_warm, summary=summary, ring_seconds=settings.ring_seconds)
    return AwaitReply(on_call=transfer)


@NODE.replies
async def moved(_: Settings, ctx: NodeContext, reply: Reply | None) -> Leave:
    """Go on by how it ended; a colleague who declines has not answered."""
    result = reply.heard.result if reply is not None and isinstance(reply.heard, Transferred) else "no_answer"
    ctx.output("result", result)
    return Leave(_EXITS[result])
