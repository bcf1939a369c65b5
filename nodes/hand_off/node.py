"""Hand to a person: the conversation waits for a member, the agent is silent until it is given back."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.calls import PHONE, Transfer, Transferred, dialable, is_dial_string
from graph_runtime.contract.durations import DURATION_PATTERN, duration_seconds
from graph_runtime.contract.errors import ConnectorError
from graph_runtime.contract.messages import Reply, Spoken, Text
from graph_runtime.contract.nodes import AwaitReply, Detour, Leave, NodeContext, NodeSettings, NodeType, Port, setting
from graph_runtime.contract.people import HandOff, is_working_time, summary_request

_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
_LAST_DAY = {"workdays": 5, "six": 6, "all": 7}
_HISTORY = 40


class Settings(NodeSettings):
    """Who is asked for, what they are told, and what happens when nobody comes."""

    queue: str = setting("Queue", default="", widget="queue", help="Empty: everybody who answers clients sees it.")
    text: str = setting(
        "What the client is told", default="", widget="template", outside=True, max_length=2000,
        placeholder="I am passing you to a colleague. They will answer right here.",
    )  # fmt: skip
    summary_by: Literal["text", "model"] = setting(
        "The summary for the colleague is", default="text",
        options={"text": "Written here", "model": "Made by a model from the conversation"},
    )  # fmt: skip
    summary: str = setting(
        "Summary", default="", widget="template", max_length=2000, show_when={"summary_by": ["text"]},
        placeholder="{{ contact.name }} asks about order {{ var.order }}.",
    )  # fmt: skip
    connection: str = setting(
        "Model", default="", widget="connection", of="chat_model", show_when={"summary_by": ["model"]},
        help="When it does not answer, the colleague reads the conversation itself.",
    )  # fmt: skip
    priority: Literal["low", "normal", "high", "urgent"] = setting(
        "Priority", default="normal", options={"low": "Low", "normal": "Normal", "high": "High", "urgent": "Urgent"}
    )
    wait: str = setting(
        "Wait for a colleague", default="PT10M", widget="duration", pattern=DURATION_PATTERN,
        help="Then the conversation leaves by “Nobody came”. Empty: waits for ever.",
    )  # fmt: skip
    accepted_text: str = setting(
        "What the client is told when somebody takes it", default="", widget="template", outside=True, max_length=2000,
        placeholder="{operator} is here now.", help="“{operator}” becomes the name of the colleague.",
    )  # fmt: skip
    has_hours: bool = setting("People answer only at certain hours", default=False)
    days: Literal["workdays", "six", "all"] = setting(
        "Days", default="workdays", show_when={"has_hours": [True]},
        options={"workdays": "Monday to Friday", "six": "Monday to Saturday", "all": "Every day"},
    )  # fmt: skip
    opens_at: str = setting("From", default="09:00", pattern=_CLOCK, show_when={"has_hours": [True]})
    closes_at: str = setting("Until", default="18:00", pattern=_CLOCK, show_when={"has_hours": [True]})
    timezone: str = setting(
        "Time zone", default="UTC", max_length=60, show_when={"has_hours": [True]}, placeholder="Europe/Kyiv"
    )
    closed_text: str = setting(
        "What the client is told outside these hours", default="", widget="template", outside=True, max_length=2000,
        show_when={"has_hours": [True]}, placeholder="We answer on weekdays from 9 to 18. Leave your question here.",
    )  # fmt: skip
    return_by: Literal["holder", "queue", "nobody"] = setting(
        "Who may give it back to the agent", default="queue", advanced=True,
        options={"holder": "Only who has it", "queue": "Everybody of the queue", "nobody": "Nobody"},
    )  # fmt: skip
    ring_seconds: int = setting(
        "On a call: let it ring, seconds", default=30, ge=5, le=120, advanced=True,
        help="A call is transferred to the number of the queue.",
    )  # fmt: skip


def outputs(settings: Settings) -> tuple[Port, ...]:
    """What cannot happen with these settings may stay open."""
    return (
        Port("accepted", "Accepted", optional=True),
        Port("returned", "Given back", optional=settings.return_by == "nobody"),
        Port("timeout", "Nobody came", "no_reply", optional=not (settings.wait or settings.has_hours)),
    )


NODE = NodeType(
    type="hand_off", category="people", label="Hand to a person",
    summary="A colleague takes the conversation over and may give it back.",
    settings=Settings, outputs=outputs, waits="reply", latency="slow", story=("text", "summary"),
    step_outputs={
        "operator": "Who took it", "note": "Note of the colleague", "outcome": "Outcome they chose",
        "reason": "Why nobody came",
    },
)  # fmt: skip


@NODE.runs
async def ask(settings: Settings, ctx: NodeContext) -> AwaitReply | Leave:
    """Say it, and wait for a person; on a call, ring them."""
    hours = (settings.timezone, _LAST_DAY[settings.days], settings.opens_at, settings.closes_at)
    if settings.has_hours and not is_working_time(ctx.now(), *hours):
        return await _nobody(ctx, "closed", ctx.text("closed_text", settings.closed_text))
    queue = await ctx.queue(settings.queue)
    written = queue.number if queue is not None else ""
    number = written if is_dial_string(written) else dialable(written)
    if ctx.channel == PHONE and not number:
        return await _nobody(ctx, "no_number", "")
    if text := ctx.render(ctx.text("text", settings.text)).strip():
        await ctx.say(Text(text=text, spoken=Spoken(is_interruptible=False)))
    summary = await _summary(settings, ctx)
    if ctx.channel == PHONE:
        ring = Transfer(
            target=number, is_warm=bool(summary), summary=summary[:2000], ring_seconds=settings.ring_seconds
        )
        return AwaitReply(on_call=ring)
    about = {"summary": summary[:4000], "priority": settings.priority, "return_by": settings.return_by}
    wanted = about | {"queue_id": queue.id if queue is not None else ""}
    return AwaitReply(duration_seconds(settings.wait), person=HandOff.model_validate(wanted))


@NODE.replies
async def go_on(settings: Settings, ctx: NodeContext, reply: Reply | None) -> AwaitReply | Detour | Leave:
    """Somebody took it, gave it back, or nobody came."""
    if reply is not None and isinstance(reply.heard, Transferred):
        return Leave("accepted") if reply.heard.result == "answered" else await _nobody(ctx, reply.heard.result, "")
    if reply is None or (person := reply.person) is None:
        return await _nobody(ctx, "no_answer", "")
    ctx.output("operator", person.name)
    if person.event == "accepted":
        if text := ctx.render(ctx.text("accepted_text", settings.accepted_text)):
            await ctx.say(Text(text=text.replace("{operator}", person.name)))
        return Detour("accepted")
    ctx.output("note", person.note)
    ctx.output("outcome", person.outcome)
    return Leave("returned")


async def _nobody(ctx: NodeContext, reason: str, source: str) -> Leave:
    ctx.output("reason", reason)
    if text := ctx.render(source):
        await ctx.say(Text(text=text))
    return Leave("timeout")


async def _summary(settings: Settings, ctx: NodeContext) -> str:
    if settings.summary_by == "text" or not settings.connection:
        return ctx.render(ctx.text("summary", settings.summary)).strip()
    try:
        reply = await ctx.model(summary_request(ctx.history(_HISTORY), ctx.language), connection=settings.connection)
    except ConnectorError:
        return ""
    return reply.text.strip()
