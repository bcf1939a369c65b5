"""Triggers over the public API: listed, fired once per key, and what became of it; a program's request at the door."""

from __future__ import annotations

from typing import Any

import httpx2

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, Member, key_client


async def test_a_program_lists_fires_and_reads(
    services: Services,
    ann: Member,
    agent: Any,
    address: Address,
    other_workspace: Principal,
    anonymous: httpx2.AsyncClient,
) -> None:
    document = {
        "name": "Leads",
        "when": {"kind": "webhook", "auth": "secret"},
        "actions": [{"do": "notify", "text": "x"}],
    }
    row, secret = await services.triggers.create(ann.who, agent.id, document)
    scopes = ("flows:read", "conversations:read", "conversations:write")
    async with (
        await key_client(services, ann.who, address, *scopes) as client,
        await key_client(services, other_workspace, address, *scopes) as other,
    ):
        (shown,) = (await client.get("/api/v1/triggers", params={"agent_id": agent.id})).json()
        assert (shown["id"], shown["kind"], shown["actions"], shown["problems"]) == (row.id, "webhook", ["notify"], [])
        assert secret not in str(shown)
        assert (await other.get("/api/v1/triggers")).json() == []
        path, key = f"/api/v1/triggers/{row.id}/fire", {"Idempotency-Key": "order-7"}
        first = await client.post(path, json={"payload": {"plan": "pro"}}, headers=key)
        again = await client.post(path, json={"payload": {"plan": "pro"}}, headers=key)
        assert (first.status_code, first.json()["state"]) == (202, "waiting")
        assert again.json()["id"] == first.json()["id"]
        assert (await other.post(path, json={})).status_code == 404
        assert (await client.post(path, json={"payload": [1]})).status_code == 422
        assert (await client.post(path, json={"contact_id": "nobody"})).status_code == 404
        await services.trigger_runner.run(ann.who.workspace_id, first.json()["id"])
        done = (await client.get(f"/api/v1/triggers/{row.id}/occasions/{first.json()['id']}")).json()
        assert (done["state"], done["sentence"], done["source"]) == ("fired", "Fired.", "api")
    bearer = {"Authorization": f"Bearer {secret}"}
    off = await anonymous.post(row.path, json={"a": 1}, headers=bearer)
    assert (off.status_code, off.json()["params"]["reason"]) == (409, "off")
    await services.triggers.set_on(ann.who, row.id, True)
    taken = await anonymous.post(row.path, json={"a": 1}, headers=bearer)
    assert (taken.status_code, taken.json()["is_new"]) == (202, True)
    assert (await anonymous.post(row.path, json={"a": 1})).status_code == 401
    assert (await anonymous.post(row.path, content=b"x" * 300_000, headers=bearer)).status_code == 413
    assert (await anonymous.post("/hooks/trigger/nobody", json={}, headers=bearer)).status_code == 404
