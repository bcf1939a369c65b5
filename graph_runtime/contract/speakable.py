"""Written text as it is spoken: no markup, addresses or emoji; lists with pauses, numbers that a voice reads right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from graph_runtime.contract.messages import Option

_LONGEST_LINK: Final = 500
_PAUSES: Final = ".,:;!?…。"
_IMAGE_OR_LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\([^)\s]*\)")
_ADDRESS = re.compile(r"<?(?:https?://|www\.)([^\s/<>?#),]*[^\s/<>?#),.])[^\s<>)]*?(?=[.,!?;:]*(?:[\s<>)]|$))>?")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u2300-\u23ff\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+"
)
_MARKS = re.compile(r"(?<!\w)[*_~`]+(?=\S)|(?<=\S)[*_~`]+(?!\w)|```\w*")
_BEGIN_OF_LINE = re.compile(r"\s*(?:>\s*)*(?:#{1,6}\s+|[-*+•–—]\s+(?:\[[ xX]\]\s+)?)?")
_RULE = re.compile(r"\s*(?:[-*_=]{3,}|\|?[\s:|-]*-{2,}[\s:|-]*)\s*")
_ITEM = re.compile(r"(\d{1,2})[.)]\s+")
_PHONE = re.compile(r"(?<![\w+])\+\d[\d\u00a0 ()\u2011-]{6,20}\d(?!\w)")
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:[\u00a0\u202f ]\d{3})+(?!\d)")
_GROUPED_BY_COMMA = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_RANGE = re.compile(r"(?<=\d)[–—](?=\d)")
_NUMERIC_END = re.compile(r"(?:^|\s)[+(]?\d[\d().,\u2011-]*\s*$")
_WORDS: Final = {
    "en": {"plus": "plus", "to": " to ", "and": "and", "number": "number "},
    "ru": {"plus": "плюс", "to": " до ", "and": "и", "number": "номер "},
    "uk": {"plus": "плюс", "to": " до ", "and": "і", "number": "номер "},
}
_CHOICES: Final = {
    "en": "For {label}, press {number}.",
    "ru": "{label}: нажмите {number}.",
    "uk": "{label}: натисніть {number}.",
}


class SpeakableStream:
    """Turns a text that comes in pieces into pieces to speak; together they are `speakable` of the whole.

    Pieces are cut between words. What cannot be judged yet (half a link, half a number) is kept until it can.
    """

    def __init__(self, language: str = "en") -> None:
        self._words = _WORDS.get(language, _WORDS["en"])
        self._is_english = language not in ("ru", "uk")
        self._rest = ""
        self._begins_line = True
        self._last = ""
        """The last thing spoken; nothing yet when empty."""

    def feed(self, piece: str) -> str:
        """Take a piece; what can be spoken now, perhaps ""."""
        self._rest += piece
        cut = self._cut()
        ready, self._rest = self._rest[:cut], self._rest[cut:]
        return self._spoken(ready) if ready else ""

    def end(self) -> str:
        """The text is complete; what was kept."""
        ready, self._rest = self._rest, ""
        return self._spoken(ready).rstrip()

    def _cut(self) -> int:
        text = _IMAGE_OR_LINK.sub(lambda m: "x" * len(m[0]), self._rest)
        limit = len(text)
        opened = text.rfind("[")
        while opened >= 0:
            closed = text.find("]", opened)
            address = text.startswith("](", closed)
            is_open = closed < 0 or closed == len(text) - 1 or (address and text.find(")", closed) < 0)
            if is_open and "\n" not in text[opened:] and len(text) - opened < _LONGEST_LINK:
                limit = opened
            opened = text.rfind("[", 0, opened) if opened > 0 else -1
        line = text.rfind("\n") + 1
        if text[line:].lstrip().startswith("|") and (line or self._begins_line):
            limit = min(limit, line)  # a row of a table, read as a whole
        found = [m.end() for m in re.finditer(r"\s+", text[:limit])]
        if not found:
            return 0
        cut = found[-1]
        goes_on = text[cut : cut + 1] in ("", *"0123456789(-–—")
        numeric = _NUMERIC_END.search(text[:cut]) if goes_on else None
        while numeric and "\n" not in text[numeric.start() : cut].strip(" "):
            cut = numeric.start() + (text[numeric.start()].isspace() if cut else 0)
            numeric = _NUMERIC_END.search(text[:cut])
        return cut

    def _spoken(self, text: str) -> str:
        lines = text.split("\n")
        return "".join(self._line(line, ends=i < len(lines) - 1) for i, line in enumerate(lines))

    def _line(self, line: str, *, ends: bool) -> str:
        found = "" if self._begins_line and _RULE.fullmatch(line) else self._clean(line)
        if found.strip():
            self._begins_line = False
        if not self._last or self._last.isspace():
            found = found.lstrip()
        if found:
            self._last = found[-1]
        if ends:
            self._begins_line = True
            if self._last and not self._last.isspace():
                found += " " if self._last in _PAUSES else ". "
                self._last = " "
            elif self._last == " " and found.strip() and found.rstrip()[-1] not in _PAUSES:
                found = found.rstrip() + ". "
        return found

    def _clean(self, line: str) -> str:
        item = ""
        if self._begins_line:
            start = _BEGIN_OF_LINE.match(line)
            line = line[start.end() :] if start else line
            number = _ITEM.match(line)
            if number:
                item, line = f"{number[1]}: ", line[number.end() :]
        line = _IMAGE_OR_LINK.sub(r"\1", line)
        line = _ADDRESS.sub(lambda m: m[1].removeprefix("www."), line)
        line = _EMOJI.sub("", line)
        line = _MARKS.sub("", line)
        line = _PHONE.sub(self._phone, line)
        line = _GROUPED.sub(lambda m: re.sub(r"\D", "", m[0]), line)
        if self._is_english:
            line = _GROUPED_BY_COMMA.sub(lambda m: m[0].replace(",", ""), line)
        line = _RANGE.sub(self._words["to"], line)
        line = re.sub(r"№\s?", self._words["number"], line)
        line = re.sub(r"(?<!\S)&(?!\S)", self._words["and"], line)
        line = re.sub(r"\s*\|\s*", ", ", line.strip("|")) if "|" in line else line
        return item + re.sub(r"\s+", " ", re.sub(r"\s+(?=[,.!?;:](?:\s|$))", "", line))

    def _phone(self, found: re.Match[str]) -> str:
        groups = re.findall(r"\d+", found[0])
        return f"{self._words['plus']} " + ", ".join(" ".join(group) for group in groups)


def speakable(text: str, language: str = "en") -> str:
    """A whole text as it is spoken."""
    stream = SpeakableStream(language)
    return (stream.feed(text) + stream.end()).strip()


def spoken_choices(text: str, options: Sequence[Option], language: str = "en") -> str:
    """A question with its options as they are offered on a call: each with its key, while there are keys for them."""
    offer = _CHOICES.get(language, _CHOICES["en"])
    said = [speakable(text, language)] if text.strip() else []
    labels = [speakable(o.label, language) for o in options]
    if is_scale(labels):
        return _joined([*said, f"{labels[0]}{_WORDS.get(language, _WORDS['en'])['to']}{labels[-1]}."])
    return _joined([*said, *(offer.format(label=label, number=i) for i, label in enumerate(labels, 1))])


def is_scale(labels: Sequence[str]) -> bool:
    """Whether options are consecutive numbers, so that each is its own key."""
    first = int(labels[0]) if labels and labels[0].isdecimal() else None
    return first is not None and list(labels) == [str(first + i) for i in range(len(labels))]


def _joined(sentences: Sequence[str]) -> str:
    return " ".join(s if s[-1:] in _PAUSES else f"{s}." for s in sentences if s)
