"""Every way in × {nobody, the owner, another workspace, a key without the scope}; a new way in must be entered here."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import httpx2
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

from graph_runtime.api.limits import Windows
from graph_runtime.api.routes.phone import WRONG_SECRETS
from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, Member, key_client
from tests.api.flows import GREETING
from tests.api.sockets import page, refused

SCOPES = (
    "conversations:write",
    "conversations:read",
    "conversations:answer",
    "flows:read",
    "flows:write",
    "flows:publish",
    "knowledge:read",
    "knowledge:write",
    "events:read",
    "events:write",
)
Guard = Literal["public", "member", "visitor", "key", "hook", "line"]


@dataclass(frozen=True)
class Way:
    """How one route is called. `scope`: what a key needs; `owner`: what its owner gets; `other`: what a stranger gets."""

    guard: Guard
    scope: str = ""
    body: Any = None
    owner: int = 200
    other: int = 200
    query: dict[str, Any] = field(default_factory=dict)


EDITS = {"client": "t", "seq": 1, "base_revision": 1, "edits": [{"kind": "rename_flow", "name": "Mine now"}]}
BIND = {"connector": "demo_model", "model": "demo"}
WRITE = "conversations:write"
ANSWER = "conversations:answer"
WEBHOOK = {"connector": "webhook", "settings": {"url": "https://example.com/hook"}}
CHAIN = {"steps": [{"id": "note", "kind": "notify", "text": "Ring"}]}
CHAIN_DRAFT = {"revision": 9, "document": CHAIN}
SUBSCRIPTION = {"url": "https://example.com/events", "types": ["turn.ended"]}

WAYS: dict[str, Way] = {
    "GET /health/live": Way("public"),
    "GET /health/ready": Way("public"),
    "GET /metrics": Way("public"),
    "GET /api/owner": Way("public"),
    "POST /api/owner": Way("public", body={}, owner=422, other=422),
    "POST /api/session": Way("public", body={}, owner=422, other=422),
    "GET /api/docs": Way("public"),
    "GET /api/docs.css": Way("public"),
    "GET /api/openapi.json": Way("public"),
    "GET /api/v1/schema/flow-1.json": Way("public"),
    "GET /chat/{public_id}": Way("public", owner=0, other=0),
    "GET /widget/{public_id}": Way("public", owner=0, other=0),
    # Of a base whose sources clients may open; the document of this world is in none.
    "GET /sources/{public_id}": Way("public", owner=404, other=404),
    "GET /sources/{public_id}/file": Way("public", owner=404, other=404),
    "GET /widget.js": Way("public", owner=0, other=0),
    "* /api/{rest:path}": Way("public", owner=404, other=404),
    # The public id is what a visitor knows; there is no other workspace to be a stranger to.
    "GET /api/chat/{public_id}": Way("public"),
    "POST /api/chat/{public_id}/files": Way("visitor"),
    "GET /api/chat/{public_id}/files/{file_id}": Way("visitor"),
    "GET /api/builder/catalog": Way("member"),
    "POST /api/builder/ports": Way("member", body={"type": "start"}),
    "GET /api/builder/chains": Way("member"),
    "GET /api/builder/flows/{flow_id}": Way("member", other=404),
    "POST /api/builder/flows/{flow_id}/edits": Way("member", body=EDITS, owner=409, other=404),
    "GET /api/builder/flows/{flow_id}/publish": Way("member", other=404),
    "POST /api/builder/flows/{flow_id}/publish": Way("member", body={"revision": 2}, other=404),
    "GET /api/builder/flows/{flow_id}/versions": Way("member", other=404),
    "POST /api/builder/flows/{flow_id}/restore": Way("member", body={"number": 1}, other=404),
    "GET /api/builder/files/{file_id}": Way("member", other=404),
    "POST /api/builder/conversations/{conversation_id}/files": Way("member", body={"a": "file"}, owner=201, other=404),
    "GET /api/builder/calls/{call_id}/recording": Way("member", other=404),
    "POST /api/builder/knowledge/{base_id}/documents": Way("member", body={"a": "file"}, owner=201, other=404),
    "GET /api/builder/knowledge/documents/{document_id}/file": Way("member", other=404),
    "POST /api/builder/knowledge/{base_id}/imports": Way(
        "member", body=[{"question": "Hours?", "answer": "From nine."}], owner=202, other=404
    ),
    "GET /api/builder/knowledge/{base_id}/pairs.csv": Way("member", other=404),
    "GET /api/builder/knowledge/{base_id}/knowledge.zip": Way("member", other=404),
    "GET /api/builder/knowledge/{base_id}/knowledge.json": Way("member", other=404),
    "DELETE /api/builder/calls/{call_id}/recording": Way("member", owner=204, other=404),
    "POST /api/builder/agents/{agent_id}/flows": Way("member", body={"name": "Sub"}, owner=201, other=404),
    "PUT /api/builder/agents/{agent_id}/connections/{slot}": Way("member", body=BIND, owner=204, other=404),
    # Nothing is bound to the slot; tests/services/test_connections.py has a system that answers.
    "GET /api/builder/agents/{agent_id}/connections/{slot}/options": Way("member", owner=422, other=404),
    "GET /api/builder/agents/{agent_id}/connections/{slot}/record": Way("member", owner=422, other=404),
    # Only some steps can be tried; tests/services/test_connections.py tries one.
    "POST /api/builder/flows/{flow_id}/steps/{node_id}/try": Way("member", body={}, owner=404, other=404),
    # The visit is over: back to the page, which says so. tests/services/test_oauth.py comes in time.
    "GET /oauth/callback": Way("member", owner=303, other=303),
    "GET /api/builder/agents/{agent_id}/channels": Way("member", other=404),
    "POST /api/builder/agents/{agent_id}/channels": Way("member", body=WEBHOOK, owner=201, other=404),
    "PATCH /api/builder/channels/{channel_id}": Way("member", body={"label": "Ours"}, other=404),
    "POST /api/builder/channels/{channel_id}/secret": Way("member", other=404),
    "DELETE /api/builder/channels/{channel_id}": Way("member", other=404),
    # Whoever signs with the channel's secret may come in; tests/connectors/test_webhook_hooks.py signs.
    # Whoever knows the address may say that something changed: it is read before it is believed.
    "POST /hooks/crm/{crm_public_id}": Way("line", body={}, owner=404, other=404),
    "POST /hooks/trigger/{trigger_public_id}": Way("hook", body={}, owner=401, other=401),
    "POST /hooks/{connector}/{channel_public_id}": Way("hook", body={}, owner=401, other=401),
    # Whoever knows a line's secret, from inside the network; tests/api/test_phone.py does.
    "GET /phone/{secret}/announce": Way("line", owner=404, other=404),
    "GET /phone/{secret}/answered": Way("line", owner=404, other=404),
    "GET /phone/{secret}/failed": Way("line", owner=404, other=404),
    "GET /phone/{secret}/whisper": Way("line", owner=404, other=404),
    "GET /phone/{secret}/whispered": Way("line", owner=404, other=404),
    "GET /phone/{secret}/next": Way("line", owner=404, other=404),
    "GET /phone/{secret}/hangup": Way("line", owner=404, other=404),
    "POST /api/v1/agents/{agent_id}/conversations": Way("key", WRITE, body={}, owner=201, other=404),
    "POST /api/v1/conversations/{conversation_id}/messages": Way("key", WRITE, body={"text": "Ann"}, other=404),
    # Of a line; the channel of this world is none. tests/api/test_v1_calls.py has one.
    "POST /api/v1/lines/{channel_id}/calls": Way("key", WRITE, body={"number": "100"}, owner=404, other=404),
    "GET /api/builder/contacts/contacts.csv": Way("member"),
    "GET /api/builder/contacts/{contact_id}/data.zip": Way("member", other=404),
    "POST /api/builder/contacts/files": Way("member", body={}, owner=422, other=422),
    "GET /api/v1/contacts": Way("key", "conversations:read"),
    "POST /api/v1/contacts": Way("key", WRITE, body={"name": "Ann"}, owner=201, other=201),
    "GET /api/v1/contacts/{contact_id}": Way("key", "conversations:read", other=404),
    "PATCH /api/v1/contacts/{contact_id}": Way("key", WRITE, body={"name": "Bo"}, other=404),
    "POST /api/v1/contacts/{contact_id}/tags": Way("key", WRITE, body={"add": ["a"]}, other=404),
    "PUT /api/v1/contacts/{contact_id}/opt-out": Way("key", WRITE, body={"opted_out": True}, other=404),
    "GET /api/v1/calls/{call_id}": Way("key", "conversations:read", owner=404, other=404),
    "GET /api/v1/hand-offs": Way("key", ANSWER),
    "GET /api/v1/queues": Way("key", ANSWER),
    "POST /api/v1/conversations/{conversation_id}/accept": Way("key", ANSWER, owner=204, other=404),
    "POST /api/v1/conversations/{conversation_id}/reply": Way("key", ANSWER, body={"text": "Hi"}, owner=201, other=404),
    "POST /api/v1/conversations/{conversation_id}/give-back": Way("key", ANSWER, body={}, owner=204, other=404),
    "POST /api/v1/conversations/{conversation_id}/release": Way("key", ANSWER, owner=409, other=404),
    "GET /api/v1/approvals": Way("key", ANSWER),
    # Its conversation was taken a moment ago, so it does not wait any more; test_v1_hand_offs.py decides about one.
    "POST /api/v1/approvals/{approval_id}": Way("key", ANSWER, body={"decision": "send"}, owner=409, other=404),
    "GET /api/v1/lines": Way("key", "conversations:read", owner=200, other=200),
    "GET /api/v1/conversations": Way("key", "conversations:read"),
    "GET /api/v1/conversations/{conversation_id}": Way("key", "conversations:read", other=404),
    "GET /api/v1/conversations/{conversation_id}/messages": Way("key", "conversations:read", other=404),
    "GET /api/v1/conversations/{conversation_id}/events": Way("key", "conversations:read", other=404),
    "POST /api/v1/conversations/{conversation_id}/end": Way("key", WRITE, owner=204, other=404),
    "GET /api/v1/chains": Way("key", "conversations:read"),
    "POST /api/v1/chains": Way("key", "flows:write", body={"name": "Mine"}, owner=201, other=201),
    "GET /api/v1/chains/{chain_id}": Way("key", "conversations:read", other=404),
    "PUT /api/v1/chains/{chain_id}/draft": Way("key", "flows:write", body=CHAIN_DRAFT, owner=409, other=404),
    "POST /api/v1/chains/{chain_id}/publish": Way("key", "flows:publish", other=404),
    "GET /api/v1/chains/{chain_id}/preview": Way("key", "conversations:read", other=404),
    "POST /api/v1/chains/{chain_id}/enrollments": Way("key", WRITE, body={}, other=404),
    # A list of another workspace is empty, and so is what is done to it.
    "GET /api/v1/chains/{chain_id}/enrollments": Way("key", "conversations:read"),
    "POST /api/v1/chains/{chain_id}/enrollments/{act}": Way("key", WRITE, body={"enrollments": ["x"]}),
    "GET /api/v1/agents": Way("key", "flows:read"),
    "GET /api/v1/agents/{agent_id}": Way("key", "flows:read", other=404),
    "GET /api/v1/flows": Way("key", "flows:read"),
    "GET /api/v1/flows/{flow_id}": Way("key", "flows:read", other=404),
    "GET /api/v1/flows/{flow_id}/versions": Way("key", "flows:read", other=404),
    "PUT /api/v1/flows/{flow_id}/draft": Way("key", "flows:write", body=GREETING, other=404),
    "POST /api/v1/flows/{flow_id}/publish": Way("key", "flows:publish", body={}, other=404),
    "GET /api/v1/triggers": Way("key", "flows:read"),
    "POST /api/v1/triggers/{trigger_id}/fire": Way("key", WRITE, body={}, owner=202, other=404),
    "GET /api/v1/triggers/{trigger_id}/occasions/{occasion_id}": Way("key", "conversations:read", other=404),
    "GET /api/v1/agents/{agent_id}/update-rules": Way("key", "flows:read", other=404),
    "GET /api/v1/update-changes": Way("key", "conversations:read"),
    # Its field was changed by somebody since; tests/services/test_update_rules.py undoes and decides.
    "POST /api/v1/update-changes/{change_id}/accept": Way("key", WRITE, owner=409, other=404),
    "POST /api/v1/update-changes/{change_id}/reject": Way("key", WRITE, owner=409, other=404),
    "POST /api/v1/update-changes/{change_id}/undo": Way("key", WRITE, owner=409, other=404),
    "GET /api/v1/knowledge-bases": Way("key", "knowledge:read"),
    "GET /api/v1/knowledge-bases/{base_id}/documents": Way("key", "knowledge:read", other=404),
    "POST /api/v1/knowledge-bases/{base_id}/articles": Way(
        "key", "knowledge:write", body={"title": "Mine", "text": "Text."}, owner=201, other=404
    ),
    "POST /api/v1/knowledge-bases/{base_id}/files": Way("key", "knowledge:write", body={"a": 1}, owner=201, other=404),
    "POST /api/v1/knowledge-bases/{base_id}/search": Way("key", "knowledge:read", body={"query": "Text"}, other=404),
    "GET /api/v1/documents/{document_id}": Way("key", "knowledge:read", other=404),
    # The document of this world is a file; test_v1_knowledge.py changes an article.
    "PUT /api/v1/documents/{document_id}": Way(
        "key", "knowledge:write", body={"title": "T", "text": "Text."}, owner=422, other=404
    ),
    "GET /api/v1/event-subscriptions": Way("key", "events:read"),
    "POST /api/v1/event-subscriptions": Way("key", "events:write", body=SUBSCRIPTION, owner=201, other=201),
    "GET /api/v1/event-subscriptions/{subscription_id}": Way("key", "events:read", other=404),
    "PATCH /api/v1/event-subscriptions/{subscription_id}": Way(
        "key", "events:write", body={"description": "Ours"}, other=404
    ),
    "POST /api/v1/event-subscriptions/{subscription_id}/secret": Way("key", "events:write", body={}, other=404),
    "GET /api/v1/event-subscriptions/{subscription_id}/deliveries": Way("key", "events:read", other=404),
    "GET /api/v1/event-subscriptions/{subscription_id}/deliveries/{delivery_id}": Way("key", "events:read", other=404),
    "POST /api/v1/event-subscriptions/{subscription_id}/deliveries/{delivery_id}/replay": Way(
        "key", "events:write", owner=202, other=404
    ),
    "POST /api/v1/event-subscriptions/{subscription_id}/replay": Way(
        "key", "events:write", body={"since": "2026-11-21T09:30:00Z"}, owner=202, other=404
    ),
    "POST /api/v1/event-subscriptions/{subscription_id}/test": Way("key", "events:write", owner=202, other=404),
    "DELETE /api/v1/event-subscriptions/{subscription_id}": Way("key", "events:write", owner=204, other=404),
    "DELETE /api/v1/documents/{document_id}": Way("key", "knowledge:write", owner=204, other=404),
    # Last, because the session is over afterwards.
    "DELETE /api/session": Way("member", owner=204, other=204),
}
SOCKETS = {"/ws/editor/{flow_id}", "/ws/talk/{ticket}", "/ws/inbox", "/ws/chat/{public_id}", "/ws/{rest:path}"}


@dataclass
class World:
    """Two workspaces: Acme, which owns everything named in `ids`, and Globex."""

    owner: httpx2.AsyncClient
    other: httpx2.AsyncClient
    owner_key: httpx2.AsyncClient
    other_key: httpx2.AsyncClient
    ids: dict[str, str]

    def path(self, template: str) -> str:
        template = template.replace("{rest:path}", "nowhere")
        for name, value in self.ids.items():
            template = template.replace("{" + name + "}", value)
        assert "{" not in template
        return template


async def cookie_of(services: Services, who: Principal) -> str:
    assert who.member_id is not None
    token = await services.accounts._new_session(who.workspace_id, who.member_id, "owner", "member.signed_in")
    return f"patchcord_session={token.token}"


async def recorded_call(services: Services, who: Principal, agent_id: str, conversation_id: str) -> str:
    call_id = str(uuid4())
    async with services.database.workspace(who.workspace_id) as connection:
        await connection.execute(
            "INSERT INTO phone_call (id, workspace_id, agent_id, channel_id, conversation_id)"
            " VALUES (%s, %s, %s, uuidv7(), %s)",
            (call_id, who.workspace_id, agent_id, conversation_id),
        )
    await services.call_recordings.keep(who.workspace_id, call_id, (1, 0), b"sound" * 2)
    return call_id


async def held_message(services: Services, who: Principal, conversation_id: str) -> str:
    """A message that waits for approval."""
    async with services.database.workspace(who.workspace_id) as connection:
        cursor = await connection.execute(
            "INSERT INTO held_message (workspace_id, conversation_id, key, parts, text, needs_approval)"
            " VALUES (%s, %s, 'k', '[]', 'secret', true) RETURNING id::text",
            (who.workspace_id, conversation_id),
        )
        row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


@pytest.fixture
async def world(
    admin: Any, services: Services, ann: Member, agent: Any, address: Address, other_workspace: Principal
) -> AsyncIterator[World]:
    conversation_id = await services.conversations.start(ann.who, agent_id=agent.id, dedupe_key="one")
    channel = await services.channels.web_chat(agent.public_id)
    visitor = channel.access("v_1")
    talk = await services.conversations.start(visitor, dedupe_key="v_1:1")
    setting = {"url": "https://example.com/hook"}
    webhook, _ = await services.channel_setup.create(ann.who, agent.id, "webhook", settings=setting)
    file = await services.files.add(visitor, talk, b"%PDF-1.7 secret")
    subscription, _ = await services.event_subscriptions.create(ann.who, setting["url"], ["flow.published"])
    chain = await services.chain_drafts.create(ann.who, "Quote", CHAIN)
    told = await services.event_log.send_test(ann.who, subscription.id)
    contact = await services.contacts.create(ann.who, {"name": "Marta of Acme"})
    asked = {"kind": "webhook", "uses": [{"pointer": "/phone", "as": "phone"}]}
    trigger, _ = await services.triggers.create(
        ann.who, agent.id, {"name": "Leads", "when": asked, "actions": [{"do": "start_flow"}]}
    )
    occasion = await services.trigger_log.fire(ann.who, trigger.id)
    rule = await services.update_rules.create(ann.who, agent.id, {"field": "name", "when": "their name"})
    change = admin.execute(
        "INSERT INTO update_change (workspace_id, agent_id, contact_id, rule_id, check_id, message_seq, rule, field, label, after,"
        " sentence, confidence, state, applied_by) VALUES (%s, %s, %s, %s, gen_random_uuid(), 1,"
        " '{}', 'name', 'Name', '\"A\"', 's', 1, 'applied', '') RETURNING id::text",
        (ann.who.workspace_id, agent.id, contact["id"], rule.id),
    ).fetchone()
    base = await services.knowledge_bases.create(ann.who, "Rules")
    document = await services.knowledge_documents.add_file(ann.who, base.id, "a.txt", b"Open from nine.")
    ids = {
        "contact_id": contact["id"],
        "base_id": base.id,
        "document_id": document.id,
        "trigger_id": trigger.id,
        "change_id": str(change[0]),
        "crm_public_id": "x" * 43,
        "trigger_public_id": trigger.path.rpartition("/")[2],
        "occasion_id": occasion.id,
        "subscription_id": subscription.id,
        "delivery_id": told.id,
        "flow_id": agent.main_flow_id,
        "agent_id": agent.id,
        "conversation_id": conversation_id,
        "file_id": file.file_id,
        "call_id": await recorded_call(services, ann.who, agent.id, conversation_id),
        "public_id": agent.public_id,
        "slot": "main",
        "node_id": "n_nowhere",
        "channel_id": webhook.id,
        "approval_id": await held_message(services, ann.who, conversation_id),
        "connector": "webhook",
        "chain_id": chain.row.id,
        "act": "pause",
        "secret": "guessed" * 8,
        "channel_public_id": webhook.path.rpartition("/")[2],
    }
    headers = {"Cookie": await cookie_of(services, other_workspace), "Origin": address.http}
    async with (
        httpx2.AsyncClient(base_url=address.http, timeout=20, headers=headers) as other,
        await key_client(services, ann.who, address, *SCOPES) as owner_key,
        await key_client(services, other_workspace, address, *SCOPES) as other_key,
    ):
        yield World(ann.client, other, owner_key, other_key, ids)


def served(address: Address) -> dict[str, APIRoute]:
    """Every HTTP route as "METHOD path"; the one that takes all methods as "* path"."""
    found: dict[str, APIRoute] = {}
    for route in address.app.router.routes:
        if isinstance(route, APIRoute):
            methods = ["*"] if len(route.methods or ()) > 5 else sorted(route.methods or ())
            found |= {f"{method} {route.path}": route for method in methods}
    return found


async def call(client: httpx2.AsyncClient, world: World, name: str) -> int:
    """The status of the route's answer; 401 and 403 must be problems."""
    method, template = name.replace("*", "GET").split(" ")
    body = None if WAYS[name].body is None else json.dumps(WAYS[name].body)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    async with client.stream(method, world.path(template), content=body, headers=headers) as answer:
        if answer.status_code in (401, 403, 404) and template.startswith("/api"):
            assert answer.headers["content-type"] == "application/problem+json", name
        return answer.status_code


def test_every_route_is_in_the_table(address: Address) -> None:
    assert set(served(address)) == set(WAYS)
    sockets = {r.path for r in address.app.router.routes if isinstance(r, APIWebSocketRoute)}
    assert sockets == SOCKETS


async def test_nobody_gets_only_what_is_public(address: Address, world: World, anonymous: httpx2.AsyncClient) -> None:
    for name, way in WAYS.items():
        status = await call(anonymous, world, name)
        if way.guard == "public":
            assert status not in (401, 403), name
        elif way.guard == "line":
            assert status == 404, name
        else:
            assert status == 401 or (status == 422 and name.endswith("/files")), f"{name}: {status}"


async def test_the_owner_gets_their_own(world: World) -> None:
    for name, way in WAYS.items():
        if way.guard not in ("visitor", "hook") and way.owner:
            status = await call(world.owner_key if way.guard == "key" else world.owner, world, name)
            assert status == way.owner, f"{name}: {status}"


async def test_another_workspace_finds_nothing(world: World, services: Services, ann: Member, admin: Any) -> None:
    before = rows_of(admin, ann.who)
    for name, way in WAYS.items():
        if way.guard != "visitor" and way.other:
            status = await call(world.other_key if way.guard == "key" else world.other, world, name)
            assert status == way.other, f"{name}: {status}"
    assert rows_of(admin, ann.who) == before


async def test_lists_of_another_workspace_are_empty(world: World) -> None:
    for path, key in (("conversations", "conversations"), ("agents", "agents"), ("flows", "flows")):
        assert (await world.other_key.get(f"/api/v1/{path}")).json()[key] == []
    agents_of_others = await world.other_key.get("/api/v1/flows", params={"agent_id": world.ids["agent_id"]})
    assert agents_of_others.status_code == 404


async def test_a_key_without_the_scope_gets_nothing(
    world: World, services: Services, ann: Member, address: Address
) -> None:
    for name, way in WAYS.items():
        if way.guard == "key":
            rest = [scope for scope in SCOPES if scope != way.scope]
            async with await key_client(services, ann.who, address, *rest) as client:
                assert await call(client, world, name) == 403, name
        if way.guard == "member":
            # A key is not a session.
            assert await call(world.owner_key, world, name) == 401, name


async def test_a_members_cookie_is_not_a_key(world: World) -> None:
    for name, way in WAYS.items():
        if way.guard == "key":
            assert await call(world.owner, world, name) == 401, name


async def test_ids_that_are_none_find_nothing(world: World, address: Address) -> None:
    hostile = ["0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "x", "%00", "' OR 1=1 --", "..%2f..", "9" * 300]
    for name, way in WAYS.items():
        if way.other != 404 or way.guard == "public":
            continue
        for value in hostile:
            address.app.state.phone_misses = Windows(*WRONG_SECRETS)  # guesses are limited, which is not asked here
            ids = dict.fromkeys(world.ids, value) | {"slot": "main"}
            strange = World(world.owner, world.other, world.owner_key, world.other_key, ids)
            status = await call(world.owner_key if way.guard == "key" else world.owner, strange, name)
            assert status in (404, 422), f"{name} with {value!r}: {status}"


async def test_sockets(world: World, address: Address) -> None:
    editor = address.ws + world.path("/ws/editor/{flow_id}")
    async with page(editor, Origin=address.http) as nobody:
        assert (await nobody.closed())[0] == 4401
    async with page(editor, Origin=address.http, Cookie=world.other.headers["cookie"]) as stranger:
        assert (await stranger.closed())[0] == 4404
    talk = f"{address.ws}/ws/talk/guessed"  # tests/api/test_talk.py has a ticket
    for cookie, code in (
        ({}, 4401),
        ({"Cookie": "; ".join(f"{c.name}={c.value}" for c in world.owner.cookies.jar)}, 4404),
    ):
        async with page(talk, Origin=address.http, **cookie) as guesser:
            assert (await guesser.closed())[0] == code
    secret = world.owner_key.headers["authorization"]
    async with page(editor, Origin=address.http, Authorization=secret) as program:
        assert (await program.closed())[0] == 4401
    assert await refused(f"{address.ws}/ws/nowhere", Origin=address.http) == 403


def rows_of(admin: Any, who: Principal) -> dict[str, Any]:
    """A digest of every table's rows of a workspace whose rows only its members change."""
    tables = ("agent", "flow", "flow_edit", "version", "agent_connection", "channel", "conversation", "message", "file")
    return {
        table: admin.execute(
            f"SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {table} t WHERE workspace_id = %s",
            (who.workspace_id,),
        ).fetchone()
        for table in (
            *tables,
            "credential",
            "setting",
            "inbox",
            "audit",
            "event_subscription",
            "event_delivery",
            "agent_trigger",
            "trigger_run",
            "update_rule",
            "update_change",
        )
    }
