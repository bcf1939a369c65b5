"""Our light marks as the HTML that Telegram knows; anything else in a text is shown as it is written."""

from __future__ import annotations

import html
import re

_MARKS = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|\[(?P<label>[^\]\n]{1,300})\]\((?P<url>https?://[^\s)]{1,2000})\)"
    r"|\*\*(?=\S)(?P<bold>.+?)(?<=\S)\*\*"
    r"|~~(?=\S)(?P<struck>.+?)(?<=\S)~~"
    r"|(?<![\w*])\*(?=[^\s*])(?P<italic>[^*\n]+?)(?<=[^\s*])\*(?![\w*])",
    re.DOTALL,
)
_BULLET = re.compile(r"^([ \t]*)[-*] (?=\S)", re.MULTILINE)
DEEPEST = 4


def to_html(text: str, depth: int = 0) -> str:
    """`**bold**`, `*italic*`, `~~struck~~`, code, links and lists; the rest escaped."""
    if depth == 0:
        text = _BULLET.sub(r"\1• ", text)
    out: list[str] = []
    end = 0
    for match in _MARKS.finditer(text):
        out += (_escaped(text[end : match.start()]), _marked(match, depth))
        end = match.end()
    return "".join((*out, _escaped(text[end:])))


def _marked(match: re.Match[str], depth: int) -> str:
    found = match.groupdict()
    if depth >= DEEPEST:
        return _escaped(match.group())
    if found["code"] is not None:
        return f"<code>{_escaped(found['code'])}</code>"
    if found["label"] is not None:
        return f'<a href="{html.escape(found["url"])}">{_escaped(found["label"])}</a>'
    for name, tag in (("bold", "b"), ("struck", "s"), ("italic", "i")):
        if found[name] is not None:
            return f"<{tag}>{to_html(found[name], depth + 1)}</{tag}>"
    return _escaped(match.group())


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
