"""Conversations over the public API, as a program holds them."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY

from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member, key_client


async def begin(program: httpx2.AsyncClient, agent: Any, **body: Any) -> dict[str, Any]:
    answer = await program.post(f"/api/v1/agents/{agent.id}/conversations", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def events_of(response: httpx2.Response, *, until: str = "") -> list[dict[str, Any]]:
    """Events of a stream, as (id, event, data), up to the first of a kind or the end."""
    found: list[dict[str, Any]] = []
    event: dict[str, Any] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "data":
            event["data"] = json.loads(value)
        elif name in ("id", "event"):
            event[name] = value
        elif not line and event:
            found.append(event)
            if event.get("event") == until:
                return found
            event = {}
    return found


async def test_a_whole_conversation_in_synchronous_calls(program: httpx2.AsyncClient, agent: Any) -> None:
    started = await begin(program, agent, external_user_id="c-1")
    assert [m["text"] for m in started["messages"]] == ["What is your name?"]
    assert (started["status"], started["waits"], started["is_running"]) == ("open", "reply", False)
    path = f"/api/v1/conversations/{started['conversation_id']}"

    said = (await program.post(f"{path}/messages", json={"text": "Olena"})).json()
    assert said["accepted_seq"] == 2
    assert [m["text"] for m in said["messages"]] == ["Hello Olena, which day?"]
    assert [o["id"] for o in said["messages"][0]["parts"][0]["options"]] == ["mon", "tue"]

    last = await program.post(f"{path}/messages", json={"option_id": "tue"})
    assert last.status_code == 200
    assert [m["text"] for m in last.json()["messages"]] == ["See you then."]
    assert last.json()["status"] == "ended"

    page = (await program.get(f"{path}/messages")).json()
    assert [(m["seq"], m["role"], m["text"]) for m in page["messages"]] == [
        (1, "agent", "What is your name?"),
        (2, "contact", "Olena"),
        (3, "agent", "Hello Olena, which day?"),
        (4, "contact", "Tuesday"),
        (5, "agent", "See you then."),
    ]
    head = (await program.get(path)).json()
    assert (head["status"], head["result"]) == ("ended", "booked")


async def test_a_transcript_is_paged_without_gap_or_repeat(program: httpx2.AsyncClient, agent: Any) -> None:
    started = await begin(program, agent)
    path = f"/api/v1/conversations/{started['conversation_id']}/messages"
    await program.post(path, json={"text": "Ann"})
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = (await program.get(path, params={"after": after, "limit": 1})).json()
        seen += [m["seq"] for m in page["messages"]]
        after = page["next_after"]
    assert seen == [1, 2, 3]


async def test_what_is_not_waited_for_comes_later(program: httpx2.AsyncClient, agent: Any) -> None:
    started = await begin(program, agent, wait=False)
    path = f"/api/v1/conversations/{started['conversation_id']}"
    async with program.stream("GET", f"{path}/events") as stream:
        await events_of(stream, until="message")
    answer = await program.post(f"{path}/messages", json={"text": "Ann", "wait": False})
    assert answer.status_code == 202
    assert answer.json()["accepted_seq"] == 2


async def test_a_stream_ends_with_the_turn(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/conversations/{(await begin(program, agent))['conversation_id']}/messages"
    headers = {"Accept": "text/event-stream"}
    async with program.stream("POST", path, json={"text": "Ann", "client_id": "m1"}, headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = await asyncio.wait_for(events_of(stream), 10)
    messages = [e for e in events if e["event"] == "message"]
    assert [(e["id"], e["data"]["message"]["text"]) for e in messages] == [("3", "Hello Ann, which day?")]
    assert events[-1]["event"] == "turn"
    inside = json.dumps(events)
    assert "node_id" not in inside
    assert "n_day" not in inside
    assert "variables" not in inside

    async with program.stream("POST", path, json={"text": "Ann", "client_id": "m1"}, headers=headers) as stream:
        again = await asyncio.wait_for(events_of(stream), 10)
    assert [e["id"] for e in again if e["event"] == "message"] == ["3"]


async def test_a_stream_is_resumed_after_the_last_event(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/conversations/{(await begin(program, agent))['conversation_id']}"
    await program.post(f"{path}/messages", json={"text": "Ann"})
    async with program.stream("GET", f"{path}/events") as stream:
        first = await events_of(stream, until="message")
    assert first[-1]["id"] == "1"
    async with program.stream("GET", f"{path}/events", headers={"Last-Event-ID": "1"}) as stream:
        following = asyncio.create_task(events_of(stream, until="ended"))
        await program.post(f"{path}/messages", json={"option_id": "mon"})
        rest = await asyncio.wait_for(following, 10)
    assert [e["id"] for e in rest if e["event"] == "message"] == ["2", "3", "4", "5"]


async def test_the_same_idempotency_key_acts_once(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/agents/{agent.id}/conversations"
    answers = [await program.post(path, json={}, headers={"Idempotency-Key": "k-1"}) for _ in range(3)]
    assert [a.status_code for a in answers] == [201, 201, 201]
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert "idempotent-replayed" not in answers[0].headers
    assert answers[2].headers["idempotent-replayed"] == "true"
    other = await program.post(path, json={"language": "uk"}, headers={"Idempotency-Key": "k-1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    listed = (await program.get("/api/v1/conversations")).json()
    assert len(listed["conversations"]) == 1


async def test_two_requests_with_one_key_at_once_act_once(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/agents/{agent.id}/conversations"
    answers = await asyncio.gather(*(program.post(path, json={}, headers={"Idempotency-Key": "k"}) for _ in range(5)))
    codes = sorted(a.status_code for a in answers)
    assert codes.count(201) >= 1
    assert set(codes) <= {201, 409}
    assert all(a.json()["code"] == "still_running" for a in answers if a.status_code == 409)
    assert len((await program.get("/api/v1/conversations")).json()["conversations"]) == 1


LONG_WAY = {"Content-Encoding": "identity"}
"""Nothing that changes a body, and not plain."""


@pytest.mark.parametrize(
    "body",
    [
        '{"text": "Olena"}', '{"text": "Olena", "wait": false}', '{"text": "Olena", "wait_seconds": "2"}', '{"option_id": "no"}',
        "{}", '{"text": " "}', '{"words": "Olena"}', '{"text": 5}', '{"text": "a', '["text"]', "", '{"text": "\\ud800"}',
        '{"text": "Olena", "wait_seconds": NaN}', '{"text": "' + "a" * 64_001 + '"}', '{"text": "' + "a" * 1_000_001 + '"}',
    ],
    ids=lambda body: body[:30] or "nothing",
)  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/plain"])
async def test_what_is_said_plainly_is_answered_as_on_the_long_way(
    program: httpx2.AsyncClient, agent: Any, body: str, kind: str
) -> None:
    answers = []
    for way in ({}, LONG_WAY):
        path = f"/api/v1/conversations/{(await begin(program, agent))['conversation_id']}"
        headers = {"Content-Type": kind, **way}
        answer = await program.post(f"{path}/messages", content=body.encode(), headers=headers)
        said = answer.json()
        if answer.status_code == 202:
            said["is_running"] = said["waits"] = None  # how far it came meanwhile is chance
        for part in (said, *said.get("messages", ())):
            for name in ("conversation_id", "created_at"):
                part.pop(name, None)
        kept = {name: value for name, value in answer.headers.items() if name not in ("date", "content-length")}
        answers.append((answer.status_code, said, kept))
    assert answers[0] == answers[1]


async def test_a_client_that_goes_away_in_the_middle_of_its_words_is_no_fault_of_ours(
    program: httpx2.AsyncClient, agent: Any, address: Address
) -> None:
    conversation_id = (await begin(program, agent))["conversation_id"]

    def counted(status: int) -> float:
        labels = {"method": "POST", "route": "/api/v1/conversations/{conversation_id}/messages", "status": str(status)}
        return REGISTRY.get_sample_value("http_requests_total", labels) or 0.0

    before = counted(400), counted(500)
    url = httpx2.URL(address.http)
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST /api/v1/conversations/{conversation_id}/messages HTTP/1.1\r\nHost: {url.host}\r\n"
    writer.write(f'{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"text": "Ol'.encode())
    await writer.drain()
    writer.close()
    async with asyncio.timeout(10):
        while counted(400) == before[0]:  # noqa: ASYNC110  # a counter tells nobody
            await asyncio.sleep(0.01)
    assert counted(500) == before[1]


async def test_who_may_not_say_it_is_told_the_same_on_both_ways(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/conversations/{(await begin(program, agent))['conversation_id']}"
    await program.post(f"{path}/end")
    wrong = {"Authorization": "Bearer pck_wrong"}
    for of, who, status in ((path, {}, 409), ("/api/v1/conversations/none", {}, 404), (path, wrong, 401)):
        answers = [
            await program.post(f"{of}/messages", json={"text": "Ann"}, headers=who | way) for way in ({}, LONG_WAY)
        ]
        assert [answer.status_code for answer in answers] == [status] * 2
        assert answers[0].json() == answers[1].json()


async def test_the_same_client_id_is_one_message(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/conversations/{(await begin(program, agent))['conversation_id']}/messages"
    body = {"text": "Ann", "client_id": "m-1"}
    answers = await asyncio.gather(*(program.post(path, json=body) for _ in range(4)))
    assert {a.json()["accepted_seq"] for a in answers} == {2}
    page = (await program.get(path)).json()
    assert [m["text"] for m in page["messages"] if m["role"] == "contact"] == ["Ann"]


async def test_conversations_are_listed_page_by_page(program: httpx2.AsyncClient, agent: Any) -> None:
    ids = {(await begin(program, agent))["conversation_id"] for _ in range(5)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await program.get("/api/v1/conversations", params={"limit": 2, "cursor": cursor})).json()
        seen += [c["id"] for c in page["conversations"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == 5
    assert set(seen) == ids
    assert (await program.get("/api/v1/conversations", params={"cursor": "%%"})).status_code == 422


async def test_what_cannot_be_said_is_refused_with_a_sentence(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/conversations/{(await begin(program, agent))['conversation_id']}"
    empty = await program.post(f"{path}/messages", json={})
    assert (empty.status_code, empty.json()["code"]) == (422, "input_invalid")
    button = await program.post(f"{path}/messages", json={"option_id": "never"})
    assert (button.status_code, button.json()["field"]) == (422, "option_id")
    assert (await program.post(f"{path}/end")).status_code == 204
    over = await program.post(f"{path}/messages", json={"text": "hello?"})
    assert (over.status_code, over.json()["params"]["reason"]) == (409, "conversation_ended")


async def test_an_agent_that_is_off_takes_no_conversations(
    program: httpx2.AsyncClient, agent: Any, services: Services, ann: Member
) -> None:
    await services.agents.set_on(ann.who, agent.id, False)
    answer = await program.post(f"/api/v1/agents/{agent.id}/conversations", json={})
    assert (answer.status_code, answer.json()["params"]["reason"]) == (409, "agent_off")


async def test_a_key_does_only_what_its_scopes_say(
    services: Services, ann: Member, agent: Any, address: Address, program: httpx2.AsyncClient
) -> None:
    conversation_id = (await begin(program, agent))["conversation_id"]
    async with await key_client(services, ann.who, address, "conversations:read") as reader:
        assert (await reader.get(f"/api/v1/conversations/{conversation_id}")).status_code == 200
        refused = await reader.post(f"/api/v1/conversations/{conversation_id}/messages", json={"text": "x"})
        assert (refused.status_code, refused.json()["params"]["scope"]) == (403, "conversations:write")
        assert (await reader.get("/api/v1/agents")).status_code == 403


async def test_a_wrong_key_opens_nothing(address: Address) -> None:
    for authorization in ("Bearer pck_nonsense", "Basic abc", "Bearer", "pck_nonsense"):
        async with httpx2.AsyncClient(base_url=address.http, headers={"Authorization": authorization}) as client:
            answer = await client.get("/api/v1/agents")
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
