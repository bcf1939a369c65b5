"""Prompt: let a model answer the contact, fill variables, or both; with a fall-back for every failure."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.answering import MayBeApproved
from graph_runtime.contract.answers import contact_today
from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.errors import BadAnswer, ConnectorError
from graph_runtime.contract.messages import Text
from graph_runtime.contract.models import ModelMessage, ModelReply, ModelRequest
from graph_runtime.contract.nodes import Leave, NodeContext, NodeType, Port, setting
from graph_runtime.contract.outside_words import failure
from graph_runtime.contract.structure import TypedField, field_hints, fit, object_schema

_LANGUAGES = {"en": "English", "ru": "Russian", "uk": "Ukrainian"}
_REPLY = {"reply": {"type": "string", "description": "What to say to the contact"}}


class Settings(MayBeApproved):
    """What to ask of the model and what to do with its answer."""

    connection: str = setting("Model", default="llm", widget="connection", of="chat_model", required=True)
    system: str = setting(
        "Instructions", default="", widget="template", required=True, max_length=20_000,
        placeholder="You help customers of a flower shop. Answer in two sentences. Prices: …",
        help="Who the model is, what it knows, what it must not do.",
    )  # fmt: skip
    user: str = setting(
        "What to answer", default="", widget="template", max_length=20_000,
        placeholder="Summarise the request: {{ var.request }}", help="Empty: the contact's last message.",
    )  # fmt: skip
    mode: Literal["say", "save", "both"] = setting(
        "The answer is", default="say",
        options={"say": "Said to the contact", "save": "Saved to a variable", "both": "Said and saved"},
    )  # fmt: skip
    save_to: str = setting(
        "Save the answer to", default="", widget="save_to", on_ports=("next",), show_when={"mode": ["save", "both"]}
    )
    fields: tuple[TypedField, ...] = setting(
        "Fields to fill in", default=(), max_length=30,
        help="The model also returns these values, each checked against its type.")  # fmt: skip
    history: int = setting(
        "Earlier messages the model sees", default=10, ge=0, le=100, help="0: only this one. More cost more."
    )
    fallback_text: str = setting(
        "What to say when no model answers", default="", widget="template", outside=True, max_length=8000,
        placeholder="I cannot look this up right now. A colleague will write to you within the hour.",
        help="With a text the conversation goes on by “Next”. Without one it leaves by “Error”.")  # fmt: skip
    fallback_connection: str = setting(
        "Second model", default="", widget="connection", of="chat_model", advanced=True, help="Asked when the first one fails."
    )  # fmt: skip
    has_filler: bool = setting("On a call, a word bridges the wait", default=True, advanced=True)
    filler: str = setting(
        "Words for the wait", default="", widget="template", outside=True, max_length=200, advanced=True,
        show_when={"has_filler": [True]}, placeholder="One second.", help="Said when the answer takes over 0.7 seconds.",
    )  # fmt: skip
    has_sources: bool = setting(
        "Sources are shown under the answer", default=False, advanced=True, show_when={"mode": ["say", "both"]},
        help="Those that the answer names by their numbers, such as [1]. An answer that names none is kept as unanswered.")  # fmt: skip
    in_contact_language: bool = setting("The answer is in the contact's language", default=True, advanced=True)
    temperature: float | None = setting(
        "Temperature", default=None, ge=0, le=2, advanced=True, help="0 is steady, 1 is lively. Empty: the model's own."
    )
    max_tokens: int | None = setting("Longest answer, tokens", default=1000, ge=1, le=100_000, advanced=True)
    seconds: float = setting("Give up after, seconds", default=60, ge=1, le=300, advanced=True)
    max_cost: float | None = setting(
        "Spend at most per conversation, US dollars", default=None, ge=0, le=1000, advanced=True,
        help="Counts this step only. Beyond it the step acts as if no model answered.")  # fmt: skip


def outputs(settings: Settings) -> tuple[Port, ...]:
    """With a fall-back text nothing leaves by the error exit."""
    return (Port("next", "Next"), Port("error", "Error", "error", optional=bool(settings.fallback_text.strip())))


NODE = NodeType(
    type="prompt", category="ai", label="Prompt", summary="A model answers the contact or fills variables.",
    settings=Settings, outputs=outputs, effect="idempotent", latency="slow", says_model_text=True, silent_when_off="has_filler", story=("user", "system"),
    step_outputs={"text": "Answer", "model": "Model that answered", "error": "What went wrong"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Ask, say, save; fall back when no model answers."""
    try:
        text, is_quoting = await _ask(settings, ctx), settings.has_sources and ctx.channel != PHONE
    except ConnectorError as e:
        ctx.output("error", e.message)
        text = ctx.render(ctx.text("fallback_text", settings.fallback_text)).strip()
        if not text:
            return Leave("error")
        is_quoting = False
    if settings.mode != "save" and text:
        await ctx.say(Text(text=text, sources=(ctx.sources(text) if is_quoting else None) or None))
    if settings.mode != "say" and settings.save_to:
        ctx.set(settings.save_to, text)
    ctx.output("text", text)
    return Leave()


async def _ask(settings: Settings, ctx: NodeContext) -> str:
    """The model's words; "" when it only filled fields. Raises: ConnectorError."""
    spent = float(ctx.memory.get("spent", 0))
    if settings.max_cost is not None and spent >= settings.max_cost:
        raise ConnectorError("This step has spent its limit in this conversation. Raise the limit in its settings.")
    ctx.bridge(ctx.render(ctx.text("filler", settings.filler)).strip() if settings.has_filler else None)
    is_said = settings.mode != "save" and not settings.fields
    reply = await ctx.model(
        _request(settings, ctx), connection=settings.connection, fallback=settings.fallback_connection, stream=is_said
    )
    ctx.memory["spent"] = spent + (reply.usage.cost_microusd or 0) / 1_000_000
    ctx.output("model", reply.model)
    text = _fill(settings, ctx, reply) if settings.fields else reply.text.strip()
    if not text and not (settings.fields and settings.mode == "save"):
        raise failure(ConnectorError, "no_words")
    return text


def _fill(settings: Settings, ctx: NodeContext, reply: ModelReply) -> str:
    if reply.data is None:
        raise failure(BadAnswer, "no_fields")
    today = contact_today(ctx.now(), ctx.resolve("contact.time_zone"))
    for row in settings.fields:
        value = fit(reply.data.get(row.name), row, language=ctx.language, today=today)
        if row.save_to:
            ctx.set(row.save_to, value)
    return str(reply.data.get("reply") or "").strip()


def _request(settings: Settings, ctx: NodeContext) -> ModelRequest:
    system = ctx.render(ctx.text("system", settings.system))
    if settings.in_contact_language:
        system += f"\n\nAnswer in {_LANGUAGES.get(ctx.language, ctx.language)}."
    if ctx.channel == PHONE and settings.mode != "save":
        system += "\n\nYou are on the phone: answer in one or two short sentences, without lists, links, markup and numbers in brackets."
    lines = list(ctx.history(settings.history))
    user = ctx.render(settings.user).strip() or str(ctx.resolve("message.text") or "")
    if lines and lines[-1].role == "contact":
        lines.pop()
    messages = [ModelMessage("user" if m.role == "contact" else "assistant", m.text) for m in lines if m.text]
    wants_words = settings.mode != "save" or bool(settings.save_to)
    return ModelRequest(
        messages=(ModelMessage("system", system), *messages, ModelMessage("user", user or "…")),
        schema=object_schema(settings.fields, _REPLY if wants_words else None) if settings.fields else None,
        temperature=settings.temperature, max_tokens=settings.max_tokens, seconds=settings.seconds,
        may_be_early=settings.max_cost is None, hints={"text": user, "fields": field_hints(settings.fields)}, language=ctx.language,
    )  # fmt: skip
