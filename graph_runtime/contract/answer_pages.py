"""Answers that come in pages: where the next page is, and one answer made of all of them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from graph_runtime.contract import pointers
from graph_runtime.contract.errors import BadAnswer, Refused
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.nodes import NodeSettings, setting
from graph_runtime.contract.outside_words import failure
from graph_runtime.contract.pointers import Pointer

Paging = Literal["link", "page", "cursor"]
MAX_TOGETHER: Final = 1_000_000
"""Bytes of all pages."""
_NEXT_LINK: Final = re.compile(r'<([^<>]*)>[^<]*?;\s*rel="?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pages:
    """How an answer goes on. `next_at`: place of the next address or of the cursor; `name`: of the query's page number or
    cursor; `items`: place of the list that goes on; `most`: pages."""

    paging: Paging
    items: str
    next_at: str
    name: str
    most: int


class AnswerPages(NodeSettings):
    """What a person says about it. A step that can do more than read has a `method`; only a GET has pages."""

    paging: Literal["none", "link", "page", "cursor"] = setting(
        "The answer comes in pages", default="none", show_when={"method": ["GET"]},
        options={
            "none": "No", "link": "It names the address of the next page", "page": "Pages are numbered in the query",
            "cursor": "It names a cursor for the query",
        },
        help="All pages are fetched, and the list in the first one then holds the entries of all of them.",
    )  # fmt: skip
    items: Pointer = setting(
        "Where the list is", default="", max_length=500, placeholder="data.items",
        show_when={"paging": ["link", "page", "cursor"], "method": ["GET"]},
        help="The list that goes on over the pages. Empty: the answer itself is the list.",
    )  # fmt: skip
    next_at: Pointer = setting(
        "Where the next page is named", default="", max_length=500, placeholder="links.next",
        show_when={"paging": ["link", "cursor"], "method": ["GET"]},
        help="The place of the next address or of the cursor. For an address, empty means the header “Link”.",
    )  # fmt: skip
    page_name: str = setting(
        "Name in the query", default="page", max_length=100, placeholder="page",
        show_when={"paging": ["page", "cursor"], "method": ["GET"]},
    )  # fmt: skip
    most_pages: int = setting(
        "Pages at the most", default=5, ge=1, le=20,
        show_when={"paging": ["link", "page", "cursor"], "method": ["GET"]},
        help="“There was more” of this step says whether some were left.",
    )  # fmt: skip

    def pages(self) -> Pages | None:
        """None when the answer is one."""
        if self.paging == "none" or getattr(self, "method", "GET") != "GET":
            return None
        return Pages(self.paging, self.items, self.next_at, self.page_name.strip() or "page", self.most_pages)


async def collect(
    ask: Callable[[str], Awaitable[HttpReply]], url: str, pages: Pages | None
) -> tuple[HttpReply, Any, bool]:
    """The last reply, the body of all pages, and whether some were left. Without `pages`, and when one is refused, that
    answer as it is.

    Raises: BadAnswer, Refused (too large), what `ask` raises.
    """
    bodies: list[Any] = []
    size = 0
    asked = set()
    while True:
        asked.add(url)
        reply = await ask(url)
        if pages is None or not reply.was_sent or not 200 <= reply.status < 400:
            return reply, reply.body, False
        page_list(reply.body, pages.items)
        bodies.append(reply.body)
        size += len(json.dumps(reply.body, ensure_ascii=False).encode())
        if size > MAX_TOGETHER:
            raise failure(Refused, "pages_too_large")
        url = next_address(pages, url, reply.body, reply.headers)
        if url in asked:
            url = ""  # it leads back to where we were
        if not url or len(bodies) >= pages.most:
            return reply, joined(bodies, pages.items), bool(url)


def next_address(pages: Pages, url: str, body: Any, headers: Mapping[str, str]) -> str:
    """The address of the page after the one at `url`; "" when it was the last. Numbered pages end with an empty one."""
    if pages.paging == "link":
        found = pointers.read(body, pages.next_at) if pages.next_at else _link(headers)
        return urljoin(url, found) if isinstance(found, str) and found.strip() else ""
    given = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if pages.paging == "cursor":
        cursor = pointers.read(body, pages.next_at)
        is_one = isinstance(cursor, str | int) and not isinstance(cursor, bool) and cursor != ""
        return _with(url, pages.name, str(cursor)) if is_one and str(cursor) != given.get(pages.name) else ""
    if not page_list(body, pages.items):
        return ""
    number = given.get(pages.name, "")
    return _with(url, pages.name, str(int(number) + 1 if number.isdecimal() else 2))


def page_list(body: Any, items: str) -> list[Any]:
    """The list of one page. Raises: BadAnswer when there is none."""
    found = pointers.read(body, items)
    if not isinstance(found, list):
        raise failure(BadAnswer, "no_list_at", items=items) if items else failure(BadAnswer, "no_list")
    return found


def joined(bodies: list[Any], items: str) -> Any:
    """The first page with the lists of all: places in it are the same as in one page. Raises: BadAnswer."""
    whole = copy.deepcopy(bodies[0])
    entries = page_list(whole, items)
    for body in bodies[1:]:
        entries.extend(page_list(body, items))
    return whole


def _link(headers: Mapping[str, str]) -> str:
    given = next((value for key, value in headers.items() if key.lower() == "link"), "")
    found = _NEXT_LINK.search(given)
    return found[1] if found else ""


def _with(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return parts._replace(query=urlencode([*query, (name, value)])).geturl()
