"""A trigger writes to the customer system: once, whatever is repeated; later when it is away; and says what was refused."""

from __future__ import annotations

from typing import Any

import pytest

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.storage import agents
from graph_runtime.storage.crm_writes import CrmWriteSweep
from graph_runtime.worker.crm_writes import CrmLooks
from tests.services.test_crm_hooks import Shop, fake, shop

__all__ = ["fake", "shop"]
WON = {"kind": "event", "event": "contact.tag_added", "tags": ["asked"]}
WRITE: dict[str, Any] = {
    "do": "write_crm", "slot": "crm", "note": "Asked again: {{ contact.name }}", "task": "Ring {{ contact.name }}",
    "fields": [{"name": "stage", "value": "Offer sent"}, {"name": "price", "value": "{{ contact.budget }}"}],
}  # fmt: skip


async def bound(shop: Shop) -> CrmLooks:
    """The account behind the agent's slot, and the worker that writes."""
    async with shop.services.database.workspace(shop.who.workspace_id) as connection:
        binding = {"credential_id": shop.credential_id, "connector": "kommo", "model": ""}
        await agents.bind(connection, shop.agent_id, "crm", binding)
    return CrmLooks(CrmWriteSweep(shop.services.database), shop.services.crm_later)


async def tag(shop: Shop, *contacts: str) -> None:
    """They get the tag that the trigger listens for."""
    for contact in contacts:
        shop.admin.execute("UPDATE contact SET tags = '{}' WHERE id = %s", (contact,))
        await shop.services.contacts.tag(shop.who, [contact], add=["asked"], remove=[])
    await shop.work()


async def test_a_trigger_writes_once_and_later_when_the_system_is_away(shop: Shop) -> None:
    looks = await bound(shop)
    trigger = await shop.trigger(WON, actions=[WRITE])
    olena = shop.contact("Olena", phone="+380501112233", fields={"budget": "500"})
    silent = shop.contact("No number")
    shop.fake.fail("reset_after_accept", path="v4/leads$")
    await tag(shop, olena, silent)
    for _ in range(3):
        shop.admin.execute("UPDATE crm_write SET next_at = now()")
        await looks.once()
    (lead,) = shop.fake.records["leads"].values()
    assert (lead["status_id"], lead["price"]) == (12, 500)
    assert [n["params"]["text"] for n in shop.fake.notes] == ["Asked again: Olena"]
    assert [t["text"] for t in shop.fake.tasks] == ["Ring Olena"]
    (person,) = shop.fake.records["contacts"].values()
    assert person["name"] == "Olena"
    assert await shop.told(trigger) == [("Olena", "fired", ""), ("No number", "not_fired", "no_phone")]


async def test_what_is_refused_stands_in_the_triggers_log(shop: Shop) -> None:
    looks = await bound(shop)
    note = {"do": "notify", "text": "x"}
    trigger = await shop.trigger(WON, actions=[note, WRITE | {"fields": [{"name": "cf_777", "value": "1"}]}])
    await tag(shop, shop.contact("Olena", phone="+380501112233"))
    (before,) = await shop.log(trigger)
    assert [d.get("reason", "") for d in before.did] == ["", ""]
    assert await looks.once() == 1
    (after,) = await shop.log(trigger)
    assert [d.get("reason", "") for d in after.did] == ["", "crm"]
    assert shop.fake.records["leads"] == {}


async def test_only_a_system_of_the_agent_is_taken(shop: Shop) -> None:
    with pytest.raises(InputInvalid, match="customer system"):
        await shop.trigger(WON, actions=[WRITE])
    await bound(shop)
    with pytest.raises(InputInvalid, match="Choose a field, or write a note"):
        await shop.trigger(WON, actions=[{"do": "write_crm", "slot": "crm"}])
    trigger = await shop.trigger(WON, actions=[WRITE])
    shop.admin.execute("DELETE FROM agent_connection")
    await tag(shop, shop.contact("Olena", phone="+380501112233"))
    assert await shop.told(trigger) == [("Olena", "not_fired", "no_crm")]
