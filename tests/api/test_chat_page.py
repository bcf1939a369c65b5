"""What the server sends for the chat pages: policies, who may frame them, caching, and text that stays text."""

import json
import re
from html import unescape
from typing import Any

import httpx2
import pytest

from graph_runtime.api.chat.page import edition, origins
from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member
from tests.api.sockets import page, refused


def about_of(body: str) -> dict[str, Any]:
    found = re.search(r'data-about="([^"]*)"', body)
    assert found is not None
    about: dict[str, Any] = json.loads(unescape(found.group(1)))
    return about


def policy_of(answer: httpx2.Response) -> dict[str, str]:
    rules = (rule.strip().partition(" ") for rule in answer.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in rules}


async def test_the_page_carries_what_it_needs_and_no_cookie(anonymous: httpx2.AsyncClient, agent: Any) -> None:
    answer = await anonymous.get(f"/chat/{agent.public_id}")
    assert answer.status_code == 200
    assert about_of(answer.text)["name"] == "Reception"
    assert about_of(answer.text)["languages"] == ["en"]
    assert "<title>Reception</title>" in answer.text
    assert "set-cookie" not in answer.headers
    assert (await anonymous.get(f"/api/chat/{agent.public_id}")).json() == about_of(answer.text)


@pytest.mark.parametrize("place", ["chat", "widget"])
async def test_no_inline_code_is_allowed_or_present(anonymous: httpx2.AsyncClient, agent: Any, place: str) -> None:
    answer = await anonymous.get(f"/{place}/{agent.public_id}")
    policy = policy_of(answer)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)


async def test_an_unknown_address_says_so(anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.get('/chat/no"such<b>')
    assert answer.status_code == 404
    assert about_of(answer.text) == {"public_id": 'no"such<b>', "found": False}
    assert "such<b>" not in answer.text


async def test_names_of_authors_cannot_become_markup(
    anonymous: httpx2.AsyncClient, services: Services, ann: Member, agent: Any
) -> None:
    hostile = "\"><script>x</script>'${about}"
    await services.agents.update(ann.who, agent.id, name=hostile, settings={"subtitle": hostile})
    body = (await anonymous.get(f"/chat/{agent.public_id}")).text
    assert "<script>x" not in body
    assert about_of(body)["name"] == hostile


async def test_who_may_frame_the_chat(
    anonymous: httpx2.AsyncClient, services: Services, ann: Member, agent: Any
) -> None:
    widget, hosted = f"/widget/{agent.public_id}", f"/chat/{agent.public_id}"
    assert policy_of(await anonymous.get(widget))["frame-ancestors"] == "*"
    assert policy_of(await anonymous.get(hosted))["frame-ancestors"] == "'none'"
    listed = ["https://shop.example/", "blog.example", "evil.example; script-src *", "*"]
    await services.agents.update(ann.who, agent.id, settings={"allowed_origins": listed})
    framed = policy_of(await anonymous.get(widget))["frame-ancestors"]
    assert framed == "'self' https://shop.example https://blog.example"
    assert "x-frame-options" not in (await anonymous.get(widget)).headers
    assert (await anonymous.get(hosted)).headers["x-frame-options"] == "DENY"


async def test_the_socket_opens_for_our_page_and_listed_websites_only(
    address: Address, services: Services, ann: Member, agent: Any
) -> None:
    await services.agents.update(ann.who, agent.id, settings={"allowed_origins": ["https://shop.example"]})
    socket = f"{address.ws}/ws/chat/{agent.public_id}"
    assert await refused(socket, Origin="https://evil.example") == 403
    for origin in ("https://shop.example", address.http):
        async with page(socket, Origin=origin) as visitor:
            await visitor.send(t="hello")
            welcome = await visitor.until("welcome")
            assert welcome["status"] == "open"
            assert isinstance(welcome["seq"], int)


def test_only_origins_pass_from_an_allow_list() -> None:
    listed = (
        "https://a.example",
        " HTTP://localhost:3000/ ",
        "b.example",
        "https://*.c.example",
        "*",
        "",
        "x y",
        "data:",
    )
    assert origins(listed) == (
        "https://a.example",
        "http://localhost:3000",
        "https://b.example",
        "https://*.c.example",
    )


async def test_files_of_the_page_are_kept_under_their_edition(anonymous: httpx2.AsyncClient, agent: Any) -> None:
    body = (await anonymous.get(f"/chat/{agent.public_id}")).text
    named = re.findall(r'"(/static/chat/[^"]+)"', body)
    assert len(named) > 8
    for address in named:
        answer = await anonymous.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await anonymous.get("/static/chat/chat.js")).headers["cache-control"] == "no-cache"
    assert (await anonymous.get(f"/static/chat/{edition()}/../../page.py")).status_code == 404
    script = await anonymous.get("/widget.js")
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"
