"""Choice: offer options and go on by the one the contact means."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.answers import Choice, match_choice
from graph_runtime.contract.calls import listen_for
from graph_runtime.contract.catalog import translate
from graph_runtime.contract.durations import DURATION_PATTERN, duration_seconds
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.messages import Choices, Option, Reply
from graph_runtime.contract.nodes import AwaitReply, Leave, NodeContext, NodeSettings, NodeType, Port, setting

_AGAIN = "Please choose one of the options."
_RESERVED = frozenset({"other", "no_reply"})


class ChoiceOption(SettingsItem):
    """One button; its id is its exit."""

    id: str = setting("Id", default="", widget="id", pattern="^([a-z][a-z0-9_]{0,39})?$")
    label: str = setting(
        "Button", default="", widget="line_template", required=True, outside=True, max_length=200,
        placeholder="Delivery",
    )  # fmt: skip
    synonyms: tuple[str, ...] = setting(
        "Other words for it", default=(), outside=True, max_length=30, placeholder="shipping",
        help="What people write instead of pressing the button. Endings and small typing slips are understood anyway.",
    )  # fmt: skip


class Settings(NodeSettings):
    """The question and its options."""

    text: str = setting(
        "Question", default="", widget="template", required=True, outside=True, max_length=8000,
        placeholder="What is it about?",
    )  # fmt: skip
    options: tuple[ChoiceOption, ...] = setting(
        "Options", default=(), required=True, max_length=50,
        help="Buttons where the channel has them, otherwise a numbered list. Each option is an exit of this step.",
    )  # fmt: skip
    save_to: str = setting("Save the choice to", default="", widget="save_to", on_ports=("!no_reply",))
    retries: int = setting(
        "Ask again at most, times", default=1, ge=0, le=10,
        help="When the answer fits no option. Then the conversation leaves by “Something else”.",
    )  # fmt: skip
    retry_text: str = setting(
        "What to say when asking again", default="", widget="template", outside=True, max_length=8000,
        placeholder="Sorry, which one is it?",
    )  # fmt: skip
    no_reply_after: str = setting(
        "Wait for an answer", default="", widget="duration", pattern=DURATION_PATTERN,
        help="Then the conversation leaves by “No reply”. Empty: waits for ever.",
    )  # fmt: skip
    save_as: Literal["shown", "main", "id"] = setting(
        "What is saved", default="shown", advanced=True,
        options={
            "shown": "The button's words as the contact saw them",
            "main": "The button's words in the flow's main language",
            "id": "The option's permanent id",
        },
        help="Use the main language or the id when a report or a condition compares the value.",
    )  # fmt: skip


def _exits(settings: Settings) -> list[ChoiceOption]:
    """Options that can be exits: of several with one id the first."""
    found = {o.id: o for o in reversed(settings.options) if o.id and o.id not in _RESERVED}
    return [o for o in settings.options if found.get(o.id) is o]


def outputs(settings: Settings) -> tuple[Port, ...]:
    """One exit per option, by its id."""
    return (
        *(Port(o.id, o.label) for o in _exits(settings)),
        Port("other", "Something else"),
        Port("no_reply", "No reply", "no_reply", optional=not settings.no_reply_after),
    )


NODE = NodeType(
    type="ask_choice", category="ask", label="Choice", summary="Offers options and goes on by the chosen one.",
    settings=Settings, outputs=outputs, waits="reply",
    step_outputs={"id": "Option's id", "label": "Option's words", "text": "Answer as it was written"}, story=("text",),
)  # fmt: skip


@NODE.runs
async def ask(settings: Settings, ctx: NodeContext) -> AwaitReply:
    """Show the question with its options."""
    ctx.memory["tries"] = 0
    return await _offer(settings, ctx, ctx.text("text", settings.text))


@NODE.replies
async def choose(settings: Settings, ctx: NodeContext, reply: Reply | None) -> AwaitReply | Leave:
    """Leave by the option that is meant; ask again when none is."""
    if reply is None:
        return Leave("no_reply")
    exits = _exits(settings)
    ctx.output("text", reply.text)
    pressed = reply.option_id if any(o.id == reply.option_id for o in exits) else ""
    meant = pressed or match_choice(reply.text, [_choice(o, ctx) for o in exits])
    chosen = next((o for o in exits if o.id == meant), None)
    if chosen is not None:
        shown = _label(chosen, ctx)
        ctx.output("id", chosen.id)
        ctx.output("label", shown)
        _save(settings, ctx, {"shown": shown, "main": ctx.render(chosen.label), "id": chosen.id}[settings.save_as])
        return Leave(chosen.id)
    tries = int(ctx.memory.get("tries", 0))
    if tries >= settings.retries:
        _save(settings, ctx, reply.text.strip())
        return Leave("other")
    ctx.memory["tries"] = tries + 1
    again = ctx.text("retry_text", settings.retry_text) or translate(NODE.texts, _AGAIN, ctx.language)
    return await _offer(settings, ctx, again)


async def _offer(settings: Settings, ctx: NodeContext, text: str) -> AwaitReply:
    exits = _exits(settings)
    options = tuple(Option(id=o.id, label=_label(o, ctx)) for o in exits)
    await ctx.say(Choices(text=ctx.render(text), options=options))
    listen = listen_for([o.label for o in options])
    if listen is not None:
        others = [word for o in exits for word in _choice(o, ctx).synonyms]
        listen = listen.model_copy(update={"hints": tuple(dict.fromkeys((*listen.hints, *others)))})
    return AwaitReply(duration_seconds(settings.no_reply_after), on_call=listen)


def _label(option: ChoiceOption, ctx: NodeContext) -> str:
    return ctx.render(ctx.text(f"options.{option.id}.label", option.label))


def _choice(option: ChoiceOption, ctx: NodeContext) -> Choice:
    """The words of this language first, the author's own too: people mix languages."""
    translated = (ctx.text(f"options.{option.id}.synonyms.{i}", s) for i, s in enumerate(option.synonyms))
    return Choice(option.id, _label(option, ctx), (*translated, *option.synonyms, ctx.render(option.label)))


def _save(settings: Settings, ctx: NodeContext, value: str) -> None:
    if settings.save_to:
        ctx.set(settings.save_to, value)
