"""Contacts over the public API."""

from __future__ import annotations

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, Member, key_client

PATH = "/api/v1/contacts"


async def test_contacts_are_made_once_changed_tagged_and_opted_out(
    services: Services, ann: Member, address: Address, other_workspace: Principal
) -> None:
    async with (
        await key_client(services, ann.who, address, "conversations:write", "conversations:read") as client,
        await key_client(services, other_workspace, address, "conversations:write", "conversations:read") as other,
    ):
        body = {"name": "Olia", "phone": "+380 67 123 45 67", "fields": {"plan": "pro"}}
        first = await client.post(PATH, json=body, headers={"Idempotency-Key": "k"})
        assert first.status_code == 201, first.text
        again = await client.post(PATH, json=body, headers={"Idempotency-Key": "k"})
        assert again.json() == first.json()
        twin = await client.post(PATH, json=body)
        assert (twin.status_code, twin.json()["params"]["contact_id"]) == (409, first.json()["id"])
        place = f"{PATH}/{first.json()['id']}"
        changed = await client.patch(
            place, json={"email": "o@example.com", "fields": {"plan": None}, "consent": {"news": True}}
        )
        assert (changed.json()["phone"], changed.json()["email"], changed.json()["fields"]) == (
            "+380671234567",
            "o@example.com",
            {},
        )
        assert changed.json()["consent"]["news"]["given"] is True
        assert (await client.post(f"{place}/tags", json={"add": ["vip"]})).json()["tags"] == ["vip"]
        assert (await client.put(f"{place}/opt-out", json={"opted_out": True})).json()["opted_out_at"]
        for wrong in ({"phone": "12"}, {"name": "x" * 201}, {"nothing": 1}, {"tags": ["x" * 41]}):
            assert (await client.patch(place, json=wrong)).status_code == 422
        page = (await client.get(PATH, params={"tag": "vip", "opted_out": True, "search": "olia"})).json()
        assert [c["id"] for c in page["contacts"]] == [first.json()["id"]]
        assert (await client.get(PATH, params={"opted_out": False})).json() == {"contacts": [], "next": ""}
        assert (await client.get(PATH, params={"segment_id": "x"})).status_code == 404
        assert (await other.get(place)).status_code == 404
        assert (await other.get(PATH)).json()["contacts"] == []
