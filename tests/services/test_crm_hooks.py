"""What people change in a customer system starts something, once; what we write to it ourselves starts nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract import signatures
from graph_runtime.contract.channels import SignatureRefused
from graph_runtime.contract.errors import AccessDenied, InputInvalid, NotFound, TooLarge
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage.chain_steps import ChainSweep
from graph_runtime.storage.crm_hooks import CrmHookSweep
from graph_runtime.testing import FakeClock
from graph_runtime.worker.chains import ChainTimers
from graph_runtime.worker.crm_hooks import CrmReadings
from tests.fakes.kommo import LONG_TOKEN, Kommo, form, kommo
from tests.trigger_world import World

PHONE = "+380 50 111-22-33"
NOTE = [
    {"do": "notify", "text": "{{ event.name }}: {{ event.stage_before }} → {{ event.stage }} of {{ contact.name }}"}
]


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


class Shop(World):
    """The world of triggers, with an account that tells of changes."""

    fake: Kommo

    async def connect(self, fake: Kommo) -> Shop:
        self.fake = fake
        # The account's rate has tests of its own; here it would only be waited for.
        self.services.connections._limits.buckets.take = lambda *_: 0.0  # type: ignore[method-assign]
        values = {"base_url": fake.url, "long_token": LONG_TOKEN, "allow_private_host": True}
        row = await self.services.credentials.create(self.who, "kommo", "Shop", values)
        self.credential_id = str(row.id)
        address = await self.services.crm_hooks.listen(self.who, self.credential_id)
        self.public_id = address.rpartition("/")[2]
        self.readings = CrmReadings(
            CrmHookSweep(self.services.database), self.services.crm_reading, self.services.crm_hooks
        )
        return self

    @property
    def crm(self) -> Any:
        """As steps have it."""

        async def opened() -> Any:
            found = await self.services.connections.open_credential(self.who, self.credential_id, "crm")
            return self.services.connections.crm(found)

        return opened()

    async def hear(self, *bodies: bytes) -> None:
        """The account posts, and two seconds later the worker reads."""
        for body in bodies:
            await self.services.crm_hooks.receive(self.public_id, body, {})
        await self.read()

    async def read(self) -> None:
        """What is due is read, and what listens does its work."""
        self.admin.execute("UPDATE crm_record SET due_at = now() WHERE due_at IS NOT NULL")
        await self.readings.once()
        await self.work()

    async def notes(self) -> list[str]:
        found = await self.services.trigger_log.notes(self.who, self.agent_id)
        return [n["text"] for n in found][::-1]


@pytest.fixture
async def shop(services: Services, owner: Principal, admin: Any, clock: FakeClock, fake: Kommo) -> Shop:
    clock.at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    world = Shop(services, owner, admin, clock)
    await world.open()
    return await world.connect(fake)


def olena(shop: Shop, **lead: Any) -> tuple[str, int, int]:
    """(contact here, contact there, deal)."""
    here = shop.contact("Olena", phone="+380501112233")
    there = shop.fake.add("contacts", name="Olena", phone=PHONE, created_at=1)
    deal = shop.fake.add("leads", name="Roses", pipeline_id=1, status_id=11, **lead)
    shop.fake.records["leads"][deal]["_embedded"] = {"contacts": [{"id": there, "is_main": True}]}
    return here, there, deal


async def test_a_deal_that_a_person_moves_starts_something_once_whatever_is_repeated_or_late(shop: Shop) -> None:
    _, _, deal = olena(shop, created_at=1)
    moved = await shop.trigger({"kind": "event", "event": "crm.stage_changed"}, actions=NOTE)
    won = await shop.trigger({"kind": "event", "event": "crm.stage_changed", "stages": ["won"]}, name="won")
    first = shop.fake.by_person("leads", deal, status_id=12)
    await shop.hear(*[first] * 10)
    assert await shop.notes() == ["Roses:  → Offer sent of Olena"]
    assert await shop.told(won) == [("Olena", "not_fired", "stage")]
    second = shop.fake.by_person("leads", deal, status_id=142)
    # The first comes late, the second ten times, and something that did not happen is claimed.
    await shop.hear(second, first, *[second] * 9, form("leads", "add", deal, {"status_id": 11}))
    assert (await shop.notes())[1:] == ["Roses: Offer sent → Won of Olena"]
    assert (await shop.told(won))[1:] == [("Olena", "fired", "")]
    assert shop.said("Olena"), "the flow was started"
    await shop.hear(first, second, first)
    assert len(await shop.notes()) == 2
    log = await shop.log(moved)
    assert log[1].data["changed"] == ["Stage"]
    assert log[1].data["url"].endswith(f"/leads/detail/{deal}")
    assert log[1].data["stage_id"] == "1:142"


async def test_new_deals_and_changed_contacts_find_whom_they_are_about(shop: Shop) -> None:
    made = await shop.trigger({"kind": "event", "event": "crm.lead_created"}, actions=NOTE)
    changed = await shop.trigger(
        {"kind": "event", "event": "crm.contact_changed"}, actions=NOTE, name="changed",
        condition={"left": {"ref": "event.changed"}, "op": "contains", "right": {"value": "Name"}},
    )  # fmt: skip
    _, there, _ = olena(shop)
    unknown = shop.fake.add("contacts", name="Taras", email="taras@example.org")
    nobody = shop.fake.by_person("leads", name="By phone", status_id=11, pipeline_id=1)
    new = shop.fake.by_person("leads", name="Tulips", status_id=11, pipeline_id=1, people=[unknown])
    known = shop.fake.by_person("leads", name="Roses", status_id=11, pipeline_id=1, people=[there])
    await shop.hear(nobody, new, known)
    assert sorted(await shop.told(made)) == [("", "fired", ""), ("Olena", "fired", ""), ("Taras", "fired", "")]
    taras = shop.admin.execute("SELECT email, name FROM contact WHERE name = 'Taras'").fetchall()
    assert taras == [("taras@example.org", "Taras")]
    await shop.hear(shop.fake.by_person("contacts", there, name="Olena"))
    await shop.hear(shop.fake.by_person("contacts", there, first_name="Olena"))
    await shop.hear(shop.fake.by_person("contacts", there, name="Olena K."))
    reasons = [reason for _, _, reason in await shop.told(changed)]
    assert reasons == ["condition", "condition", ""], "first nobody knew what had stood there"
    gone = form("leads", "update", 999_999, {})
    await shop.hear(gone)
    assert shop.admin.execute("SELECT FROM crm_record WHERE record_id = '999999'").fetchall() == []


async def test_what_we_write_ourselves_starts_nothing(shop: Shop) -> None:
    heard = [
        await shop.trigger({"kind": "event", "event": event}, actions=NOTE, name=event)
        for event in ("crm.lead_created", "crm.lead_changed", "crm.stage_changed", "crm.contact_created", "crm.contact_changed")
    ]  # fmt: skip
    crm = await shop.crm
    contact = await crm.create("contact", {"name": "Olena", "phone": PHONE}, key="pc-1")
    lead = await crm.create("lead", {"name": "Roses", "stage": "1:11"}, key="pc-2", contact=contact.id)
    await shop.hear(*(form(e, "add", int(r.id), {}) for e, r in (("contacts", contact), ("leads", lead))))
    await crm.update("lead", lead.id, {"stage": "1:12", "price": "700.4", "cf_501": "Site"})
    hook = form("leads", "status", int(lead.id), {"status_id": 12})
    await shop.hear(hook, form("leads", "update", int(lead.id), {}))
    for row in heard:
        assert await shop.told(row) == []
    # A record that was there before anybody listened, written to by us at first.
    _, _, deal = olena(shop, created_at=1)
    await crm.update("lead", str(deal), {"price": 5})
    await shop.hear(form("leads", "update", deal, {}))
    assert all([await shop.told(row) == [] for row in heard])
    # A person who undoes it is heard: the same field, a moment later.
    shop.admin.execute("UPDATE crm_own_write SET at = at - interval '1 minute'")
    await shop.hear(shop.fake.by_person("leads", int(lead.id), status_id=11))
    assert [state for _, state, _ in await shop.told(heard[2])] == ["fired"]
    assert await shop.told(heard[1]) == []


async def test_a_circle_of_two_programs_ends(shop: Shop) -> None:
    """Their robot answers each change of ours with one of its own, and each of its changes makes us write."""
    _, _, deal = olena(shop, created_at=1)
    row = await shop.trigger({"kind": "event", "event": "crm.lead_changed"}, actions=NOTE)
    crm = await shop.crm
    await shop.hear(form("leads", "update", deal, {}))
    shop.admin.execute("UPDATE crm_record SET told_lately = 17, lately_at = now()")
    for price in range(6):
        await shop.services.crm_hooks.receive(
            shop.public_id, shop.fake.by_person("leads", deal, price=1000 + price), {}
        )
        shop.admin.execute("UPDATE crm_record SET due_at = now() WHERE due_at IS NOT NULL")
        await shop.readings.once()
        await crm.update("lead", str(deal), {"name": f"Roses {price}"})
    await shop.work()
    assert len(await shop.log(row)) == 4, "one that was told, and three until twenty were within the hour"
    # An hour later it is heard again.
    shop.admin.execute("UPDATE crm_record SET lately_at = now() - interval '61 minutes'")
    await shop.hear(shop.fake.by_person("leads", deal, price=5))
    assert len(await shop.log(row)) == 5


async def test_an_account_that_is_away_loses_nothing_and_access_that_is_lost_is_waited_for(shop: Shop) -> None:
    _, _, deal = olena(shop, created_at=1)
    await shop.trigger({"kind": "event", "event": "crm.stage_changed"}, actions=NOTE)
    shop.fake.fail("server_error", times=2, path="/leads/")
    hook = shop.fake.by_person("leads", deal, status_id=12)
    await shop.hear(hook)
    assert await shop.notes() == []
    shop.fake.faults.clear()
    with shop.fake.lock:
        shop.fake.access.discard(LONG_TOKEN)
    await shop.read()
    pause = shop.admin.execute("SELECT due_at > now() + interval '4 minutes' FROM crm_record").fetchall()
    assert pause == [(True,)]
    with shop.fake.lock:
        shop.fake.access.add(LONG_TOKEN)
    await shop.read()
    assert await shop.notes() == ["Roses:  → Offer sent of Olena"]
    # Two workers at once, and more is heard while one reads.
    second = shop.fake.by_person("leads", deal, status_id=142)
    await shop.services.crm_hooks.receive(shop.public_id, second, {})
    shop.admin.execute("UPDATE crm_record SET due_at = now()")
    await asyncio.gather(*(shop.readings.once() for _ in range(3)))
    await shop.work()
    assert len(await shop.notes()) == 2
    # What lies seven days back is not told as if it had just happened.
    shop.fake.by_person("leads", deal, status_id=11)
    await shop.services.crm_hooks.receive(shop.public_id, hook, {})
    shop.admin.execute("UPDATE crm_record SET heard_at = now() - interval '8 days'")
    await shop.read()
    assert len(await shop.notes()) == 2


async def test_a_chain_ends_and_a_wait_ends_when_the_deal_comes_to_a_stage(shop: Shop) -> None:
    here, _, deal = olena(shop, created_at=1)
    step = {"id": "note", "kind": "notify", "text": "Ring", "delay": {"amount": 3, "unit": "days"}}
    drafts, database = shop.services.chain_drafts, shop.services.database
    document = {"quiet": None, "steps": [step], "stop": {"on_reply": False, "stages": ["Won"]}}
    chain_id = (await drafts.create(shop.who, "Offer", document)).row.id
    await drafts.publish(shop.who, chain_id)
    await shop.services.chains.enroll(shop.who, chain_id, [here])
    timers = ChainTimers(ChainSweep(database), shop.services.chain_runner, database.listen)
    waiting = shop.admin.execute(
        "INSERT INTO conversation (workspace_id, agent_id, channel_id, contact_id, version_id, channel_kind, language)"
        " SELECT %s, a.id, h.id, %s, f.live_version_id, 'webhook', 'en' FROM agent a JOIN flow f ON f.id = a.main_flow_id"
        " JOIN channel h ON h.id = %s RETURNING id",
        (shop.who.workspace_id, here, shop.channel_id),
    ).fetchone()[0]
    shop.admin.execute(
        "INSERT INTO timer (workspace_id, conversation_id, due_at, turn_seq, awaits, payload)"
        " VALUES (%s, %s, now() + interval '1 day', 1, 'crm.stage_changed', %s)",
        (shop.who.workspace_id, waiting, json.dumps({"value": "won"})),
    )
    for number, states in ((12, [("active", "")]), (142, [("stopped", "stage")])):
        await shop.hear(shop.fake.by_person("leads", deal, status_id=number))
        await timers.once()
        assert shop.admin.execute("SELECT state, reason FROM enrollment").fetchall() == states
        woken = shop.admin.execute("SELECT due_at <= now(), payload -> 'happened' ->> 'stage' FROM timer").fetchone()
        assert woken == ((True, "Won") if number == 142 else (False, None))


async def test_the_address_is_told_to_the_account_and_told_again_when_it_was_dropped(
    shop: Shop, services: Services, owner: Principal
) -> None:
    (hook,) = shop.fake.hooks
    assert hook["destination"].endswith(f"/hooks/crm/{shop.public_id}")
    assert "status_lead" in hook["settings"]
    assert len(shop.public_id) >= 40
    row = await services.credentials.get(owner, shop.credential_id)
    assert (row.hears, row.heard_at) == ("told", None)
    hook["disabled"] = True  # as an account does with an address that did not answer
    shop.admin.execute("UPDATE crm_link SET look_at = now() - interval '1 second'")
    await shop.readings.links()
    assert [h["disabled"] for h in shop.fake.hooks] == [False]
    asked = len(shop.fake.journal)
    await shop.readings.links()
    assert len(shop.fake.journal) == asked, "not before its time"
    shop.fake.fail("refused", path="webhooks")
    await services.crm_hooks.listen(owner, shop.credential_id)
    row = await services.credentials.get(owner, shop.credential_id)
    assert row.hears == "failed"
    assert row.hook_problem
    with pytest.raises(NotFound):
        await services.crm_hooks.receive("x" * 43, form("leads", "add", 1, {}), {})
    with pytest.raises(TooLarge):
        await services.crm_hooks.receive(shop.public_id, b"a" * 600_000, {})
    viewer = Principal(owner.workspace_id, owner.member_id, "editor", PERMISSIONS["editor"])
    for call in (services.crm_hooks.listen, services.crm_hooks.stop):
        with pytest.raises(AccessDenied):
            await call(viewer, shop.credential_id)
    await services.crm_hooks.stop(owner, shop.credential_id)
    assert shop.fake.hooks == []
    assert (await services.credentials.get(owner, shop.credential_id)).hears == "off"
    with pytest.raises(NotFound):
        await services.crm_hooks.receive(shop.public_id, form("leads", "add", 1, {}), {})


async def test_a_system_that_cannot_reach_us_is_told_to_a_person(services: Services, owner: Principal) -> None:
    values = {"base_url": "https://shop.kommo.com", "long_token": LONG_TOKEN}
    row = await services.credentials.create(owner, "kommo", "Shop", values)
    await services.crm_hooks.listen(owner, str(row.id))
    found = await services.credentials.get(owner, str(row.id))
    assert found.hears == "failed"
    assert "PATCHCORD_PUBLIC_URL" in found.hook_problem


async def test_a_system_of_ones_own_signs_what_it_says(services: Services, owner: Principal, admin: Any) -> None:
    secret = signatures.new_secret()
    values = {"base_url": "https://crm.example.org", "secret": "CANARY7f3a-key-of-the-crm", "hook_secret": secret}
    row = await services.credentials.create(owner, "rest_crm", "Own", values)
    public_id = (await services.crm_hooks.listen(owner, str(row.id))).rpartition("/")[2]
    assert (await services.credentials.get(owner, str(row.id))).hears == "by_hand"
    body = json.dumps([{"entity": "lead", "id": 17}, {"entity": "contact", "id": "a", "action": "created"}]).encode()
    signed = signatures.signed_headers([secret], "m1", datetime.now(UTC), body)
    assert await services.crm_hooks.receive(public_id, body, signed) == 2
    assert await services.crm_hooks.receive(public_id, body, signed) == 2
    assert admin.execute("SELECT entity, record_id FROM crm_record ORDER BY 1").fetchall() == [
        ("contact", "a"),
        ("lead", "17"),
    ]
    late = signatures.signed_headers([secret], "m1", datetime.now(UTC) - timedelta(hours=1), body)
    for headers in ({}, {**signed, "webhook-id": "m2"}, late):
        with pytest.raises(SignatureRefused):
            await services.crm_hooks.receive(public_id, body, headers)
    for wrong in (b"[", b'{"entity": "deal", "id": 1}', b'{"entity": "lead"}', b"7", b'{"entity": "lead", "id": true}'):
        headers = signatures.signed_headers([secret], "m3", datetime.now(UTC), wrong)
        with pytest.raises(InputInvalid):
            await services.crm_hooks.receive(public_id, wrong, headers)
    await services.credentials.replace_secret(
        owner, str(row.id), {"secret": "CANARY7f3a-other", "hook_secret": "CANARY7f3a-plain"}
    )
    assert await services.crm_hooks.receive(public_id, body, {"authorization": "Bearer CANARY7f3a-plain"}) == 2
    with pytest.raises(SignatureRefused):
        await services.crm_hooks.receive(public_id, body, {"authorization": "Bearer wrong"})
