"""Calls placed over the public API, against a strict stand-in for Asterisk's manager."""

from __future__ import annotations

import asyncio

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from tests.api.conftest import Address, Member, key_client
from tests.fakes.asterisk_manager import managing
from tests.services.test_calls_out import line_to


async def test_a_call_is_placed_once_per_key_and_read(
    services: Services, ann: Member, address: Address, other_workspace: Principal
) -> None:
    async with (
        managing(ends="busy") as manager,
        await key_client(services, ann.who, address, "conversations:write", "conversations:read") as client,
        await key_client(services, other_workspace, address, "conversations:write", "conversations:read") as other,
    ):
        line = await line_to(services, ann.who, manager)
        path, body, once = (
            f"/api/v1/lines/{line.channel_id}/calls",
            {"number": "+49 30 1"},
            {"Idempotency-Key": "order-7"},
        )
        (listed,) = (await client.get("/api/v1/lines")).json()["lines"]
        assert (listed["id"], listed["agent_name"], listed["can_call"], listed["live"]) == (
            line.channel_id,
            "Reception",
            True,
            0,
        )
        assert (await other.get("/api/v1/lines")).json() == {"lines": []}
        assert (await other.post(path, json=body)).status_code == 404
        first = await client.post(path, json=body, headers=once)
        assert first.status_code == 202, first.text
        again = await client.post(path, json=body, headers=once)
        assert again.json()["id"] == first.json()["id"]
        place = f"/api/v1/calls/{first.json()['id']}"
        async with asyncio.timeout(10):
            while not (call := (await client.get(place)).json())["result"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (call["result"], call["state"], call["number"]) == ("busy", "ended", "+49301")
        assert (await other.get(place)).status_code == 404
        assert (await client.post(path, json={"number": "1,2"})).status_code == 422
        assert len(manager.calls) == 1
