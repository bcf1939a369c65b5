"""Chains of follow-ups over the public API."""

from __future__ import annotations

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, Member, key_client

PATH = "/api/v1/chains"
ALL = ("conversations:write", "conversations:read", "flows:write", "flows:publish")
STEPS = [{"id": "n", "kind": "notify", "text": "Ring {{ contact.name }}", "delay": {"amount": 3, "unit": "days"}}]


async def test_a_program_draws_a_chain_up_and_puts_people_in(
    services: Services, ann: Member, address: Address, other_workspace: Principal
) -> None:
    async with (
        await key_client(services, ann.who, address, *ALL) as client,
        await key_client(services, other_workspace, address, *ALL) as other,
    ):
        made = (await client.post(PATH, json={"name": "Quote", "document": {"steps": STEPS}})).json()
        place = f"{PATH}/{made['chain']['id']}"
        olia = (await client.post("/api/v1/contacts", json={"name": "Olia", "phone": "+380671234567"})).json()["id"]
        off = await client.post(f"{place}/enrollments", json={"contacts": [olia]})
        assert off.json()["enrollments"][0]["problem"] == "off"
        assert (await client.post(f"{place}/publish")).json()["chain"]["is_on"] is True
        body = {"phones": ["+38 067 123 45 67", "+380670000000"], "contacts": ["nobody"]}
        entered = await client.post(f"{place}/enrollments", json=body, headers={"Idempotency-Key": "k"})
        assert sorted(e["problem"] for e in entered.json()["enrollments"]) == ["", "no_contact", "no_contact"]
        again = await client.post(f"{place}/enrollments", json=body, headers={"Idempotency-Key": "k"})
        assert again.json() == entered.json()
        (inside,) = (await client.get(f"{place}/enrollments", params={"state": "active"})).json()["enrollments"]
        assert (inside["contact_id"], inside["step_id"], inside["source"]) == (olia, "n", "api")
        ahead = (await client.get(f"{place}/preview", params={"contact_id": olia})).json()["steps"]
        assert [s["kind"] for s in ahead] == ["notify"]
        for act, state in (("pause", "paused"), ("resume", "active"), ("stop", "stopped")):
            changed = await client.post(f"{place}/enrollments/{act}", json={"enrollments": [inside["id"]]})
            assert changed.json() == {"changed": 1}
            assert (await client.get(f"{place}/enrollments")).json()["enrollments"][0]["state"] == state
        assert (await other.get(place)).status_code == 404
        assert (await other.post(f"{place}/enrollments", json={"contacts": [olia]})).status_code == 404
        stopped = await other.post(f"{place}/enrollments/stop", json={"enrollments": [inside["id"]]})
        assert stopped.json() == {"changed": 0}
