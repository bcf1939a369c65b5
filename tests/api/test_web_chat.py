"""The web chat's socket and files: welcome, resume, once only, limits, closed agents, other people's things."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import pytest

from graph_runtime.api.chat.socket import Heartbeat
from graph_runtime.api.limits import Places
from graph_runtime.api.visitors import Visitor
from graph_runtime.bootstrap import Services
from graph_runtime.storage.virus_scanner import Clamd
from tests.api.conftest import Address, Member
from tests.api.sockets import Frame, Page, page, refused
from tests.fakes.clamd import HARMFUL, clamd

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def open_chat(address: Address, agent: Any) -> AbstractAsyncContextManager[Page]:
    return page(f"{address.ws}/ws/chat/{agent.public_id}", Origin=address.http)


async def hello(chat: Page, **more: Any) -> Frame:
    await chat.send(t="hello", **({"language": "en"} | more))
    return await chat.until("welcome")


def messages_of(chat: Page) -> list[tuple[int, str, str]]:
    events = [f["event"] for f in chat.seen if f["t"] == "event" and f["event"]["type"] == "message"]
    return [(e["message"]["seq"], e["message"]["role"], e["message"]["text"]) for e in events]


async def test_a_visitor_talks_to_the_agent(address: Address, agent: Any) -> None:
    async with open_chat(address, agent) as chat:
        welcome = await hello(chat)
        assert (welcome["agent"]["name"], welcome["status"]) == ("Reception", "open")
        await chat.message("What is your name?")
        await chat.send(t="say", client_id="c1", text="Olena")
        assert await chat.until("accepted", lambda f: f["client_id"] == "c1")
        question = await chat.message("Hello Olena, which day?")
        assert [o["label"] for o in question["parts"][0]["options"]] == ["Monday", "Tuesday"]
        await chat.send(t="say", client_id="c2", text="Monday", option_id="mon")
        await chat.message("See you then.")
        await chat.until("event", lambda f: f["event"]["type"] == "ended")
        await chat.send(t="say", client_id="c3", text="One more thing")
        assert (await chat.until("error"))["code"] == "conversation_ended"
    sent = json.dumps(chat.seen)
    assert "n_name" not in sent
    assert "node_id" not in sent
    assert not [f for f in chat.seen if f["t"] == "event" and f["event"]["type"] in ("step", "variables")]


async def test_a_visitor_who_comes_back_misses_nothing_and_sees_nothing_twice(address: Address, agent: Any) -> None:
    async with open_chat(address, agent) as chat:
        welcome = await hello(chat)
        await chat.message("What is your name?")
        await chat.send(t="say", client_id="c1", text="Olena")
        await chat.until("accepted")
    async with open_chat(address, agent) as again:
        back = await hello(again, token=welcome["token"], after=1)
        assert back["conversation_id"] == welcome["conversation_id"]
        await again.message("Hello Olena, which day?")
        # Not sure whether it arrived, the page sends its message once more.
        await again.send(t="say", client_id="c1", text="Olena")
        assert (await again.until("accepted"))["seq"] == 2
        assert not [f for f in await again.quiet() if f["t"] == "event"]
    assert [seq for seq, _, _ in messages_of(again)] == [2, 3]


async def test_two_pages_of_one_visitor_see_the_same_conversation(address: Address, agent: Any) -> None:
    async with open_chat(address, agent) as one, open_chat(address, agent) as two:
        token = (await hello(one))["token"]
        await hello(two, token=token)
        await asyncio.gather(one.message("What is your name?"), two.message("What is your name?"))
        await one.send(t="say", client_id="c1", text="Ann")
        assert (await two.message("Ann"))["client_id"] == "c1"
        await two.message("Hello Ann, which day?")


async def test_after_the_end_a_new_conversation_begins_on_request(address: Address, agent: Any) -> None:
    async with open_chat(address, agent) as chat:
        first = await hello(chat)
        await chat.message("What is your name?")
    async with open_chat(address, agent) as chat:
        second = await hello(chat, token=first["token"], again=True, after=99)
        assert second["conversation_id"] != first["conversation_id"]
        await chat.message("What is your name?")
    async with open_chat(address, agent) as chat:
        assert (await hello(chat, token=second["token"]))["conversation_id"] == second["conversation_id"]


async def test_a_token_that_is_not_ours_makes_a_new_visitor(address: Address, agent: Any) -> None:
    tokens = address.app.state.visitor_tokens
    async with open_chat(address, agent) as chat:
        mine = await hello(chat)
    for token in (
        mine["token"][:-4] + "AAAA",
        tokens.issue(Visitor("v_1", "another channel")),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ2XzEifQ.",
        "x" * 1000,
    ):
        async with open_chat(address, agent) as chat:
            welcome = await hello(chat, token=token, after=5)
            assert welcome["conversation_id"] != mine["conversation_id"]
            await chat.message("What is your name?")


async def test_an_agent_that_is_off_says_so_politely(
    address: Address, agent: Any, services: Services, ann: Member
) -> None:
    await services.agents.set_on(ann.who, agent.id, False)
    async with open_chat(address, agent) as chat:
        welcome = await hello(chat, language="uk-UA")
        assert (welcome["status"], welcome["conversation_id"]) == ("off", None)
        error = await chat.until("error")
        assert (error["code"], "зачинено" in error["message"]) == ("agent_off", True)
        await chat.send(t="say", client_id="c1", text="?")
        assert (await chat.until("error"))["client_id"] == "c1"
    async with httpx2.AsyncClient(base_url=address.http) as client:
        assert (await client.get(f"/api/chat/{agent.public_id}")).json()["is_open"] is False


async def test_ten_messages_in_ten_seconds_and_no_more(address: Address, agent: Any) -> None:
    async with open_chat(address, agent) as chat:
        await hello(chat)
        for number in range(12):
            await chat.send(t="say", client_id=f"c{number}", text=f"m{number}")
        refusal = await chat.until("error", lambda f: f["code"] == "too_many")
        assert refusal["client_id"] == "c10"
        assert 0 < refusal["retry_after"] <= 10
        assert await chat.until("error", lambda f: f["client_id"] == "c11")


async def test_frames_that_are_too_large_or_senseless(address: Address, agent: Any) -> None:
    async with open_chat(address, agent) as chat:
        await hello(chat)
        for frame in ("nonsense", "[]", "1", '{"t":"say"}', '{"t":"say","client_id":"c","text":"  "}', '{"t":"drop"}'):
            await chat.connection.send(frame)
            assert (await chat.until("error"))["code"] == "input_invalid"
        await chat.send(t="say", client_id="c1", text="x" * 70_000)
        assert (await chat.closed())[0] == 1009
    async with open_chat(address, agent) as chat:
        await chat.send(t="say", client_id="c1", text="before hello")
        assert (await chat.closed())[0] == 4400


async def test_a_flood_of_frames_is_cut_off(address: Address, agent: Any) -> None:
    async with open_chat(address, agent) as chat:
        await hello(chat)
        for _ in range(150):
            await chat.send(t="typing")
        assert (await chat.closed())[0] == 4429


async def test_who_is_silent_is_let_go_and_who_answers_stays(address: Address, agent: Any) -> None:
    address.app.state.chat_heartbeat = Heartbeat(every=0.1, quiet=0.5)
    async with open_chat(address, agent) as silent, open_chat(address, agent) as lively:
        await hello(silent)
        await hello(lively)
        closing = asyncio.create_task(silent.closed())
        for _ in range(8):
            await lively.until("ping")
            await lively.send(t="pong")
        assert (await closing)[0] == 4408
        await lively.until("ping")


async def test_only_so_many_chats_from_one_address(address: Address, agent: Any) -> None:
    address.app.state.chat_places = Places(2)
    async with open_chat(address, agent) as one, open_chat(address, agent) as two:
        await hello(one)
        await hello(two)
        async with open_chat(address, agent) as third:
            assert (await third.closed())[0] == 4429
    async with open_chat(address, agent) as later:
        await hello(later)


async def test_other_sites_may_not_open_the_socket(address: Address, agent: Any, admin: Any) -> None:
    path = f"{address.ws}/ws/chat/{agent.public_id}"
    assert await refused(path, Origin="https://evil.example") == 403
    admin.execute("""UPDATE channel SET settings = '{"allowed_origins": ["https://shop.example"]}'""")
    async with page(path, Origin="https://shop.example") as chat:
        await hello(chat)
    async with page(f"{address.ws}/ws/chat/nowhere", Origin=address.http) as chat:
        assert (await chat.closed())[0] == 4404


async def test_a_file_goes_to_the_agent_and_back_to_its_sender_only(
    address: Address, agent: Any, ann: Member, anonymous: httpx2.AsyncClient
) -> None:
    path = f"/api/chat/{agent.public_id}/files"
    async with open_chat(address, agent) as chat, open_chat(address, agent) as stranger:
        mine = {"Authorization": f"Bearer {(await hello(chat))['token']}"}
        theirs = {"Authorization": f"Bearer {(await hello(stranger))['token']}"}
        sent = await anonymous.post(path, files={"file": ("../../etc/passwd.png", PNG, "text/html")}, headers=mine)
        assert sent.status_code == 201, sent.text
        about = sent.json()
        assert about["mime"] == "image/png"
        assert about["name"].startswith("image-")
        assert about["name"].endswith(".png")
        await chat.send(t="say", client_id="c1", text="My name is on it", file_ids=[about["file_id"]])
        await chat.until("accepted")
        said = await chat.until("event", lambda f: f["event"].get("message", {}).get("client_id") == "c1")
        assert said["event"]["message"]["parts"][-1]["file_id"] == about["file_id"]

        back = await anonymous.get(f"{path}/{about['file_id']}", headers=mine)
        assert (back.status_code, back.content, back.headers["content-type"]) == (200, PNG, "image/png")
        assert back.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in back.headers["content-security-policy"]
        assert (await anonymous.get(f"{path}/{about['file_id']}", headers=theirs)).status_code == 404
        assert (await anonymous.get(f"{path}/{about['file_id']}")).status_code == 401
        assert (await anonymous.post(path, files={"file": ("a.png", PNG)})).status_code == 401
        member = await ann.client.get(f"/api/builder/files/{about['file_id']}")
        assert (member.status_code, member.content) == (200, PNG)

        await stranger.send(t="say", client_id="c1", text="look", file_ids=[about["file_id"]])
        assert (await stranger.until("error"))["code"] == "not_found"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<!doctype html><script>alert(1)</script>", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", 422),
        (b"MZ\x90\x00\x03" + bytes(100), 422),
        (b"#!/bin/sh\nrm -rf /\n", 422),
        (b"PK\x03\x04" + bytes(100), 422),
        (b"", 422),
        ("Просто текст".encode(), 201),
        (b"%PDF-1.7\n...", 201),
        (b"\x89PNG\r\n\x1a\n" + bytes(20_000_000), 413),
    ],
)
async def test_what_a_file_is_decides_its_bytes(
    address: Address, agent: Any, anonymous: httpx2.AsyncClient, content: bytes, status: int
) -> None:
    async with open_chat(address, agent) as chat:
        headers = {"Authorization": f"Bearer {(await hello(chat))['token']}"}
    path = f"/api/chat/{agent.public_id}/files"
    answer = await anonymous.post(path, files={"file": ("photo.png", content, "image/png")}, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 201:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.json()["detail"]) > 20


async def test_a_file_is_seen_by_the_scanner_before_it_is_kept(
    address: Address,
    agent: Any,
    anonymous: httpx2.AsyncClient,
    ann: Member,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_chat(address, agent) as chat:
        welcome = await hello(chat)
        headers = {"Authorization": f"Bearer {welcome['token']}"}
    path = f"/api/chat/{agent.public_id}/files"
    harmful = {"file": ("letter.txt", b"Look at this: " + HARMFUL)}
    async with clamd() as daemon:
        monkeypatch.setattr(services.database.files, "_scan", Clamd(daemon.address).scan)
        answer = await anonymous.post(path, files=harmful, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "file_harmful")
        assert (await anonymous.post(path, files={"file": ("a.png", PNG)}, headers=headers)).status_code == 201
        assert len(daemon.scanned) == 2
    answer = await anonymous.post(path, files={"file": ("a.png", PNG)}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "scanner_away")
