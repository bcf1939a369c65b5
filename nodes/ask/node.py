"""Ask: put a question, read the answer as the kind that is wanted, ask again in other words when it does not fit."""

from __future__ import annotations

from typing import Any, Literal

from graph_runtime.contract.answers import AnswerKind, AnswerRules, Parsed, contact_today, read_answer
from graph_runtime.contract.calls import PHONE, listen_for
from graph_runtime.contract.catalog import translate
from graph_runtime.contract.durations import DURATION_PATTERN, duration_seconds
from graph_runtime.contract.messages import Choices, Option, Reply, Text
from graph_runtime.contract.nodes import AwaitReply, Leave, NodeContext, NodeSettings, NodeType, Port, setting

_AGAIN = {
    "text": "Please answer in words.", "number": "Please give a number, for example 1500.",
    "email": "That does not look like an e-mail address. It should be like name@example.com.",
    "phone": "That does not look like a phone number. Please give it with the country code, like +44 20 7946 0958.",
    "date": "I did not understand the date. Please give it like 25.12.2026 or “tomorrow”.",
    "file": "Please attach a file.",
    "rating": "Please choose a number from {{ lowest }} to {{ highest }}.",
    "yes_no": "Please answer yes or no.",
    "too_small": "This is too little. It should be {{ lowest }} or more.",
    "too_large": "This is too much. It should be {{ highest }} or less.",
    "too_long": "This is too long. Please make it shorter.",
    "too_early": "This date has passed. Please choose a later one.",
}  # fmt: skip
_SCALED: list[Any] = ["number", "rating"]


class Settings(NodeSettings):
    """The question and what counts as an answer."""

    text: str = setting(
        "Question", default="", widget="template", required=True, outside=True, max_length=8000,
        placeholder="What is your budget?",
    )  # fmt: skip
    kind: AnswerKind = setting(
        "The answer is", default="text",
        options={
            "text": "Text", "number": "A number", "email": "An e-mail address", "phone": "A phone number",
            "date": "A date", "file": "A file", "rating": "A rating", "yes_no": "Yes or no",
        },
        help="“50 тыс”, “tomorrow” or “4 out of 5” are understood too, in English, Russian and Ukrainian.",
    )  # fmt: skip
    save_to: str = setting("Save the answer to", default="", widget="save_to", on_ports=("answered",))
    minimum: float | None = setting("Smallest", default=None, show_when={"kind": _SCALED}, ge=-1e15, le=1e15)
    maximum: float | None = setting("Largest", default=None, show_when={"kind": _SCALED}, ge=-1e15, le=1e15)
    future_only: bool = setting("Past dates are refused", default=False, show_when={"kind": ["date"]})
    region: str = setting(
        "Country of numbers without a code", default="", show_when={"kind": ["phone"]}, placeholder="UA",
        help="Two letters. Empty: guessed from the language of the conversation.", pattern="^([A-Za-z]{2})?$",
    )  # fmt: skip
    retries: int = setting(
        "Ask again at most, times", default=2, ge=0, le=10, help="Then the conversation leaves by “Not understood”."
    )
    retry_texts: tuple[str, ...] = setting(
        "What to say when asking again", default=(), outside=True, max_length=10,
        placeholder="Just a number, please, for example 300.",
        help="The first text at the first repeat, and so on. Empty: a ready sentence that fits the kind of answer.",
    )  # fmt: skip
    again_text: str = setting(
        "Question when coming back", default="", widget="template", outside=True, max_length=8000, advanced=True,
        placeholder="Once more, please: what is your budget?", help="When a loop leads here again. Empty: the same.",
    )  # fmt: skip
    no_reply_after: str = setting(
        "Wait for an answer", default="", widget="duration", pattern=DURATION_PATTERN,
        help="Then the conversation leaves by “No reply”. Empty: waits for ever.",
    )  # fmt: skip
    max_length: int = setting(
        "Longest text, characters", default=4000, ge=1, le=20_000, advanced=True, show_when={"kind": ["text"]}
    )
    date_order: Literal["dmy", "mdy"] = setting(
        "03.04 means", default="dmy", advanced=True, show_when={"kind": ["date"]},
        options={"dmy": "3 April", "mdy": "March 4"},
    )  # fmt: skip


def outputs(settings: Settings) -> tuple[Port, ...]:
    """Exits that cannot happen with these settings may stay open."""
    return (
        Port("answered", "Answered"),
        Port("invalid", "Not understood", optional=settings.kind == "text"),
        Port("no_reply", "No reply", "no_reply", optional=not settings.no_reply_after),
    )


NODE = NodeType(
    type="ask", category="ask", label="Ask", summary="Asks a question and keeps the answer.", settings=Settings,
    outputs=outputs, waits="reply", story=("text",), step_outputs={"value": "Answer", "text": "Answer as it was written"},
)  # fmt: skip


@NODE.runs
async def ask(settings: Settings, ctx: NodeContext) -> AwaitReply | Leave:
    """Put the question; nobody can attach a file to a call."""
    if settings.kind == "file" and ctx.channel == PHONE:
        return Leave("invalid")
    again = ctx.text("again_text", settings.again_text) if ctx.memory.get("visited") else ""
    ctx.memory.update({"tries": 0, "visited": True})
    return await _say(settings, ctx, ctx.render(again or ctx.text("text", settings.text)))


@NODE.replies
async def take(settings: Settings, ctx: NodeContext, reply: Reply | None) -> AwaitReply | Leave:
    """Keep a good answer; ask again, or give up, after a bad one."""
    if reply is None:
        return Leave("no_reply")
    rules = AnswerRules(
        kind=settings.kind, today=contact_today(ctx.now(), ctx.resolve("contact.timezone")), language=ctx.language,
        region=settings.region, date_order=settings.date_order, is_future_only=settings.future_only,
        minimum=settings.minimum, maximum=settings.maximum, max_length=settings.max_length,
    )  # fmt: skip
    parsed = read_answer(reply, rules)
    ctx.output("text", reply.text)
    if not parsed.problem:
        ctx.output("value", parsed.value)
        if settings.save_to:
            ctx.set(settings.save_to, parsed.value)
        return Leave("answered")
    if (tries := int(ctx.memory.get("tries", 0))) >= settings.retries:
        return Leave("invalid")
    ctx.memory["tries"] = tries + 1
    return await _say(settings, ctx, _again(settings, ctx, parsed, tries))


def _scale(settings: Settings) -> tuple[int, int]:
    low, high = settings.minimum, settings.maximum
    return int(1 if low is None else low), int(5 if high is None else high)


def _again(settings: Settings, ctx: NodeContext, parsed: Parsed, tries: int) -> str:
    if settings.retry_texts:
        index = min(tries, len(settings.retry_texts) - 1)
        return ctx.render(ctx.text(f"retry_texts.{index}", settings.retry_texts[index]))
    key = settings.kind if parsed.problem in ("unreadable", "empty") else parsed.problem
    source = translate(NODE.texts, _AGAIN[key], ctx.language)
    low, high = _scale(settings) if settings.kind == "rating" else (settings.minimum, settings.maximum)
    limits = {name: "" if value is None else f"{value:.15g}" for name, value in (("lowest", low), ("highest", high))}
    return ctx.render(source, limits)


async def _say(settings: Settings, ctx: NodeContext, text: str) -> AwaitReply:
    options, (low, high) = list[Option](), _scale(settings)
    if settings.kind == "yes_no":
        options = [Option(id=i, label=translate(NODE.texts, i.capitalize(), ctx.language)) for i in ("yes", "no")]
    elif settings.kind == "rating" and 0 < high - low < 11:
        options = [Option(id=f"r_{n}", label=str(n)) for n in range(low, high + 1)]
    plain = Text(text=text, wants="phone" if settings.kind == "phone" else None)
    await ctx.say(Choices(text=text, options=tuple(options)) if options else plain)
    return AwaitReply(duration_seconds(settings.no_reply_after), on_call=listen_for(kind=settings.kind))
