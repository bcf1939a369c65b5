"""A web page as Markdown: what is read, without what surrounds it; links found on the way."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

_DROPPED: Final = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "nav",
        "footer",
        "aside",
        "form",
        "iframe",
        "button",
        "select",
        "dialog",
        "object",
        "canvas",
    ]
)
_BLOCKS: Final = frozenset(
    [
        "p",
        "div",
        "section",
        "article",
        "main",
        "ul",
        "ol",
        "table",
        "pre",
        "blockquote",
        "dl",
        "dd",
        "dt",
        "figure",
        "figcaption",
        "header",
    ]
)
_VOID: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_HEADINGS: Final = {f"h{n}": n for n in range(1, 7)}
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def html_to_markdown(text: str) -> tuple[str, str]:
    """(Markdown, title). Of a page with a `main` or `article` only that is taken."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.end_block()
    chosen = reader.main if sum(map(len, reader.main)) > 200 else reader.blocks
    return "\n\n".join(chosen), " ".join(reader.title.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.blocks: list[str] = []
        self.main: list[str] = []
        self._line = ""
        self._before = ""
        self._dropping: list[str] = []
        self._in_title = False
        self._in_main = 0
        self._list_depth = 0
        self._in_pre = False
        self._rows: list[list[str]] | None = None
        self._cell: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {k: v or "" for k, v in attrs}
        if self._dropping:
            if tag not in _VOID:
                self._dropping.append(tag)
            return
        hidden = "hidden" in about or about.get("aria-hidden") == "true" or _HIDDEN.search(about.get("style", ""))
        if (tag in _DROPPED or hidden) and tag not in _VOID:
            self._dropping.append(tag)
            return
        self._begin(tag)

    def _begin(self, tag: str) -> None:
        if tag == "title" and not self.title:
            self._in_title = True
        elif tag in ("main", "article"):
            self.end_block()
            self._in_main += 1
        elif tag == "br":
            self._add("\n" if self._cell is None else " ")
        elif tag in _HEADINGS:
            self.end_block()
            self._before = "#" * _HEADINGS[tag] + " "
        elif tag == "li":
            self.end_block()
            self._before = "- "
        elif tag == "table" and self._rows is None:
            self.end_block()
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._end_cell()
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._end_cell()
            self._cell = ""
        elif tag in _BLOCKS and self._cell is None:
            self._in_pre = self._in_pre or tag == "pre"
            self.end_block()

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            while self._dropping and tag in self._dropping:
                if self._dropping.pop() == tag:
                    break
            return
        if tag == "title":
            self._in_title = False
        elif tag in ("main", "article"):
            self.end_block()
            self._in_main = max(0, self._in_main - 1)
        elif tag in ("td", "th", "tr"):
            self._end_cell()
        elif tag == "table" and self._rows is not None:
            self._end_table()
        elif tag in _HEADINGS or tag == "li" or (tag in _BLOCKS and self._cell is None):
            self.end_block()
            self._in_pre = self._in_pre and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._dropping:
            self._add(data)

    def _add(self, text: str) -> None:
        if self._cell is not None:
            self._cell += text
        elif self._rows is None:
            self._line += text

    def _end_cell(self) -> None:
        """A cell may end without its tag."""
        if self._rows and self._cell is not None:
            self._rows[-1].append(" ".join(self._cell.split()).replace("|", "\\|"))
        self._cell = None

    def _end_table(self) -> None:
        self._end_cell()
        rows = [r for r in self._rows or [] if any(r)]
        self._rows, self._cell = None, None
        if not rows:
            return
        width = max(map(len, rows))
        lines = ["| " + " | ".join([*r, *[""] * (width - len(r))]) + " |" for r in rows]
        if len(lines) > 1:
            lines.insert(1, "|" + "---|" * width)
        self._keep("\n".join(lines))

    def end_block(self) -> None:
        """What was gathered is a block."""
        raw, self._line = self._line, ""
        if self._in_pre:
            text = raw.strip("\n")
        else:
            text = "\n".join(line for part in raw.split("\n") if (line := " ".join(part.split())))
            if self._before:
                text = " ".join(text.split())
        if not text.strip():
            return
        before, self._before = self._before, ""
        self._keep(before + text)

    def _keep(self, block: str) -> None:
        for blocks in (self.blocks, self.main) if self._in_main else (self.blocks,):
            if block.startswith("- ") and blocks and blocks[-1].split("\n")[-1].startswith("- "):
                blocks[-1] += "\n" + block
            else:
                blocks.append(block)
