"""Update rules over the public API: listed, what they propose decided once, taken back, and not across workspaces."""

from __future__ import annotations

from typing import Any

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, Member, key_client
from tests.update_world import UpdateWorld


async def test_a_program_reads_decides_and_takes_back(
    services: Services, ann: Member, address: Address, admin: Any, other_workspace: Principal
) -> None:
    world = await UpdateWorld(services, ann.who, admin).open()
    await world.rule("email", "their e-mail", overwrite="ask")
    await world.rule("phone", "their phone")
    await world.say("a@example.com, +380 67 123 45 67")
    scopes = ("flows:read", "conversations:read", "conversations:write")
    async with (
        await key_client(services, ann.who, address, *scopes) as client,
        await key_client(services, other_workspace, address, *scopes) as other,
    ):
        rules = (await client.get(f"/api/v1/agents/{world.agent_id}/update-rules")).json()
        assert [r["rule"]["overwrite"] for r in rules] == ["ask", "if_empty"]
        assert rules[0]["sentence"] == "When the client says their e-mail, set E-mail to what was said."
        found = (await client.get("/api/v1/update-changes", params={"contact_id": world.contact_id, "limit": 1})).json()
        rest = (await client.get("/api/v1/update-changes", params={"before": found["next"]})).json()
        (phone,), (email,) = found["changes"], rest["changes"]
        assert (phone["state"], phone["before"], phone["after"]) == ("applied", None, "+380671234567")
        assert (email["state"], email["sentence"], rest["next"]) == ("proposed", "a@example.com, +380 67 123 45 67", "")
        assert (await other.get("/api/v1/update-changes")).json()["changes"] == []
        path = f"/api/v1/update-changes/{email['id']}"
        assert (await other.post(f"{path}/accept")).status_code == 404
        accepted = (await client.post(f"{path}/accept")).json()
        assert (accepted["state"], accepted["applied_by"].partition(":")[0]) == ("applied", "api_key")
        assert (await client.post(f"{path}/reject")).status_code == 409
        assert (await client.post(f"{path}/undo")).json()["state"] == "undone"
        await services.contacts.update(ann.who, world.contact_id, {"phone": "+380671234568"})
        late = await client.post(f"/api/v1/update-changes/{phone['id']}/undo")
        assert (late.status_code, late.json()["params"]["reason"]) == (409, "changed_since")
        assert (await client.get("/api/v1/update-changes", params={"state": "odd"})).status_code == 422
    contact = await world.contact()
    assert (contact["email"], contact["phone"]) == ("", "+380671234568")
