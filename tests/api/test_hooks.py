"""Webhooks that come in over HTTP: the signature corpus, repeats, changed bodies, and which conversation they reach."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract import signatures
from graph_runtime.contract.errors import AccessDenied, InputInvalid
from graph_runtime.contract.signatures import new_secret
from graph_runtime.services.channel_setup import ChannelRow
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.worker.main import work
from tests.api.conftest import Address, Member
from tests.fakes.webhook_receiver import receiving

URL = {"url": "https://example.com/hook"}


class Other:
    """The program at the other side."""

    def __init__(self, client: httpx2.AsyncClient, row: ChannelRow, secret: str) -> None:
        self.client = client
        self.row = row
        self.secret = secret

    async def post(
        self,
        event: Any = None,
        *,
        key: str = "",
        secret: str = "",
        at: datetime | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        body = event if isinstance(event, bytes) else json.dumps(event or {"user_id": "u1", "text": "hello"}).encode()
        signed = signatures.signed_headers([secret or self.secret], key or uuid4().hex, at or datetime.now(UTC), body)
        given = {k: v for k, v in {**signed, **(headers or {})}.items() if v}
        return await self.client.post(self.row.path, content=body, headers=given)


@pytest.fixture
async def other(services: Services, ann: Member, agent: Any, anonymous: httpx2.AsyncClient) -> Other:
    row, secret = await services.channel_setup.create(ann.who, agent.id, "webhook", settings=URL)
    return Other(anonymous, row, secret)


async def transcript(services: Services, ann: Member, conversation_id: str) -> list[tuple[str, str]]:
    await services.conversations.wait_until_idle(ann.who, conversation_id, 10)
    shown = await services.conversations.transcript(ann.who, conversation_id)
    return [(m["role"], m["text"]) for m in shown.messages]


async def count(services: Services, who: Principal) -> int:
    return len((await services.conversations.list(who)).rows)


async def test_a_first_message_begins_the_conversation(services: Services, ann: Member, other: Other) -> None:
    answer = await other.post(
        {"user_id": "u1", "text": "I need a visit", "contact": {"name": "Olena"}, "language": "uk"}
    )
    assert answer.status_code == 202
    (event,) = answer.json()["events"]
    assert event["is_new"]
    talk = event["conversation_id"]
    assert await transcript(services, ann, talk) == [("contact", "I need a visit"), ("agent", "What is your name?")]
    again = await other.post({"user_id": "u1", "text": "Ann"})
    assert again.json()["events"] == [{"conversation_id": talk, "is_new": True}]
    said = await transcript(services, ann, talk)
    assert said[2] == ("contact", "Ann")
    assert said[3][1].startswith("Hello Ann, which day?")
    detail = await services.conversations.get(ann.who, talk)
    assert (detail.row.contact_name, detail.row.channel, detail.row.language) == ("Olena", "webhook", "uk")


async def test_an_ended_conversation_begins_anew(services: Services, ann: Member, other: Other) -> None:
    first = (await other.post()).json()["events"][0]["conversation_id"]
    await services.conversations.end(ann.who, first)
    second = (await other.post({"user_id": "u1", "text": "again"})).json()["events"][0]["conversation_id"]
    assert second != first
    assert (await transcript(services, ann, second))[0] == ("contact", "again")


async def test_a_button_reaches_the_step(services: Services, ann: Member, other: Other) -> None:
    talk = (await other.post()).json()["events"][0]["conversation_id"]
    await transcript(services, ann, talk)
    await other.post({"user_id": "u1", "text": "Ann"})
    await transcript(services, ann, talk)
    await other.post({"user_id": "u1", "option_id": "tue"})
    said = await transcript(services, ann, talk)
    assert said[-1] == ("agent", "See you then.")
    assert (await services.conversations.get(ann.who, talk)).row.status == "ended"


FORGED = {
    "no headers": {"webhook-id": "", "webhook-timestamp": "", "webhook-signature": ""},
    "no id": {"webhook-id": ""},
    "no time": {"webhook-timestamp": ""},
    "no signature": {"webhook-signature": ""},
    "another id": {"webhook-id": "msg_other"},
    "a time that is none": {"webhook-timestamp": "soon"},
    "a huge time": {"webhook-timestamp": "9" * 400},
    "an empty version": {"webhook-signature": "v1,"},
    "another version": {"webhook-signature": "v1a,AAAA"},
    "many signatures": {"webhook-signature": " ".join(["v1,AAAA"] * 500)},
}


@pytest.mark.parametrize("name", FORGED)
async def test_forged_headers_are_refused(services: Services, ann: Member, other: Other, name: str) -> None:
    answer = await other.post(headers=FORGED[name])
    assert answer.status_code == 401
    assert answer.json()["code"] == "signature_refused"
    assert other.secret not in answer.text
    assert await count(services, ann.who) == 0


async def test_wrong_keys_and_stale_times_are_refused(services: Services, ann: Member, other: Other) -> None:
    now = datetime.now(UTC)
    assert (await other.post(secret=new_secret())).status_code == 401
    for minutes in (-6, 6):
        assert (await other.post(at=now + timedelta(minutes=minutes))).status_code == 401
    for minutes in (-4, 4):
        assert (await other.post(at=now + timedelta(minutes=minutes))).status_code == 202
    assert await count(services, ann.who) == 1


async def test_one_right_signature_of_several_is_enough(other: Other) -> None:
    body, now = b'{"user_id": "u1", "text": "hi"}', datetime.now(UTC)
    headers = signatures.signed_headers([new_secret(), other.secret], "m1", now, body)
    assert (await other.client.post(other.row.path, content=body, headers=headers)).status_code == 202
    changed = body.replace(b"hi", b"ho")
    assert (await other.client.post(other.row.path, content=changed, headers=headers)).status_code == 401


async def test_repeats_are_answered_once(services: Services, ann: Member, other: Other) -> None:
    answers = await asyncio.gather(*(other.post(key="m1") for _ in range(10)))
    assert {a.status_code for a in answers} == {202}
    events = [a.json()["events"][0] for a in answers]
    assert sum(e["is_new"] for e in events) == 1
    (talk,) = {e["conversation_id"] for e in events}
    assert len(await transcript(services, ann, talk)) == 2
    # Two different first messages of one person at once make one conversation as well.
    both = await asyncio.gather(*(other.post({"user_id": "u2", "text": f"m{n}"}) for n in range(5)))
    assert len({a.json()["events"][0]["conversation_id"] for a in both}) == 1


async def test_a_changed_body_under_a_known_key_is_ignored(services: Services, ann: Member, other: Other) -> None:
    talk = (await other.post(key="m1")).json()["events"][0]["conversation_id"]
    for event in ({"user_id": "u1", "text": "changed"}, {"user_id": "somebody else", "text": "changed"}):
        answer = await other.post(event, key="m1")
        assert answer.status_code == 202
        assert answer.json()["events"] == [{"conversation_id": talk, "is_new": False}]
    assert await transcript(services, ann, talk) == [("contact", "hello"), ("agent", "What is your name?")]
    assert await count(services, ann.who) == 1


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"user_id": "u1", "kind": "status", "text": "read"}, 202),
        ({"user_id": "u1", "kind": "edit", "text": "x"}, 202),
        ({"user_id": "u1", "kind": "reaction"}, 202),
        ({"user_id": "u1"}, 422),
        ({"text": "hello"}, 422),
        ({"user_id": "", "text": "hello"}, 422),
        ({"user_id": "u" * 201, "text": "hello"}, 422),
        ({"user_id": "u1", "text": "x" * 64_001}, 422),
        (b"not json", 422),
        (b"[]", 422),
        (b"\xff\xfe", 422),
    ],
)
async def test_what_is_no_message_starts_nothing(
    services: Services, ann: Member, other: Other, event: Any, status: int
) -> None:  # fmt: skip
    assert (await other.post(event)).status_code == status
    assert await count(services, ann.who) == 0


async def test_a_body_that_is_too_large_is_cut_off(other: Other) -> None:
    assert (await other.post(b"x" * 1_000_001)).status_code == 413


async def test_nobody_answers_at_a_closed_door(services: Services, ann: Member, agent: Any, other: Other) -> None:
    assert (await other.post()).status_code == 202
    await services.channel_setup.set_on(ann.who, other.row.id, False)
    answer = await other.post()
    assert (answer.status_code, answer.json()["params"]["reason"]) == (409, "channel_off")
    await services.channel_setup.set_on(ann.who, other.row.id, True)
    await services.agents.set_on(ann.who, agent.id, False)
    assert (await other.post({"user_id": "new", "text": "hi"})).json()["params"]["reason"] == "agent_off"
    # Whoever talks already is answered to the end.
    assert (await other.post()).status_code == 202
    await services.channel_setup.delete(ann.who, other.row.id)
    assert (await other.post()).status_code in (401, 404)
    other.row = other.row.__class__(**{f: getattr(other.row, f) for f in other.row.__slots__} | {"path": "/hooks/no/x"})
    assert (await other.post()).status_code == 404


async def test_a_new_secret_leaves_the_old_one_valid_for_a_day(
    services: Services, ann: Member, other: Other, admin: Any
) -> None:
    assert (await other.post()).status_code == 202
    row, fresh = await services.channel_setup.rotate_secret(ann.who, other.row.id)
    assert row.previous_until is not None
    assert abs(row.previous_until - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)
    for secret in (other.secret, fresh):
        assert (await other.post(secret=secret)).status_code == 202
    admin.execute("UPDATE channel SET previous_until = now(), revision = revision + 1 WHERE id = %s", (row.id,))
    assert (await other.post(secret=fresh)).status_code == 202
    assert (await other.post(secret=other.secret)).status_code == 401


async def test_secrets_are_sealed_and_survive_new_data_keys(
    services: Services, ann: Member, other: Other, admin: Any
) -> None:
    stored = str(admin.execute("SELECT settings, secrets FROM channel WHERE id = %s", (other.row.id,)).fetchone())
    assert other.secret not in stored
    assert other.secret.removeprefix("whsec_") not in stored
    await services.vault.renew(ann.who.workspace_id)
    assert (await other.post()).status_code == 202


async def test_only_an_administrator_lets_a_channel_reach_inside(services: Services, ann: Member, agent: Any) -> None:
    editor = Principal(ann.who.workspace_id, ann.who.member_id, "editor", PERMISSIONS["editor"])
    setup = services.channel_setup
    inside = {"url": "http://10.0.0.5:9000/hook", "allow_private_host": True}
    with pytest.raises(AccessDenied):
        await setup.create(editor, agent.id, "webhook", settings=inside)
    row, _ = await setup.create(ann.who, agent.id, "webhook", settings=inside)
    with pytest.raises(AccessDenied):
        await setup.update(editor, row.id, settings={"url": "http://10.0.0.6/other"})
    assert (await setup.update(editor, row.id, label="Ours")).label == "Ours"
    assert (await setup.update(editor, row.id, settings={"allow_private_host": False})).settings["url"] == inside["url"]
    for url in ("", "ftp://x", "https://user:pw@example.com", "javascript:alert(1)"):
        with pytest.raises(InputInvalid):
            await setup.update(editor, row.id, settings={"url": url})
    viewer = Principal(ann.who.workspace_id, ann.who.member_id, "viewer", PERMISSIONS["viewer"])
    assert [r.id for r in await setup.list(viewer, agent.id)] == [row.id]
    with pytest.raises(AccessDenied):
        await setup.rotate_secret(viewer, row.id)


async def test_an_answer_leaves_for_the_other_side(services: Services, ann: Member, other: Other, admin: Any) -> None:
    talk = (await other.post()).json()["events"][0]["conversation_id"]
    await transcript(services, ann, talk)
    rows = admin.execute("SELECT recipient, state FROM outbox WHERE conversation_id = %s", (talk,)).fetchall()
    assert rows == [("u1", "pending")]


async def test_the_worker_as_it_is_built_delivers_in_both_directions(
    services: Services, ann: Member, agent: Any, anonymous: httpx2.AsyncClient
) -> None:
    with receiving() as fake:
        lane = fake.lane()
        settings = {"url": fake.url(lane), "allow_private_host": True}
        row, secret = await services.channel_setup.create(ann.who, agent.id, "webhook", settings=settings)
        stop = asyncio.Event()
        worker = asyncio.create_task(work(services.conversation_side, stop, deliveries=services.deliveries))
        answer = await Other(anonymous, row, secret).post()
        async with asyncio.timeout(10):
            while not lane.accepted:  # noqa: ASYNC110  # another thread takes it in
                await asyncio.sleep(0.01)
        stop.set()
        await worker
    (arrived,) = lane.accepted
    assert arrived.data["text"] == "What is your name?"
    assert arrived.data["conversation_id"] == answer.json()["events"][0]["conversation_id"]
    signatures.verify([secret], arrived.headers, arrived.body, datetime.now(UTC))


def test_the_address_is_not_there_for_others(address: Address) -> None:
    hooks = [r for r in address.app.router.routes if getattr(r, "path", "").startswith("/hooks/")]
    assert [sorted(r.methods) for r in hooks] == [["POST"]] * 3


async def test_many_at_once_are_stored_together_and_wait_for_nobodys_lock(
    services: Services, ann: Member, other: Other, admin: Any
) -> None:
    senders = [f"many{n}" for n in range(24)]
    begun = await asyncio.gather(*(other.post({"user_id": name, "text": "hello"}) for name in senders))
    talks = [answer.json()["events"][0]["conversation_id"] for answer in begun]
    assert len(set(talks)) == len(senders)
    for talk in talks:
        await services.conversations.wait_until_idle(ann.who, talk, 10)
    with admin.transaction():
        admin.execute("SELECT 1 FROM conversation WHERE id = %s FOR UPDATE", (talks[7],))
        posts = [
            asyncio.create_task(other.post({"user_id": name, "text": f"I am {name}"}, key=name)) for name in senders
        ]
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*(p for n, p in enumerate(posts) if n != 7))
        assert {a.status_code for a in answers} == {202}
        assert not posts[7].done()
    assert (await posts[7]).json()["events"] == [{"conversation_id": talks[7], "is_new": True}]
    again = await asyncio.gather(*(other.post({"user_id": n, "text": f"I am {n}"}, key=n) for n in senders))
    assert [a.json()["events"][0]["is_new"] for a in again] == [False] * len(senders)
    for name, talk in zip(senders, talks, strict=True):
        said = [text for role, text in await transcript(services, ann, talk) if role == "contact"]
        assert said == ["hello", f"I am {name}"]
