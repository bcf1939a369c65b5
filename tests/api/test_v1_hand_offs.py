"""People answer over the public API, in the name of whoever made the key."""

from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member, key_client

SCOPES = ("conversations:write", "conversations:read", "conversations:answer")


@pytest.fixture
async def talk(services: Services, ann: Member, agent: Any) -> str:
    started = await services.conversations.start(ann.who, agent_id=agent.id, dedupe_key="one")
    await services.conversations.wait_until_idle(ann.who, started, 10)
    return started


async def test_taken_answered_and_given_back(services: Services, ann: Member, address: Address, talk: str) -> None:
    at = f"/api/v1/conversations/{talk}"
    async with await key_client(services, ann.who, address, *SCOPES) as key:
        early = await key.post(f"{at}/reply", json={"text": "Hi"})
        assert (early.status_code, early.json()["params"]["reason"]) == (409, "not_held")
        assert (await key.post(f"{at}/accept")).status_code == 204
        assert (await key.post(f"{at}/accept")).status_code == 204
        said = (await key.post(f"{at}/messages", json={"text": "hello?"})).json()
        assert (said["messages"], said["is_running"]) == ([], False)
        first = await key.post(f"{at}/reply", json={"text": "I am here", "client_id": "m1"})
        again = await key.post(f"{at}/reply", json={"text": "I am here", "client_id": "m1"})
        assert (first.status_code, first.json()["is_new"], again.json()) == (
            201,
            True,
            first.json() | {"is_new": False},
        )
        [row] = (await key.get("/api/v1/hand-offs", params={"view": "mine"})).json()["hand_offs"]
        assert (row["conversation_id"], row["state"], row["member_name"]) == (talk, "accepted", "Ann")
        assert (await key.post(f"{at}/give-back", json={"note": "n", "outcome": "solved"})).status_code == 204
        messages = (await key.get(f"{at}/messages")).json()["messages"]
        assert [m["role"] for m in messages] == ["agent", "system", "contact", "member", "system"]
        assert messages[1]["parts"] == [{"kind": "person", "event": "joined", "name": "Ann"}]
        answered = (await key.post(f"{at}/messages", json={"text": "Bob"})).json()
        assert answered["messages"][0]["text"].startswith("Hello Bob")
        assert (await key.get("/api/v1/queues")).json() == {"queues": []}


async def test_a_message_is_approved_over_the_api(
    services: Services, ann: Member, address: Address, agent: Any, talk: str
) -> None:
    await services.agent_answering.change(ann.who, agent.id, approval={"approves": "all"})
    at = f"/api/v1/conversations/{talk}"
    async with await key_client(services, ann.who, address, *SCOPES) as key:
        said = (await key.post(f"{at}/messages", json={"text": "Bob"})).json()
        assert said["messages"] == []
        [row] = (await key.get("/api/v1/approvals")).json()["approvals"]
        assert (row["conversation_id"], row["text"].startswith("Hello Bob"), row["due_at"]) == (talk, True, None)
        path = f"/api/v1/approvals/{row['id']}"
        assert (await key.post(path, json={"decision": "edit"})).status_code == 422
        assert (await key.post(path, json={"decision": "edit", "text": "Hello, Bob."})).status_code == 204
        again = await key.post(path, json={"decision": "send"})
        assert (again.status_code, again.json()["params"]) == (409, {"reason": "decided", "holder": "Ann"})
        messages = (await key.get(f"{at}/messages")).json()["messages"]
        assert [m["text"] for m in messages][-1] == "Hello, Bob."
        assert "Hello Bob" not in str(messages)
    async with await key_client(services, ann.who, address, "conversations:read") as key:
        assert (await key.get("/api/v1/approvals")).status_code == 403
