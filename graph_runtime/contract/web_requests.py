"""Addresses and forms with {{variables}}: values are encoded one by one, so none can change where a request goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, urlencode, urlsplit

from graph_runtime.contract.errors import TemplateInvalid
from graph_runtime.contract.forms import SettingsItem, setting

Render = Callable[[str], str]
_PLACEHOLDER = re.compile(r"(\{\{.*?\}\})", re.DOTALL)


class Pair(SettingsItem):
    """A name and a value."""

    name: str = setting("Name", default="", required=True, max_length=200, placeholder="status")
    value: str = setting("Value", default="", widget="line_template", max_length=8000)


def pairs(rows: Iterable[Pair], render: Render) -> list[tuple[str, str]]:
    """Filled in; rows without a name are left out."""
    return [(row.name.strip(), render(row.value)) for row in rows if row.name.strip()]


def form(rows: Iterable[Pair], render: Render) -> str:
    """As `application/x-www-form-urlencoded`."""
    return urlencode(pairs(rows, render))


def address(text: str, query: Iterable[Pair], render: Render) -> str:
    """The address filled in. Only a value at its very beginning may hold more than one name or number.

    Raises: TemplateInvalid when it holds `{% … %}`.
    """
    if "{%" in text:
        raise TemplateInvalid("An address may hold {{ variables }}, but no {% tags %}. Make its parts in a Set step.")
    pieces = _PLACEHOLDER.split(text.strip())
    filled = [
        render(piece) if not place % 2 or not any(pieces[:place]) else quote(render(piece), safe="")
        for place, piece in enumerate(pieces)
    ]
    url = "".join(filled).strip()
    if more := form(query, render):
        parts = urlsplit(url)
        url = parts._replace(query="&".join(filter(None, (parts.query, more)))).geturl()
    return url
