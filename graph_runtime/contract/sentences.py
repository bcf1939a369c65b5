"""Cuts a text that is still being written into pieces that can be spoken, as early as they are sure."""

from __future__ import annotations

import re

LONGEST = 200
"""Characters of one piece; synthesis of more would come too late."""

COMMA_AFTER = 25
"""The first piece may end at a comma behind so many characters, so that speech begins sooner."""

_ABBREVIATIONS = {
    "en": "mr mrs ms dr prof st vs jr sr inc ltd co corp dept est approx etc e.g i.e a.m p.m u.s u.k tel ext min max",
    "ru": "г гг ул д кв корп стр руб коп тыс млн млрд др пр т.е т.к т.д т.п см им гр напр тел доб обл р т п н э н.э мин сек ч",
    "uk": "м вул буд кв просп грн коп тис млн млрд ім напр тел див обл р рр с ст т д п т.д т.п т.зв ін хв год дод",
}
ABBREVIATIONS = {language: frozenset(words.split()) for language, words in _ABBREVIATIONS.items()}
MAY_END = frozenset(
    [
        "etc",
        "p.m",
        "a.m",
        "u.s",
        "u.k",
        "т.д",
        "т.п",
        "т",
        "д",
        "п",
        "э",
        "н.э",
        "др",
        "руб",
        "коп",
        "грн",
        "ін",
        "г",
        "р",
        "рр",
        "гг",
    ]
)
"""Abbreviations that also end sentences: then a capital letter follows."""
BEFORE_NUMBERS = frozenset({"no", "nos", "fig", "vol", "p", "pp"})
"""Abbreviations only where a number follows."""

_END = re.compile(r"[.!?…]+[\"'»”’)\]]*\s|\n")
_COMMA = re.compile(r"[,;:—–][\"'»”’)\]]*\s")
_WORD_BEFORE = re.compile(r"[\w.]*$")


class SentenceSplitter:
    """Feed it the text in pieces of any size; joined, what comes out is what went in.

    Where it is cut does not depend on how the text arrived.
    """

    __slots__ = ("_abbreviations", "_is_first", "_text")

    def __init__(self, language: str = "en") -> None:
        main = language.partition("-")[0].lower()
        self._abbreviations = ABBREVIATIONS.get(main, frozenset()) | ABBREVIATIONS["en"]
        self._text = ""
        self._is_first = True

    def feed(self, text: str) -> list[str]:
        """The pieces that are sure by now, each at most 200 characters, with their spaces."""
        self._text += text
        pieces = []
        while (end := self._cut()) is not None:
            pieces.append(self._take(end))
        return pieces

    def finish(self) -> list[str]:
        """The rest; nothing more follows. The splitter is ready for the next text."""
        pieces = self.feed("")
        if self._text:
            pieces.append(self._take(len(self._text)))
        self._is_first = True
        return pieces

    def _take(self, end: int) -> str:
        piece, self._text = self._text[:end], self._text[end:]
        if piece.strip():
            self._is_first = False
        return piece

    def _cut(self) -> int | None:
        """Where the first piece ends, or None while that is not sure."""
        found = self._sentence_end()
        if found == 0:
            found = None
        if self._is_first:
            comma = _COMMA.search(self._text, COMMA_AFTER)
            if comma and (found is None or comma.end() < found) and not self._is_undecided_before(comma.start()):
                found = comma.end()
        if found is not None and found <= LONGEST:
            return found
        return self._forced() if len(self._text) > LONGEST else None

    def _sentence_end(self) -> int | None:
        for mark in _END.finditer(self._text):
            verdict = self._ends_sentence(mark)
            if verdict is None:
                return None
            if verdict:
                return mark.end()
        return None

    def _is_undecided_before(self, position: int) -> bool:
        """Whether a full stop before there might still turn out to be the end."""
        return any(self._ends_sentence(mark) is None for mark in _END.finditer(self._text, 0, position))

    def _ends_sentence(self, mark: re.Match[str]) -> bool | None:
        """None: it depends on a character that is not there yet."""
        if not self._text[: mark.start()].strip():
            return False  # punctuation alone is no piece of its own
        if not mark.group().startswith(".") or mark.group().startswith(".."):
            return True
        found = _WORD_BEFORE.search(self._text, 0, mark.start())
        word = found.group().lower() if found else ""
        if word.isdigit():
            return bool(self._text[: mark.start() - len(word)].strip())  # "1. " in front numbers a list
        if len(word) == 1 and word.isalpha() and self._text[mark.start() - 1].isupper():
            return False  # an initial
        follows = self._text[mark.end() :].lstrip()
        if word in BEFORE_NUMBERS:
            return not follows[0].isdigit() if follows else None
        if word not in self._abbreviations:
            return True
        if word not in MAY_END:
            return False
        return follows[0].isupper() if follows else None

    def _forced(self) -> int:
        """Too long without an end: at the last comma of the second half, else at the last space, else in a word."""
        commas = [m.end() for m in _COMMA.finditer(self._text, LONGEST // 2, LONGEST)]
        if commas:
            return commas[-1]
        space = max(self._text.rfind(" ", 0, LONGEST), self._text.rfind("\n", 0, LONGEST))
        return space + 1 if self._text[: space + 1].strip() else LONGEST
