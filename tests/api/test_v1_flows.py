"""Agents and flows over the public API."""

from typing import Any

import httpx2
import jsonschema

from graph_runtime.bootstrap import Services
from tests.api.conftest import Address, Member, key_client
from tests.api.flows import GREETING


async def test_agents_and_flows_are_read_page_by_page(
    program: httpx2.AsyncClient, agent: Any, services: Services, ann: Member
) -> None:
    for number in range(3):
        await services.agents.create(ann.who, name=f"Agent {number}", language="en")
    seen, cursor = [], ""
    while True:
        page = (await program.get("/api/v1/agents", params={"limit": 3, "cursor": cursor})).json()
        seen += [a["name"] for a in page["agents"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert sorted(seen) == ["Agent 0", "Agent 1", "Agent 2", "Reception"]
    one = (await program.get(f"/api/v1/agents/{agent.id}")).json()
    assert (one["name"], one["live_version"], one["main_flow_id"]) == ("Reception", 1, agent.main_flow_id)
    flows = (await program.get("/api/v1/flows", params={"agent_id": agent.id})).json()["flows"]
    assert [(f["id"], f["kind"], f["agent_id"]) for f in flows] == [(agent.main_flow_id, "main", agent.id)]
    assert len((await program.get("/api/v1/flows")).json()["flows"]) == 4


async def test_a_draft_is_replaced_and_published(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/flows/{agent.main_flow_id}"
    before = (await program.get(path)).json()
    changed = GREETING | {"nodes": GREETING["nodes"] | {"n_end": {"type": "end", "v": 1, "settings": {"text": "Bye."}}}}
    put = await program.put(f"{path}/draft", json=changed)
    assert put.status_code == 200, put.text
    assert put.json()["revision"] == before["revision"] + 1
    assert put.json()["draft"]["nodes"]["n_end"]["settings"]["text"] == "Bye."
    stale = await program.post(f"{path}/publish", json={"revision": before["revision"]})
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
    published = await program.post(f"{path}/publish", json={"comment": "shorter"}, headers={"Idempotency-Key": "p1"})
    assert (published.status_code, published.json()["number"]) == (200, 2)
    repeated = await program.post(f"{path}/publish", json={"comment": "shorter"}, headers={"Idempotency-Key": "p1"})
    assert repeated.json() == published.json()
    assert [v["number"] for v in (await program.get(f"{path}/versions")).json()] == [2, 1]


async def test_a_draft_with_errors_is_kept_but_not_published(program: httpx2.AsyncClient, agent: Any) -> None:
    path = f"/api/v1/flows/{agent.main_flow_id}"
    put = await program.put(f"{path}/draft", json=GREETING | {"edges": {}})
    assert put.status_code == 200
    assert {p["level"] for p in put.json()["problems"]} >= {"error"}
    refused = await program.post(f"{path}/publish", json={})
    assert (refused.status_code, refused.json()["code"]) == (422, "flow_invalid")
    assert refused.json()["problems"]
    broken = await program.put(f"{path}/draft", json={"format": "flow/9"})
    assert (broken.status_code, broken.json()["code"]) == (422, "flow_damaged")


async def test_the_schema_describes_what_is_served(
    anonymous: httpx2.AsyncClient, program: httpx2.AsyncClient, agent: Any
) -> None:
    schema = (await anonymous.get("/api/v1/schema/flow-1.json")).json()
    draft = (await program.get(f"/api/v1/flows/{agent.main_flow_id}")).json()["draft"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(draft, schema)


async def test_a_key_for_reading_changes_nothing(services: Services, ann: Member, agent: Any, address: Address) -> None:
    async with await key_client(services, ann.who, address, "flows:read") as reader:
        path = f"/api/v1/flows/{agent.main_flow_id}"
        assert (await reader.get(path)).status_code == 200
        assert (await reader.put(f"{path}/draft", json=GREETING)).status_code == 403
        assert (await reader.post(f"{path}/publish", json={})).status_code == 403
        assert (await reader.post(f"/api/v1/agents/{agent.id}/conversations", json={})).status_code == 403
