"""What update rules keep is written to the CRM as well: later when that is away, and shown where it is not taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.services.crm_later import NOT_THERE
from graph_runtime.services.principal import Principal
from graph_runtime.storage.crm_writes import CrmWriteSweep
from graph_runtime.worker.crm_writes import CrmLooks
from tests.fakes.kommo import LONG_TOKEN, Kommo, kommo
from tests.update_world import UpdateWorld

PHONE = "+380501112233"


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        account.fields["contacts"].append({"id": 601, "name": "Size", "type": "numeric", "code": None, "enums": None})
        yield account


class World(UpdateWorld):
    """With a customer system."""

    ahead = 0.0

    async def connect(self, fake: Kommo) -> World:
        self.fake = fake
        values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
        self.crm = str((await self.services.credentials.create(self.who, "kommo", "Shop", values)).id)
        self.looks = CrmLooks(CrmWriteSweep(self.services.database), self.services.crm_later)
        limits = self.services.connections._limits
        limits.clock = limits.breakers._clock = limits.buckets._clock = lambda: time.monotonic() + self.ahead
        return self

    def knows(self, **values: str) -> None:
        """What is known of the contact here."""
        for column, value in values.items():
            self.admin.execute(f"UPDATE contact SET {column} = %s WHERE id = %s", (value, self.contact_id))

    async def write(self) -> None:
        """Until nothing waits that can be written, a minute later each time."""
        for _ in range(4):
            self.ahead += 60
            self.admin.execute("UPDATE crm_write SET next_at = now() WHERE state = 'waiting'")
            await self.looks.once()

    async def shown(self) -> list[tuple[Any, str, str]]:
        """(value, state, how it is with the CRM) of every change, oldest first."""
        return [(c.after, c.state, c.crm) for c in await self.history()]


@pytest.fixture
async def world(services: Services, owner: Principal, admin: Any, fake: Kommo) -> World:
    found = await World(services, owner, admin).open()
    assert isinstance(found, World)
    await found.field("size", "number")
    return await found.connect(fake)


RULE = {"crm_entity": "contact", "crm_field": "cf_601", "words": ("people",), "overwrite": "always"}


async def test_an_hour_without_the_crm_loses_nothing_and_says_that_it_waits(world: World) -> None:
    there = world.fake.add("contacts", name="Olena", phone=PHONE)
    await world.rule("size", "how many people work there", crm=world.crm, **RULE)
    world.knows(phone=PHONE)
    world.fake.fail("server_error", times=10**9, path="/api")
    for said in ("12 people", "about 15 people", "no, 20 people"):
        await world.say(said)
    await world.write()
    assert await world.shown() == [(n, "applied", "waiting") for n in (12, 15, 20)]
    world.fake.faults.clear()
    world.admin.execute("UPDATE crm_write SET at = at - interval '1 hour'")
    await world.write()
    assert await world.shown() == [(n, "applied", "done") for n in (12, 15, 20)]
    patched = world.fake.calls("PATCH", f"/api/v4/contacts/{there}")
    assert [c.body["custom_fields_values"][0]["values"] for c in patched] == [[{"value": n}] for n in (12, 15, 20)]
    # Undone, the CRM gets back what stood there before; what had not been written yet is not written.
    newest = (await world.history())[-1]
    await world.changes.undo(world.who, newest.id)
    await world.write()
    assert world.fake.calls("PATCH", f"/api/v4/contacts/{there}")[-1].body["custom_fields_values"][0]["values"] == [
        {"value": 15}
    ]
    await world.say("30 people")
    await world.changes.undo(world.who, (await world.history())[-1].id)
    await world.write()
    assert len(world.fake.calls("PATCH", f"/api/v4/contacts/{there}")) == 4
    assert (await world.shown())[-1] == (30, "undone", "dropped")


async def test_what_the_crm_refuses_is_shown_and_can_be_tried_again_or_discarded(
    world: World, services: Services
) -> None:
    world.fake.add("contacts", name="Olena", phone=PHONE)
    await world.rule("size", "how many people work there", crm=world.crm, **RULE)
    world.knows(phone=PHONE)
    kept = world.fake.fields["contacts"].pop()  # somebody deleted the field in the account
    await world.say("12 people")
    await world.say("15 people")
    await world.write()
    first, second = await world.history()
    assert (first.crm, second.crm) == ("failed", "failed")
    assert "Kommo has no field" in first.crm_error
    letters = await services.dead_letters.list(world.who)
    assert [(x.source, x.reason, x.can_replay) for x in letters] == [("crm", "refused", True)] * 2
    assert letters[1].text == f"contact {PHONE}\ncf_601: 12"
    assert [(g.source, g.letters) for g in await services.dead_letters.groups(world.who)] == [("crm", 2)]
    await services.dead_letters.discard(world.who, letters[1].id)
    world.fake.fields["contacts"].append(kept)
    await services.dead_letters.replay(world.who, letters[0].id)
    assert (await world.history())[1].crm == "waiting"
    await world.write()
    assert [c.crm for c in await world.history()] == ["failed", "done"]
    assert await services.dead_letters.list(world.who) == []
    # Older than a week: given up as expired, whatever the reason for the wait was.
    world.fake.fail("server_error", times=10**9, path="/api")
    await world.say("40 people")
    world.admin.execute("UPDATE crm_write SET at = at - interval '8 days' WHERE state = 'waiting'")
    await world.write()
    (letter,) = await services.dead_letters.list(world.who)
    assert (letter.reason, letter.attempts) == ("expired", 1)
    await services.dead_letters.replay_alike(world.who, letter.id)
    world.fake.faults.clear()
    await world.write()
    assert (await world.shown())[-1] == (40, "applied", "done")


async def test_nobody_there_a_member_who_decides_and_a_number_that_was_just_given(world: World) -> None:
    await world.rule("size", "how many people work there", crm=world.crm, **RULE | {"overwrite": "ask"})
    await world.say("12 people")
    (asked,) = await world.history()
    assert (asked.state, asked.crm) == ("proposed", "")
    await world.write()
    world.knows(email="olena@example.org")
    await world.changes.accept(world.who, asked.id)
    await world.write()
    (accepted,) = await world.history()
    assert (accepted.crm, accepted.crm_error) == ("failed", NOT_THERE)
    assert await world.services.dead_letters.list(world.who) == []
    # The new number is written to the record that the old address leads to.
    there = world.fake.add("contacts", name="Olena", email="olena@example.org")
    await world.rule("phone", "their number", crm=world.crm, crm_entity="contact", crm_field="phone")
    await world.say("my number is +380501112233")
    await world.write()
    codes = [f.get("field_code") for f in world.fake.records["contacts"][there]["custom_fields_values"]]
    assert "PHONE" in codes
    for wrong in ({"crm_field": ""}, {"crm_field": "tags"}):
        with pytest.raises(InputInvalid):
            await world.rule("size", crm=world.crm, words=("people",), **wrong)
