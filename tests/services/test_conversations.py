"""The conversation service: who may do what, and what people are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, NotFound, TooLarge
from graph_runtime.contract.messages import Reply
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import PERMISSIONS, Principal, Role
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import Process, process, publish
from tests.engine.small_nodes import flow

FLOW = flow(
    {
        "s": ("start", {}),
        "q": ("ask", {"text": "Name?"}),
        "b": ("say", {"text": "Hi {{ var.answer }}"}),
        "e": ("end", {}),
    },
    {"s.next": "q", "q.answered": "b", "b.next": "e"},
)


def member(access: ChannelAccess, role: Role = "owner") -> Principal:
    return Principal(access.workspace_id, None, role, PERMISSIONS.get(role, frozenset()))


@pytest.fixture
async def p(postgres: EmbeddedPostgres) -> AsyncIterator[Process]:
    async with process(postgres.app_url) as side:
        yield side


@pytest.fixture
def access(postgres: EmbeddedPostgres) -> ChannelAccess:
    return publish(postgres.admin_url, FLOW)


async def test_a_contact_reaches_only_their_own_conversation(p: Process, access: ChannelAccess) -> None:
    conversation = await p.begin(access)
    stranger = replace(access, external_user_id="somebody else")
    service = p.conversations
    for wrong in (stranger, replace(access, workspace_id=str(uuid4())), replace(access, channel_id=str(uuid4()))):
        with pytest.raises(NotFound):
            await service.receive(wrong, conversation, Reply(text="x"), dedupe_key="k")
        with pytest.raises(NotFound):
            await service.transcript(wrong, conversation)
        with pytest.raises(NotFound):
            await service.wait_for_turn(wrong, conversation, str(uuid4()), 0.1)
        with pytest.raises(NotFound):
            await service.restart(wrong, conversation, dedupe_key="r")
        with pytest.raises(NotFound):
            async with service.watch(wrong, conversation):
                pass
    assert await service.current(stranger) is None
    assert await service.current(access) == conversation
    assert await p.texts(access, conversation) == ["Name?"]


async def test_other_workspaces_and_narrow_roles_are_turned_away(
    p: Process, access: ChannelAccess, postgres: EmbeddedPostgres
) -> None:
    conversation = await p.begin(access)
    foreign = member(publish(postgres.admin_url, FLOW))
    with pytest.raises(NotFound):
        await p.conversations.get(foreign, conversation)
    with pytest.raises(NotFound):
        await p.conversations.receive(foreign, conversation, Reply(text="x"), dedupe_key="k")
    assert (await p.conversations.list(foreign)).rows == []
    with pytest.raises(NotFound):
        await p.conversations.end(foreign, conversation)
    assert (await p.conversations.transcript(access, conversation)).status == "open"
    viewer, nobody = member(access, "viewer"), member(access, "api")
    with pytest.raises(AccessDenied):
        await p.conversations.end(viewer, conversation)
    with pytest.raises(AccessDenied):
        await p.conversations.start(viewer, agent_id=access.agent_id, dedupe_key="k")
    with pytest.raises(AccessDenied):
        await p.conversations.list(nobody)
    with pytest.raises(AccessDenied):
        await p.conversations.get(nobody, conversation)


@pytest.mark.parametrize("wrong", ["", "x", "1; drop table message", "00000000-0000-0000-0000-000000000000", "é" * 500])
async def test_ids_that_are_none_are_simply_not_found(p: Process, access: ChannelAccess, wrong: str) -> None:
    for who in (access, member(access)):
        with pytest.raises(NotFound):
            await p.conversations.transcript(who, wrong)
        with pytest.raises(NotFound):
            await p.conversations.receive(who, wrong, Reply(text="x"), dedupe_key="k")
    with pytest.raises(NotFound):
        await p.conversations.start(member(access), agent_id=wrong, dedupe_key="k")


async def test_an_agent_that_is_off_or_unpublished_says_so(
    p: Process, access: ChannelAccess, postgres: EmbeddedPostgres
) -> None:
    off = publish(postgres.admin_url, FLOW, is_on=False)
    with pytest.raises(Conflict, match="switched off"):
        await p.conversations.start(off, dedupe_key="k")
    bare = publish(postgres.admin_url, FLOW, is_live=False)
    with pytest.raises(Conflict, match="publish"):
        await p.conversations.start(bare, dedupe_key="k")
    with pytest.raises(NotFound):
        await p.conversations.start(replace(access, agent_id=str(uuid4())), dedupe_key="k")


async def test_a_test_runs_a_snapshot_of_an_agent_that_is_off(
    p: Process, postgres: EmbeddedPostgres, access: ChannelAccess
) -> None:
    off = publish(postgres.admin_url, FLOW, is_on=False)
    version = off_version(postgres, off)
    principal = member(off)
    conversation = await p.conversations.start(
        principal, agent_id=off.agent_id, dedupe_key="t", is_test=True, version_id=version, language="uk"
    )
    await p.settle()
    transcript = await p.conversations.transcript(principal, conversation)
    assert ([m["text"] for m in transcript.messages], transcript.language) == (["Name?"], "uk")
    assert (await p.conversations.list(principal)).rows == []
    assert [r.id for r in (await p.conversations.list(principal, is_test=True)).rows] == [conversation]
    with pytest.raises(Conflict):
        await p.conversations.start(
            member(access), agent_id=access.agent_id, dedupe_key="t", is_test=True, version_id=version
        )


def off_version(postgres: EmbeddedPostgres, access: ChannelAccess) -> str:
    import psycopg

    with psycopg.connect(postgres.admin_url) as connection:
        row = connection.execute(
            "SELECT id::text FROM version WHERE workspace_id = %s", (access.workspace_id,)
        ).fetchone()
    assert row is not None
    return str(row[0])


async def test_texts_have_a_limit_and_are_cleaned(p: Process, access: ChannelAccess) -> None:
    conversation = await p.begin(access)
    for text in ("я" * 500_000, "a" * 64_001):
        with pytest.raises(TooLarge, match="64 kB"):
            await p.conversations.receive(access, conversation, Reply(text=text), dedupe_key="big")
    await p.say(access, conversation, "a\ud800b\x00c\u202e😀 Ї")
    assert (await p.texts(access, conversation))[1:] == ["> a\ufffdb\ufffdc\u202e😀 Ї", "Hi a\ufffdb\ufffdc\u202e😀 Ї"]


async def test_a_conversation_that_is_over_says_so_and_a_new_one_may_begin(p: Process, access: ChannelAccess) -> None:
    conversation = await p.begin(access)
    await p.say(access, conversation, "Bo")
    with pytest.raises(Conflict, match="over") as told:
        await p.conversations.receive(access, conversation, Reply(text="more"), dedupe_key="more")
    assert told.value.params["reason"] == "conversation_ended"
    assert await p.conversations.current(access) is None
    assert await p.begin(access) != conversation


async def test_a_restart_begins_again_even_after_the_end(p: Process, access: ChannelAccess) -> None:
    conversation = await p.begin(access)
    await p.say(access, conversation, "Bo")
    await p.conversations.restart(access, conversation, dedupe_key="r")
    await p.settle()
    await p.say(access, conversation, "Al")
    assert (await p.texts(access, conversation))[-3:] == ["Name?", "> Al", "Hi Al"]


async def test_a_member_ends_a_conversation(p: Process, access: ChannelAccess) -> None:
    conversation = await p.begin(access)
    await p.conversations.end(member(access), conversation, result="solved")
    detail = await p.conversations.get(member(access), conversation)
    assert (detail.row.status, detail.row.result) == ("ended", "solved")


async def test_the_answer_to_a_message_can_be_waited_for(
    p: Process, access: ChannelAccess, postgres: EmbeddedPostgres
) -> None:
    conversation = await p.begin(access)
    accepted = await p.conversations.receive(access, conversation, Reply(text="Bo"), dedupe_key="1")
    answer = await p.conversations.wait_for_turn(access, conversation, accepted.inbox_id, 10)
    assert [m["text"] for m in answer or []] == ["Hi Bo"]
    async with process(postgres.app_url) as elsewhere:
        same = await elsewhere.conversations.wait_for_turn(access, conversation, accepted.inbox_id, 10)
        assert [m["seq"] for m in same or []] == [3]


async def test_the_answer_in_another_conversation_cannot_be_asked_for(p: Process, access: ChannelAccess) -> None:
    theirs = await p.begin(access)
    accepted = await p.say(access, theirs, "Bo")
    stranger = replace(access, external_user_id="visitor:stranger")
    mine = await p.begin(stranger)
    assert not await p.conversations.wait_for_turn(stranger, mine, accepted.inbox_id, 1)


async def test_the_detail_shows_the_steps_beside_the_messages(p: Process, access: ChannelAccess) -> None:
    conversation = await p.begin(access, contact={"first_name": "Bo", "last_name": "Li"})
    await p.say(access, conversation, "Bo")
    detail = await p.conversations.get(member(access), conversation)
    assert [(m["role"], m["node_id"]) for m in detail.messages] == [("agent", "q"), ("contact", ""), ("agent", "b")]
    assert [[step[:2] for step in turn["steps"]] for turn in detail.turns] == [
        [["s", "next"], ["q", ""]],
        [["q", "answered"], ["b", "next"], ["e", ""]],
    ]
    assert detail.steps["b"]["type"] == "say"
    assert (detail.row.contact_name, detail.row.agent_name, detail.version_number) == ("Bo Li", "Agent", 1)
    contact = await p.contacts.get(member(access), detail.row.contact_id)
    assert contact["fields"]["first_name"] == "Bo"


async def test_the_list_pages_filters_and_searches(p: Process, access: ChannelAccess) -> None:
    conversations = []
    for i in range(5):
        someone = replace(access, external_user_id=f"u{i}")
        conversations.append(await p.begin(someone))
        await p.say(someone, conversations[-1], f"name-{i} 100%")
    reader = member(access)
    found, cursor = [], ""
    while True:
        rows, cursor = await p.conversations.list(reader, limit=2, cursor=cursor)
        found += [r.id for r in rows]
        if not cursor:
            break
    assert found == conversations[::-1]
    assert [r.id for r in (await p.conversations.list(reader, search="name-3 100%")).rows] == [conversations[3]]
    assert (await p.conversations.list(reader, search="name%3")).rows == []
    assert (await p.conversations.list(reader, status="open")).rows == []
    with pytest.raises(InputInvalid):
        await p.conversations.list(reader, cursor="nonsense")
