"""Delay: wait for a while, until a moment, or for working hours, by the client's own clock."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from random import Random
from typing import Literal

from graph_runtime.contract.calls import LONGEST_HOLD_SECONDS, PHONE
from graph_runtime.contract.catalog import translate
from graph_runtime.contract.durations import DURATION_PATTERN, duration_seconds
from graph_runtime.contract.local_time import zone_by
from graph_runtime.contract.messages import Reply, Text
from graph_runtime.contract.moments import NoMoment, read_moment
from graph_runtime.contract.nodes import AwaitTime, Leave, NodeContext, NodeSettings, NodeType, Port, setting
from graph_runtime.contract.triggers import AWAITED, AWAITED_BY_NAME, Awaited
from graph_runtime.contract.working_hours import working_moment

HOLD = "One moment, please."
SPOKEN_FROM = timedelta(seconds=2)  # a shorter pause on a call needs no words


class Settings(NodeSettings):
    """How long, by whose clock, and what ends the wait early."""

    wait: Literal["for", "until", "working"] = setting(
        "Wait", default="for", options={"for": "For a while", "until": "Until a date and time", "working": "Until working hours"})  # fmt: skip
    duration: str = setting(
        "How long", default="PT1H", widget="duration", pattern=DURATION_PATTERN, required=True, show_when={"wait": ["for"]}
    )  # fmt: skip
    until: str = setting(
        "Date and time", default="", widget="line_template", max_length=500, show_when={"wait": ["until"]}, required=True,
        placeholder="{{ var.meeting }}", help="A variable, or a date such as 2026-12-25 18:30, 25.12.2026 or “tomorrow”.")  # fmt: skip
    at: str = setting(
        "Time of day when the date has none", default="09:00", pattern=r"^([01]?\d|2[0-3]):[0-5]\d$",
        show_when={"wait": ["until"]}, placeholder="09:00")  # fmt: skip
    shift: str = setting(
        "Earlier or later by", default="", widget="duration", pattern=DURATION_PATTERN, show_when={"wait": ["until"]},
        help="For a reminder an hour before a meeting. Empty: at the moment itself.")  # fmt: skip
    shift_side: Literal["before", "after"] = setting(
        "That much", default="before", options={"before": "Before it", "after": "After it"}, show_when={"wait": ["until"]})  # fmt: skip
    clock: Literal["contact", "workspace"] = setting(
        "By the clock of", default="contact", options={"contact": "The client", "workspace": "Our workspace"},
        help="The client's clock is that of their time zone, else of their phone's country, else ours.")  # fmt: skip
    is_in_working_hours: bool = setting(
        "Nights and days off are waited out", default=False, show_when={"wait": ["for", "until"]},
        help="Working hours and holidays are set under Settings.")  # fmt: skip
    is_cancelled_by_reply: bool = setting("A message from the client ends the wait", default=False)
    event: Awaited = setting(
        "What happens ends the wait", default="", options=AWAITED,
        help="Meanwhile, to the client. A trigger that fires may be a program’s request or another change in the CRM.")  # fmt: skip
    event_value: str = setting(
        "Only with this tag, result, name or stage", default="", max_length=200, widget="line_template",
        show_when={"event": [*AWAITED_BY_NAME]},
        help="The tag, the result of the conversation, the name of the trigger, or of the stage. Empty: any.")  # fmt: skip
    jitter: str = setting(
        "Longer at random by up to", default="", widget="duration", pattern=DURATION_PATTERN, advanced=True,
        help="So that a thousand clients are not written to in the same second.")  # fmt: skip
    on_call: Literal["hold", "pass"] = setting(
        "On a call", default="hold", advanced=True, help="A caller holds for at most two minutes.",
        options={"hold": "The caller holds the line", "pass": "The step is passed over"})  # fmt: skip
    hold_text: str = setting(
        "What is said on a call", default="", outside=True, max_length=500, advanced=True, placeholder=HOLD,
        show_when={"on_call": ["hold"]}, help="Empty: a ready sentence.")  # fmt: skip


def outputs(settings: Settings) -> tuple[Port, ...]:
    """Only a written date can be wrong, and only what is awaited can happen."""
    early = Port("cancelled", "Client wrote", optional=not settings.is_cancelled_by_reply)
    event = (Port("happened", "It happened"),) if settings.event else ()
    wrong = (Port("error", "No such date", "error"),) if settings.wait == "until" else ()
    return (Port("elapsed", "Time is up"), early, *event, *wrong)


def is_too_long_for_a_call(settings: Settings) -> bool:
    """Nobody holds the line for hours."""
    is_long = settings.wait != "for" or (duration_seconds(settings.duration) or 0) > LONGEST_HOLD_SECONDS
    return is_long and settings.on_call == "hold"


NODE = NodeType(
    type="delay", category="time", label="Delay", summary="Waits for a while, until a date, or for working hours.",
    settings=Settings, outputs=outputs, waits="time", story=("until", "duration"),
    step_outputs={"until": "When it goes on", "was_past": "The moment had passed already", "problem": "What was wrong", "event": "What happened"},
    is_too_long_for_a_call=is_too_long_for_a_call)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> AwaitTime | Leave:
    """A moment that has passed is not waited for. The random part is seeded: the same when the turn is repeated."""
    try:
        wanted = _wanted(settings, ctx)
        until = _awake(settings, ctx, wanted)
        if spread := duration_seconds(settings.jitter):
            until = _awake(settings, ctx, until + timedelta(seconds=Random(ctx.step_id).uniform(0, spread)))  # noqa: S311
    except (NoMoment, OverflowError) as error:
        ctx.output("problem", str(error))
        return Leave("error")
    ctx.output("until", until.isoformat())
    ctx.output("was_past", wanted < ctx.now())
    if until <= ctx.now() or (ctx.channel == PHONE and settings.on_call == "pass"):
        return Leave("elapsed")
    ctx.memory["until"] = until.isoformat()
    if ctx.channel == PHONE and until - ctx.now() >= SPOKEN_FROM:
        await ctx.say(Text(text=ctx.text("hold_text", settings.hold_text) or translate(NODE.texts, HOLD, ctx.language)))
    return AwaitTime(until, settings.event, ctx.render(settings.event_value))


@NODE.replies
async def hear(settings: Settings, ctx: NodeContext, reply: Reply | None) -> AwaitTime | Leave:
    """Whoever may not end the wait is not answered by it either."""
    until = datetime.fromisoformat(ctx.memory["until"])
    if settings.is_cancelled_by_reply and reply is not None:
        return Leave("cancelled")
    return AwaitTime(until, settings.event, ctx.render(settings.event_value))


@NODE.resumes
async def go_on(settings: Settings, ctx: NodeContext) -> AwaitTime | Leave:
    """Working hours may have changed meanwhile, or nobody was there to wake in time."""
    if ctx.happened:
        ctx.output("event", dict(ctx.happened))
        return Leave("happened")
    now = max(ctx.now(), datetime.fromisoformat(ctx.memory["until"]))  # in a test the wait may have been skipped
    until = _awake(settings, ctx, now)
    if until > now:
        ctx.memory["until"] = until.isoformat()
        return AwaitTime(until, settings.event, ctx.render(settings.event_value))
    return Leave("elapsed")


def _zone(settings: Settings, ctx: NodeContext) -> str:
    return zone_by(ctx.resolve, is_contacts=settings.clock == "contact")


def _wanted(settings: Settings, ctx: NodeContext) -> datetime:
    """When it should go on, as if nobody slept. Raises: NoMoment, OverflowError."""
    if settings.wait == "working":
        return ctx.now()
    if settings.wait == "for":
        return ctx.now() + timedelta(seconds=duration_seconds(settings.duration) or 0)
    at = time.fromisoformat(settings.at.zfill(5))
    moment = read_moment(ctx.render(settings.until), ctx.now(), _zone(settings, ctx), at)
    shift = timedelta(seconds=duration_seconds(settings.shift) or 0)
    return moment - shift if settings.shift_side == "before" else moment + shift


def _awake(settings: Settings, ctx: NodeContext, moment: datetime) -> datetime:
    is_kept = settings.wait == "working" or settings.is_in_working_hours
    return working_moment(moment, ctx.resolve, _zone(settings, ctx)) if is_kept else moment
