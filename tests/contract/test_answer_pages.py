"""Answers in pages: where the next one is, when it ends, and what cannot be joined."""

from __future__ import annotations

from typing import Any

import pytest

from graph_runtime.contract.answer_pages import MAX_TOGETHER, Pages, Paging, collect
from graph_runtime.contract.errors import BadAnswer, Refused
from graph_runtime.contract.http import HttpReply

URL = "https://api.example.com/orders?limit=2"


async def gather(pages: Pages | None, *replies: HttpReply) -> tuple[list[str], Any, bool, int]:
    """Which addresses were asked, the answer, whether more was left, and the last status."""
    asked: list[str] = []

    async def ask(url: str) -> HttpReply:
        asked.append(url)
        return replies[len(asked) - 1]

    reply, body, more = await collect(ask, URL, pages)
    return asked, body, more, reply.status


def by(paging: Paging, *, items: str = "", next_at: str = "", name: str = "page", most: int = 5) -> Pages:
    return Pages(paging, items, next_at, name, most)


def page(body: Any, link: str = "", status: int = 200) -> HttpReply:
    return HttpReply(status, {"Link": link} if link else {}, body)


async def test_the_header_link_names_the_next_page_also_beside_others() -> None:
    first = page([1, 2], '<https://api.example.com/orders?page=9>; rel="last", </orders?page=2>; rel="next"')
    asked, body, more, _ = await gather(by("link"), first, page([3], '<https://api.example.com/orders>; rel="first"'))
    assert (asked, body, more) == ([URL, "https://api.example.com/orders?page=2"], [1, 2, 3], False)
    assert first.body == [1, 2], "what is recorded of a page is not touched"


async def test_a_cursor_that_does_not_move_is_the_end() -> None:
    pages = by("cursor", items="d", next_at="c", name="after")
    asked, body, more, _ = await gather(pages, page({"d": [1], "c": 7}), page({"d": [2], "c": 7}))
    assert (asked[1:], body, more) == (["https://api.example.com/orders?limit=2&after=7"], {"d": [1, 2], "c": 7}, False)
    for none in ("", None, True, {"x": 1}):
        assert (await gather(pages, page({"d": [1], "c": none})))[0] == [URL]


async def test_a_next_address_that_leads_back_is_the_end() -> None:
    back = page([2], f'<{URL}>; rel="next"')
    asked, body, more, _ = await gather(by("link"), page([1], '</orders?page=2>; rel="next"'), back)
    assert (len(asked), body, more) == (2, [1, 2], False)


async def test_a_page_that_is_refused_is_the_answer() -> None:
    asked, body, _, status = await gather(by("page"), page([1]), page({"error": "slow down"}, status=429))
    assert (len(asked), body, status) == (2, {"error": "slow down"}, 429)


async def test_without_pages_there_is_one_request() -> None:
    assert await gather(None, page({"a": 1}, '<https://x.example/>; rel="next"')) == ([URL], {"a": 1}, False, 200)


@pytest.mark.parametrize(("items", "said"), [("", "itself is no list"), ("data.rows", "no list at “data.rows”")])
async def test_what_is_no_list_is_said(items: str, said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        await gather(by("page", items=items), page({"data": {"rows": "none"}}))


async def test_pages_that_are_too_much_together_are_refused() -> None:
    half = page(["x" * (MAX_TOGETHER // 2)])
    with pytest.raises(Refused, match="larger than 1 MB together"):
        await gather(by("page"), half, half)
