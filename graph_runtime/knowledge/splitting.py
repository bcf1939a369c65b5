"""Markdown becomes passages: by headings, paragraphs, lists and tables; nothing is cut that can stay whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from graph_runtime.knowledge.words import token_estimate

TARGET_TOKENS: Final = 260
"""A passage is about a third of a page: one thought, with enough around it to be understood."""
MOST_TOKENS: Final = 420
_HEADING: Final = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")
_SENTENCE: Final = re.compile(r"(?<=[.!?…])\s+(?=[\"“«(A-ZА-ЯІЇЄҐ0-9])")
_PAGE: Final = re.compile(r"^\f(\d+)$")
DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Passage:
    """A searchable piece. `heading`: the way to it, "Delivery › Cities"; `page`: of a PDF, or the number of a slide."""

    text: str
    heading: str = ""
    page: int | None = None


@dataclass(slots=True)
class _Open:
    """The passage being filled."""

    heading: str = ""
    page: int | None = None
    blocks: list[str] = field(default_factory=list)
    tokens: int = 0


def split(markdown: str) -> Iterator[Passage]:
    """Passages in order. A line of a form feed and a number begins a page."""
    path: list[tuple[int, str]] = []
    page: int | None = None
    open_one = _Open()
    for block in _blocks(markdown):
        if (new_page := _PAGE.match(block)) is not None:
            page = int(new_page[1])
            continue
        if (heading := _HEADING.match(block)) is not None:
            level = len(heading[1])
            path = [(at, name) for at, name in path if at < level] + [(level, _bare(heading[2]))]
            yield from _closed(open_one)
            open_one = _Open(_way(path), page)
            continue
        for piece in _pieces(block):
            tokens = token_estimate(piece)
            if open_one.blocks and open_one.tokens + tokens > TARGET_TOKENS:
                yield from _closed(open_one)
                open_one = _Open(_way(path), page)
            if not open_one.blocks:
                open_one.page = page
                open_one.heading = _way(path)
            open_one.blocks.append(piece)
            open_one.tokens += tokens
    yield from _closed(open_one)


def _closed(one: _Open) -> Iterator[Passage]:
    text = "\n\n".join(one.blocks).strip()
    if text:
        yield Passage(text, one.heading, one.page)


def _way(path: list[tuple[int, str]]) -> str:
    return " › ".join(name for _, name in path[-DEEPEST:])[:300]


def _bare(heading: str) -> str:
    return re.sub(r"[*_`]", "", heading).strip()


def _blocks(markdown: str) -> Iterator[str]:
    """Headings, paragraphs, whole lists, whole tables, whole code."""
    lines: list[str] = []
    fence = ""
    for line in markdown.replace("\r\n", "\n").split("\n"):
        mark = _FENCE.match(line)
        if fence:
            lines.append(line)
            if mark and mark[1] == fence:
                fence = ""
            continue
        if mark:
            fence = mark[1]
            lines.append(line)
        elif _HEADING.match(line) or _PAGE.match(line):
            if lines:
                yield "\n".join(lines)
            yield line.rstrip()
            lines = []
        elif line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _pieces(block: str) -> Iterable[str]:
    """A block that is too long, cut where it hurts least; each piece of a table begins with the table's head."""
    if token_estimate(block) <= MOST_TOKENS:
        return (block,)
    lines = block.split("\n")
    if lines[0].startswith("|"):
        has_head = len(lines) > 2 and set(lines[1]) <= set("|-: ")
        head = lines[:2] if has_head else []
        return _packed(lines[len(head) :], "\n", "\n".join(head))
    if len(lines) > 1:
        return _packed(lines, "\n", "")
    return _packed(_SENTENCE.split(block), " ", "")


def _packed(parts: Iterable[str], joint: str, head: str) -> Iterator[str]:
    taken: list[str] = []
    tokens = start = token_estimate(head) if head else 0
    for part in (short for whole in parts for short in _short(whole)):
        more = token_estimate(part)
        if taken and tokens + more > TARGET_TOKENS:
            yield joint.join([head, *taken] if head else taken)
            taken, tokens = [], start
        taken.append(part)
        tokens += more
    if taken:
        yield joint.join([head, *taken] if head else taken)


def _short(part: str) -> Iterator[str]:
    """A part that alone is too long (no line breaks, no sentences) is cut between words, at worst inside one."""
    if token_estimate(part) <= MOST_TOKENS:
        yield part
        return
    if len(sentences := _SENTENCE.split(part)) > 1:
        for sentence in sentences:
            yield from _short(sentence)
        return
    step = 900
    while part:
        cut = len(part) if len(part) <= step else max(part.rfind(" ", step // 2, step), 0) or step
        yield part[:cut].strip()
        part = part[cut:].strip()
