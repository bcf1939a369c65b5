"""What a channel can show, as data, and the one function that makes a message fit it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from graph_runtime.contract.messages import Choices, Media, Option, Part, Text, source_lines


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Limits of one kind of channel. `max_text` and `max_button_label` in characters; `max_buttons` 0 means none.

    `sources`: it shows what an answer is based on by itself. `max_caption`: of a file; None: as a text. `is_utf16`: the
    vendor counts characters as JavaScript does, an emoji as two.
    """

    max_text: int
    max_buttons: int
    max_button_label: int
    markup: bool
    media: bool
    typing: bool
    send_class: Literal["keyed", "reconcile", "blind", "live"]
    max_caption: int | None = None
    is_utf16: bool = False
    sources: bool = False


WEB_CHAT = Capabilities(8000, 100, 200, True, True, True, "keyed", sources=True)
API = Capabilities(256_000, 1000, 1000, True, True, False, "keyed", sources=True)
WEBHOOK = API
TELEGRAM = Capabilities(4096, 100, 64, True, True, True, "blind", max_caption=1024, is_utf16=True)

_LINK = re.compile(r"\[([^\]\n]{1,300})\]\((https?://[^\s)]{1,2000})\)")
_EMPHASIS = re.compile(r"(\*\*|__|~~|`)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)


def degrade(parts: Sequence[Part], can: Capabilities) -> list[Part]:
    """The same message within a channel's limits: order kept, no word and no option lost.

    Long texts are cut between sentences, then words, never inside a letter; buttons the channel cannot show become
    a numbered list (an answer "2" is understood by `ask_choice`); markup becomes plain text.
    """
    return [piece for part in parts for piece in _fit(part, can)]


def _fit(part: Part, can: Capabilities) -> Iterator[Part]:
    if isinstance(part, Text):
        text, sources = part.text, part.sources
        if sources and not can.sources:
            text, sources = f"{text}\n\n{source_lines(sources)}", None
        *first, last = _pieces(_plain(text, can), can) or [""]
        yield from (Text(text=t) for t in first)
        if last:
            yield Text(text=last, wants=part.wants, sources=sources)
    elif isinstance(part, Media):
        yield from _fit_media(part, can)
    else:
        yield from _fit_choices(part, can)


def _fit_media(part: Media, can: Capabilities) -> Iterator[Part]:
    if not can.media:
        words = "\n".join(x for x in (part.caption, part.name, part.url) if x)
        yield from (Text(text=t) for t in _pieces(words, can))
    elif _length(part.caption, can) <= (can.max_text if can.max_caption is None else can.max_caption):
        yield part
    else:
        yield part.model_copy(update={"caption": ""})
        yield from (Text(text=t) for t in _pieces(_plain(part.caption, can), can))


def _fit_choices(part: Choices, can: Capabilities) -> Iterator[Part]:
    text = _plain(part.text, can)
    fits = len(part.options) <= can.max_buttons and all(
        _length(o.label, can) <= can.max_button_label for o in part.options
    )
    if not fits:
        yield from (Text(text=t) for t in _pieces(numbered(text, part.options), can))
        return
    pieces = _pieces(text, can)
    yield from (Text(text=t) for t in pieces[:-1])
    yield Choices(text=pieces[-1] if pieces else "", options=part.options)


def numbered(text: str, options: Sequence[Option]) -> str:
    """A question with its options as numbered lines."""
    lines = [f"{i}. {o.label}" for i, o in enumerate(options, 1)]
    return "\n".join([text, *lines] if text else lines)


def _plain(text: str, can: Capabilities) -> str:
    if can.markup:
        return text
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1: \2", text))


def _length(text: str, can: Capabilities) -> int:
    return utf16_length(text) if can.is_utf16 else len(text)


def _pieces(text: str, can: Capabilities) -> list[str]:
    return split_text(text, can.max_text, is_utf16=can.is_utf16)


def utf16_length(text: str) -> int:
    """Characters as JavaScript and Telegram count them: those beyond U+FFFF are two."""
    return len(text) + sum(c > "\uffff" for c in text)


def split_text(text: str, limit: int, *, is_utf16: bool = False) -> list[str]:
    """Pieces of at most `limit` characters that join back to the text but for the white space at the cuts."""
    pieces = []
    rest = text.strip()
    while (utf16_length(rest) if is_utf16 else len(rest)) > limit:
        cut = _cut(rest, _fitting(rest, limit) if is_utf16 else limit)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*pieces, rest] if rest else pieces


def _fitting(text: str, limit: int) -> int:
    """How many characters of the text take `limit` UTF-16 units."""
    taken = 0
    for place, character in enumerate(text):
        taken += 2 if character > "\uffff" else 1
        if taken > limit:
            return place
    return len(text)


def _cut(text: str, limit: int) -> int:
    window = text[: limit + 1]
    for pattern in (r"\n\s*\n", r"\n", r"(?<=[.!?…。])\s", r"\s"):
        last = None
        for match in re.finditer(pattern, window):
            if match.start() > limit // 3:
                last = match.start()
        if last is not None and last <= limit:
            return last
    cut = limit
    # Never between a letter and its accents, nor inside an emoji made of several signs.
    while cut > 1 and (unicodedata.combining(text[cut]) or text[cut] in "\u200d\ufe0f" or text[cut - 1] == "\u200d"):
        cut -= 1
    return cut
