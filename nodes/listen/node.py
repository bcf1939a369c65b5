"""Listen: wait for what the caller says or keys in, without putting a question."""

from __future__ import annotations

from typing import Any, Literal

from graph_runtime.contract.calls import PHONE, DigitMap, Digits, Listen, Speech
from graph_runtime.contract.messages import Reply
from graph_runtime.contract.nodes import AwaitReply, Leave, NodeContext, NodeSettings, NodeType, Port, setting

_SPEECH: list[Any] = ["speech", "both"]
_KEYS: list[Any] = ["digits", "both"]


class Settings(NodeSettings):
    """What is listened for and how long."""

    takes: Literal["speech", "digits", "both"] = setting(
        "Listen for", default="both", options={"speech": "Speech", "digits": "Keys", "both": "Speech and keys"}
    )
    save_to: str = setting("Save what was heard to", default="", widget="save_to", on_ports=("heard", "digits"))
    hints: tuple[str, ...] = setting(
        "Words to expect", default=(), outside=True, max_length=100, show_when={"takes": _SPEECH},
        placeholder="appointment", help="Names and terms that are easily misheard.",
    )  # fmt: skip
    is_closed: bool = setting(
        "Nothing else can be said", default=False, show_when={"takes": _SPEECH},
        help="Only the words above are recognised, which makes short menus reliable.",
    )  # fmt: skip
    most_keys: int = setting("Keys at most", default=1, ge=1, le=32, show_when={"takes": _KEYS})
    terminator: Literal["", "#", "*"] = setting(
        "The key that ends the entry", default="#", show_when={"takes": _KEYS},
        options={"": "None", "#": "Hash (#)", "*": "Star (*)"},
    )  # fmt: skip
    silence_seconds: float = setting(
        "Silence after, seconds", default=6, ge=0.5, le=120, help="Then the conversation leaves by “Silence”."
    )
    language: Literal["", "en", "ru", "uk"] = setting(
        "Language", default="", advanced=True, show_when={"takes": _SPEECH},
        options={"": "The conversation's", "en": "English", "ru": "Russian", "uk": "Ukrainian"},
        help="For this step alone. To change the conversation, use the step “Language”.",
    )  # fmt: skip
    longest_seconds: int = setting(
        "Longest speech, seconds", default=25, ge=1, le=120, advanced=True, show_when={"takes": _SPEECH}
    )
    endpoint_ms: int | None = setting(
        "Pause that ends a sentence, ms", default=None, ge=150, le=5000, advanced=True, show_when={"takes": _SPEECH},
        help="Empty: as the phone line is set up.",
    )  # fmt: skip
    min_speech_ms: int = setting(
        "Shorter sounds are noise, ms", default=200, ge=0, le=5000, advanced=True, show_when={"takes": _SPEECH},
        help="A cough lasts less. Lower it where a short “no” is missed.",
    )  # fmt: skip
    min_words: int = setting(
        "Words it takes to interrupt", default=0, ge=0, le=20, advanced=True, show_when={"takes": _SPEECH},
        help="While the agent still speaks. 0: a word, or half a second of voice. More suits a loud place.",
    )  # fmt: skip
    surest: float = setting(
        "Surely understood from", default=0, ge=0, le=1, advanced=True, show_when={"takes": _SPEECH},
        help="Between 0 and 1. What was recognised less surely leaves by “Not understood”.",
    )  # fmt: skip


def outputs(settings: Settings) -> tuple[Port, ...]:
    """One exit per kind of answer that can come."""
    return (
        *((Port("heard", "Heard"),) if settings.takes != "digits" else ()),
        *((Port("digits", "Keys"),) if settings.takes != "speech" else ()),
        Port("silence", "Silence", "no_reply"),
        Port("error", "Not understood", "error", optional=not settings.surest),
    )


NODE = NodeType(
    type="listen", category="phone", label="Listen", summary="Waits for what the caller says or keys in.",
    settings=Settings, outputs=outputs, waits="reply",
    step_outputs={"text": "What was heard", "confidence": "How surely (0 to 1)", "language": "Language that was spoken"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> AwaitReply:
    """Wait; a chat has no silence, so there it waits for the next message."""
    keys = DigitMap(most=settings.most_keys, terminator=settings.terminator)
    hints = tuple(ctx.render(ctx.text(f"hints.{i}", h)) for i, h in enumerate(settings.hints))
    return AwaitReply(
        on_call=Listen(
            languages=(settings.language,) if settings.language else (),
            hints=hints if settings.takes != "digits" else (),
            is_closed=settings.is_closed and bool(hints),
            takes_speech=settings.takes != "digits",
            digits=keys if settings.takes != "speech" else None,
            endpoint_ms=settings.endpoint_ms,
            no_input_ms=int(settings.silence_seconds * 1000),
            repeats=0,
            longest_ms=settings.longest_seconds * 1000,
            min_speech_ms=settings.min_speech_ms,
            min_words=settings.min_words,
        )
    )


@NODE.replies
async def heard(settings: Settings, ctx: NodeContext, reply: Reply | None) -> Leave:
    """Keep it and leave by its kind; what is written in a chat counts as said, and bare digits as keys."""
    if reply is None:
        return Leave("silence")
    text = reply.text.strip()
    speech = reply.heard if isinstance(reply.heard, Speech) else None
    sure = speech.confidence if speech and speech.confidence is not None else 1.0
    ctx.output("text", text)
    ctx.output("confidence", sure)
    ctx.output("language", reply.language)
    is_keys = isinstance(reply.heard, Digits) or (ctx.channel != PHONE and text.isdecimal())
    is_keys = (is_keys and settings.takes != "speech") or (settings.takes == "digits" and text.isdecimal())
    if not text or sure < settings.surest or (settings.takes == "digits" and not is_keys):
        return Leave("error")
    if settings.save_to:
        ctx.set(settings.save_to, text)
    return Leave("digits" if is_keys else "heard")
