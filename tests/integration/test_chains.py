"""Chains of follow-ups on the real database: what reaches whom and when, what stops them, and what holds them back."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from graph_runtime.contract.errors import AccessDenied, Conflict, FlowInvalid, NotFound
from graph_runtime.contract.flow import Flow
from graph_runtime.services.contact_history import ContactHistory
from graph_runtime.services.contact_privacy import ContactPrivacy
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.storage import contacts
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from nodes.enroll_in_chain.node import NODE as ENROLL
from nodes.leave_chain.node import NODE as LEAVE
from tests import chain_world
from tests.chain_world import ChainProcess, after, chaining, message
from tests.delivery_world import Channel, Place
from tests.engine.small_nodes import CATALOG, flow
from tests.fakes.webhook_receiver import Lane, WebhookReceiver, receiving
from tests.integration.test_deliveries import QUIET, letters, until

Admin = psycopg.Connection[tuple[object, ...]]
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@pytest.fixture
def place(postgres: EmbeddedPostgres, admin: Admin) -> Place:
    admin.execute("DELETE FROM workspace")
    return Place(postgres.admin_url, QUIET)


@pytest.fixture
async def p(postgres: EmbeddedPostgres, place: Place) -> AsyncIterator[ChainProcess]:
    async with chaining(postgres.app_url, MONDAY) as side:
        yield side


@pytest.fixture
def lane(receiver: WebhookReceiver) -> Lane:
    return receiver.lane()


@pytest.fixture
async def channel(p: ChainProcess, place: Place, receiver: WebhookReceiver, lane: Lane) -> Channel:
    return await p.add(place, "webhook", receiver.url(lane))


async def one(p: ChainProcess, place: Place, chain_id: str) -> tuple[str, str, list[tuple[str, str, str]]]:
    """State, reason and the log (what, step, reason) of the only person in a chain."""
    (row,) = await p.chains.people(place.who, chain_id)
    _, lines = await p.chains.person(place.who, chain_id, row.id)
    return row.state, row.reason, [(x["what"], x["step_id"], x["reason"]) for x in lines]


async def test_messages_come_at_their_time_and_once(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    chain = await p.chain(
        place.who,
        message("hi", "Dear {{ contact.name }}, your quote"),
        message("remind", "Any questions?", delay=after(2, "working_days", "11:00")),
        time_zone="Europe/Kyiv",
    )
    anna = await p.contact(place, channel, name="Anna")
    assert [e.problem for e in await p.enroll(place.who, chain, anna, anna)] == ["", "inside"]
    await p.run_due()
    await until(lambda: lane.texts == ["Dear Anna, your quote"])
    line = await ContactHistory(p.database).get(place.who, anna)
    assert [(e.kind, e.data["chain"], e.at) for e in line.coming] == [
        ("chain_next", "Quote", datetime(2026, 3, 4, 9, 0, tzinfo=UTC))
    ]
    assert [e.kind for e in line.past if e.kind.startswith("chain")] == ["chain_done_message", "chain_enrolled"]
    page = await ContactHistory(p.database).get(place.who, anna, limit=1)
    leafed = page.past
    while page.next is not None:
        page = await ContactHistory(p.database).get(place.who, anna, before=page.next, limit=1)
        leafed += page.past
    assert leafed == line.past  # pages end between moments, never inside one
    await p.pass_until(datetime(2026, 3, 4, 8, 59, tzinfo=UTC))
    assert len(lane.texts) == 1
    await p.pass_until(datetime(2026, 3, 4, 9, 1, tzinfo=UTC))
    await until(lambda: lane.texts[1:] == ["Any questions?"])
    assert lane.accepted[0].data["user_id"] == "u1"
    state, _, log = await one(p, place, chain)
    assert state == "done"
    assert [what for what, *_ in log] == ["enrolled", "done", "done", "finished"]
    (first, second) = await p.chains.figures(place.who, chain)
    assert (first["done"], first["delivered"], second["done"]) == (1, 1, 1)
    archive = zipfile.ZipFile(io.BytesIO(await ContactPrivacy(p.database).export(place.who, anna)))
    assert [e["chain"] for e in json.loads(archive.read("follow_ups.json"))] == ["Quote"]
    assert len(json.loads(archive.read("follow_up_steps.json"))) == 4


async def test_a_reply_stops_the_chain_at_once_and_is_answered(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    chain = await p.chain(place.who, message("a", "Hello"), message("b", "Still there?", delay=after(5)))
    await p.enroll(place.who, chain, await p.contact(place, channel))
    await p.run_due()
    await until(lambda: lane.texts == ["Hello"])
    await channel.post(p, "u1", "yes please")
    await p.run_due()
    assert (await one(p, place, chain))[:2] == ("stopped", "replied")
    await until(lambda: lane.texts[1:] == ["yes please"])
    await p.pass_until(MONDAY + timedelta(days=10))
    assert len(lane.texts) == 2
    (row,) = [f for f in await p.chains.figures(place.who, chain) if f["step_id"] == "a"]
    assert row["replied"] == 1


async def test_what_is_known_of_the_contact_decides(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    gold = {"left": {"ref": "contact.tier"}, "op": "eq", "right": {"value": "gold"}}
    chain = await p.chain(
        place.who,
        message("gold", "For gold", only_if=gold),
        {"id": "tag", "kind": "update", "add_tags": ["asked"], "fields": [{"name": "stage", "value": "2 {{contact.tier}}"}]},
        message("late", "Later", delay=after(1)),
        stop={"tags": ["won"]},
    )  # fmt: skip
    silver = await p.contact(place, channel, fields={"tier": "silver"})
    await p.enroll(place.who, chain, silver)
    await p.run_due()
    assert (await one(p, place, chain))[2] == [
        ("enrolled", "", "page"),
        ("skipped", "gold", "condition"),
        ("done", "tag", ""),
    ]
    async with p.database.workspace(place.workspace_id) as connection:
        row = await contacts.get(connection, silver)
        assert row is not None
        assert (row["tags"], row["fields"]["stage"]) == (["asked"], "2 silver")
        await contacts.tag(connection, [silver], add=["Won"], remove=[])
    await p.run_due()
    assert (await one(p, place, chain))[:2] == ("stopped", "tag")
    assert lane.texts == []


async def test_opting_out_ends_it_and_nobody_who_did_is_let_in(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    chain = await p.chain(place.who, message("a", "A", delay=after(1)))
    contact = await p.contact(place, channel)
    await p.enroll(place.who, chain, contact)
    async with p.database.workspace(place.workspace_id) as connection:
        await contacts.opt_out(connection, contact, is_out=True)
    await p.pass_until(MONDAY + timedelta(days=2))
    assert (await one(p, place, chain))[:2] == ("stopped", "opted_out")
    assert [e.problem for e in await p.enroll(place.who, chain, contact)] == ["opted_out"]
    assert lane.texts == []


async def test_two_chains_leave_time_between_them_and_say_so(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    caps = {"per_contact_day": 2, "spacing_minutes": 90}
    chains = [await p.chain(place.who, message("m", f"From {n}"), name=n, caps=caps) for n in ("one", "two", "three")]
    contact = await p.contact(place, channel, time_zone="Europe/Kyiv")
    for chain in chains:
        await p.enroll(place.who, chain, contact)
    await p.run_due()
    await until(lambda: len(lane.texts) == 1)
    moved = [row for chain in chains for row in await p.chains.people(place.who, chain) if row.state == "active"]
    assert {row.note for row in moved} == {"spacing"}
    assert {row.due_at for row in moved} == {MONDAY + timedelta(minutes=90)}
    await p.pass_until(MONDAY + timedelta(minutes=91))
    await until(lambda: len(lane.texts) == 2)
    (last,) = [row for chain in chains for row in await p.chains.people(place.who, chain) if row.state == "active"]
    # The day is over in Kyiv at 22:00 UTC.
    assert (last.note, last.due_at) == ("contact_day", datetime(2026, 3, 2, 22, 0, tzinfo=UTC))
    _, lines = await p.chains.person(place.who, last.chain_id, last.id)
    assert [x["reason"] for x in lines if x["what"] == "moved"] == ["spacing", "contact_day"]


async def test_the_night_is_quiet_and_a_channel_has_its_limit(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    p.clock.advance_to(datetime(2026, 3, 2, 20, 0, tzinfo=UTC))
    quiet = {"start": "21:00", "end": "09:00"}
    caps = {"per_contact_day": 0, "spacing_minutes": 0, "per_channel_hour": 2, "per_channel_day": 3}
    chain = await p.chain(place.who, message("m", "Good morning"), quiet=quiet, caps=caps, time_zone="Europe/Kyiv")
    people = [await p.contact(place, channel, f"u{n}") for n in range(4)]
    await p.enroll(place.who, chain, *people)
    await p.pass_until(datetime(2026, 3, 3, 6, 59, tzinfo=UTC))
    assert lane.texts == []
    await p.pass_until(datetime(2026, 3, 3, 7, 1, tzinfo=UTC))
    await until(lambda: len(lane.texts) == 2)
    waiting = await p.chains.people(place.who, chain, state="active")
    assert [w.note for w in waiting] == ["channel_hour", "channel_hour"]
    await p.pass_until(datetime(2026, 3, 3, 8, 2, tzinfo=UTC))
    await until(lambda: len(lane.texts) == 3)
    (last,) = await p.chains.people(place.who, chain, state="active")
    assert last.note == "channel_day"
    await p.pass_until(datetime(2026, 3, 4, 7, 2, tzinfo=UTC))
    await until(lambda: len(lane.texts) == 4)


async def test_a_contact_without_a_channel_is_passed_over_visibly(p: ChainProcess, place: Place) -> None:
    chain = await p.chain(place.who, message("m", "Hello"), {"id": "c", "kind": "call", "channel_id": str(uuid4())})
    await p.enroll(place.who, chain, await p.contact(place, None))
    await p.run_due()
    state, _, log = await one(p, place, chain)
    assert state == "done"
    assert log[1:3] == [("skipped", "m", "no_channel"), ("skipped", "c", "no_phone")]


async def test_a_flow_that_was_removed_is_passed_over_and_the_chain_goes_on(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    flow = {"id": "f", "kind": "flow", "agent_id": place.agent_id, "flow_id": str(uuid4())}
    chain = await p.chain(place.who, flow, message("m", "Still here"))
    await p.enroll(place.who, chain, await p.contact(place, channel))
    await p.run_due()
    state, _, log = await one(p, place, chain)
    assert (state, log[1]) == ("done", ("skipped", "f", "not_published"))
    await until(lambda: lane.texts == ["Still here"])


async def test_a_machine_whose_clock_jumps_makes_nothing_early(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = await p.chain(place.who, message("m", "In an hour", delay=after(1, "hours")))
    await p.chains.enroll(place.who, chain, [await p.contact(place, channel)])
    real = time.time
    for shift in (-86_400 * 400, 86_400 * 400):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        p.clock.advance(timedelta(days=400))
        assert await p.by_the_database().once() == 0, "the database's clock decides"
        assert 3500 < await p.sweep_of_chains.seconds_to_next(1e9, None) <= 3600
    assert lane.texts == []


async def test_a_refused_message_goes_out_on_the_next_channel(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane, receiver: WebhookReceiver, admin: Admin
) -> None:
    second_lane = receiver.lane()
    second = await p.add(place, "webhook", receiver.url(second_lane))
    chain = await p.chain(place.who, message("m", "Hello", channels=[channel.row.id, second.row.id]))
    contact = await p.contact(place, channel)
    async with p.database.workspace(place.workspace_id) as connection:
        await p.known(connection, contact, second, "other")
    lane.fail("bad_request", times=5)
    await p.enroll(place.who, chain, contact)
    await p.run_due()
    await until(lambda: letters(admin, place))
    second_lane.fail("bad_request")
    await p.run_due()
    await until(lambda: len(letters(admin, place)) == 2)
    await p.run_due()
    assert (await one(p, place, chain))[2][1] == ("failed", "m", "undelivered:refused")
    other = await p.chain(place.who, message("m", "Again", channels=[channel.row.id, second.row.id]), name="Again")
    await p.enroll(place.who, other, contact)
    await p.run_due()
    await until(lambda: len(letters(admin, place)) == 3)
    await p.run_due()
    await until(lambda: "Again" in second_lane.texts)
    assert (await one(p, place, other))[2][1] == ("done", "m", "fell_back")


async def test_a_flow_starts_a_note_is_left_and_a_subscription_is_told(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane, receiver: WebhookReceiver
) -> None:
    told = receiver.lane()
    subscription = await p.subscribe(place, receiver.url(told), "turn.failed")
    chain = await p.chain(
        place.who,
        {"id": "flow", "kind": "flow", "agent_id": place.agent_id},
        {"id": "note", "kind": "notify", "text": "Ring {{ contact.name }}"},
        {"id": "hook", "kind": "webhook", "subscription_id": subscription.row.id, "note": "stage 2"},
        stop={"on_reply": False},
    )
    await p.enroll(place.who, chain, await p.contact(place, channel, name="Ivan"))
    await p.run_due()
    await until(lambda: told.accepted)
    assert json.loads(told.accepted[0].body)["type"] == "chain.step"
    assert told.accepted[0].data["contact"]["name"] == "Ivan"
    (note,) = await p.chains.notes(place.who)
    assert (note["text"], note["chain"]) == ("Ring Ivan", "Quote")
    assert await p.chains.close_note(place.who, note["id"])
    assert await p.chains.notes(place.who) == []
    (talk,) = (await p.conversations.list(place.who)).rows
    assert talk.status == "open"
    assert (await one(p, place, chain))[0] == "done"


async def test_people_keep_their_version_until_they_are_moved(
    p: ChainProcess, place: Place, channel: Channel, lane: Lane
) -> None:
    chain = await p.chain(place.who, message("a", "Old a"), message("b", "Old b", delay=after(1)))
    first, second = await p.contact(place, channel, "u1"), await p.contact(place, channel, "u2")
    await p.enroll(place.who, chain, first, second)
    await p.run_due()
    draft = await p.drafts.get(place.who, chain)
    steps = [message("a", "New a"), message("b", "New b", delay=after(3)), message("c", "New c", delay=after(1))]
    document = draft.chain.to_json() | {"steps": steps}
    await p.drafts.save(place.who, chain, document, revision=draft.revision)
    with pytest.raises(Conflict):
        await p.drafts.save(place.who, chain, document, revision=draft.revision)
    await p.drafts.publish(place.who, chain)
    assert [v.inside for v in await p.drafts.versions(place.who, chain)] == [0, 2]
    mine = next(r for r in await p.chains.people(place.who, chain) if r.contact_id == first)
    assert await p.chains.move_to_live(place.who, chain, [mine.id]) == 1
    await p.pass_until(MONDAY + timedelta(days=1, minutes=1))
    await until(lambda: "Old b" in lane.texts)
    await p.pass_until(MONDAY + timedelta(days=5))
    await until(lambda: "New c" in lane.texts)
    assert sorted(lane.texts) == ["New b", "New c", "Old a", "Old a", "Old b"]


async def test_everybody_is_moved_however_many(
    p: ChainProcess, place: Place, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph_runtime.services.chains.BATCH", 2)
    chain = await p.chain(place.who, message("a", "Old", delay=after(1)))
    await p.enroll(place.who, chain, *[await p.contact(place, channel, f"u{n}") for n in range(5)])
    draft = await p.drafts.get(place.who, chain)
    document = draft.chain.to_json() | {"steps": [message("a", "New", delay=after(2))]}
    await p.drafts.save(place.who, chain, document, revision=draft.revision)
    await p.drafts.publish(place.who, chain)
    assert await p.chains.move_to_live(place.who, chain) == 5
    assert {r.due_at for r in await p.chains.people(place.who, chain)} == {MONDAY + timedelta(days=2)}
    assert await p.chains.move_to_live(place.who, chain) == 0


async def test_holding_skipping_and_switching_off(p: ChainProcess, place: Place, channel: Channel, lane: Lane) -> None:
    chain = await p.chain(
        place.who,
        message("a", "A", delay=after(1)),
        message("b", "B", delay=after(1)),
        message("c", "C", delay=after(1)),
    )
    await p.enroll(place.who, chain, await p.contact(place, channel))
    (row,) = await p.chains.people(place.who, chain)
    assert await p.chains.set_going(place.who, chain, [row.id], is_on=False) == 1
    await p.pass_until(MONDAY + timedelta(days=2))
    assert lane.texts == []
    assert await p.chains.skip(place.who, chain, [row.id]) == 1
    assert await p.chains.set_going(place.who, chain, [row.id], is_on=True) == 1
    await p.drafts.set_on(place.who, chain, False)
    await p.pass_until(MONDAY + timedelta(days=4))
    assert [e.problem for e in await p.enroll(place.who, chain, row.contact_id)] == ["off"]
    assert lane.texts == []
    await p.drafts.set_on(place.who, chain, True)
    await p.run_due()
    await until(lambda: lane.texts == ["B"])
    assert await p.chains.stop(place.who, chain, [row.id]) == 1
    state, reason, log = await one(p, place, chain)
    assert (state, reason) == ("stopped", "member")
    assert [what for what, *_ in log] == ["enrolled", "paused", "skipped", "resumed", "done", "stopped"]


async def test_a_segment_and_numbers_enter_and_the_calendar_shows_what_comes(
    p: ChainProcess, place: Place, channel: Channel
) -> None:
    chain = await p.chain(place.who, message("a", "A", delay=after(1)), message("b", "B", delay=after(40)))
    p.clock.advance_to(datetime.now(UTC))
    await p.contact(place, channel, "u1", tags=["vip"], phone="+380671112233", name="Olha")
    await p.contact(place, channel, "u2", email="ivan@example.com")
    async with p.database.workspace(place.workspace_id) as connection:
        vip = {"left": {"ref": "contact.tags"}, "op": "contains", "right": {"value": "vip"}}
        segment = await contacts.put_segment(connection, None, "Vip", vip)
    assert segment is not None
    result = await p.chains.enroll_segment(place.who, chain, segment)
    assert (result.enrolled, result.problems) == (1, {})
    known = await p.chains.enroll_known(
        place.who, chain, phones=["+380 67 111-22-33", "+1 555 0000"], emails=["Ivan@example.com"]
    )
    assert sorted(e.problem for e in known) == ["", "inside", "no_contact"]
    coming = await p.chains.ahead(place.who, chain)
    assert [(a.step_id, a.contact_name) for a in coming] == [("a", "Olha"), ("a", "")]
    assert [a.step_id for a in await p.chains.ahead(place.who, chain, 60)] == ["a", "a", "b", "b"]
    sample = await p.chains.preview(place.who, chain)
    assert [a.due_at for a in sample] == [p.clock.now() + timedelta(days=1), p.clock.now() + timedelta(days=41)]


async def test_undo_publishing_and_who_may(p: ChainProcess, place: Place) -> None:
    draft = await p.drafts.create(place.who, "  New   one ")
    assert draft.row.name == "New one"
    with pytest.raises(FlowInvalid):
        await p.drafts.publish(place.who, draft.row.id)
    saved = await p.drafts.save(place.who, draft.row.id, {"steps": [message("a", "A")]}, revision=draft.revision)
    assert saved.can_undo
    assert (await p.drafts.undo(place.who, draft.row.id)).chain.steps == ()
    viewer = Principal(place.workspace_id, None, "viewer", PERMISSIONS["viewer"])
    with pytest.raises(AccessDenied):
        await p.chains.enroll(viewer, draft.row.id, [])
    with pytest.raises(AccessDenied):
        await p.drafts.create(Principal(place.workspace_id, None, "operator", PERMISSIONS["operator"]), "x")
    with pytest.raises(NotFound):
        await p.chains.enroll(place.who, str(uuid4()), [str(uuid4())])
    await p.drafts.delete(place.who, draft.row.id)
    assert await p.drafts.list(place.who) == []


async def test_a_step_that_breaks_is_tried_again_and_then_put_aside(
    p: ChainProcess, place: Place, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = await p.chain(place.who, message("a", "A"))
    await p.enroll(place.who, chain, await p.contact(place, channel))

    async def breaks(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr(p.acts, "do", breaks)
    await p.pass_until(MONDAY + timedelta(days=1))
    assert (await one(p, place, chain))[:2] == ("failed", "RuntimeError")
    monkeypatch.undo()
    (row,) = await p.chains.people(place.who, chain)
    await p.chains.set_going(place.who, chain, [row.id], is_on=True)
    await p.pass_until(datetime.now(UTC) + timedelta(days=1))
    assert (await one(p, place, chain))[0] == "done"


@pytest.fixture
def _steps_of_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Besides the small steps of these tests, the two that start and stop follow-ups."""
    more = replace(CATALOG, nodes={**CATALOG.nodes, ENROLL.type: ENROLL, LEAVE.type: LEAVE})
    monkeypatch.setattr(chain_world, "CATALOG", more)


def new_version(admin: Admin, place: Place, document: Flow) -> str:
    """Let another document be the live version of the place's flow."""
    row = admin.execute(
        "WITH v AS (INSERT INTO version (workspace_id, flow_id, number, document, content_hash)"
        " SELECT workspace_id, id, 2, %s, 'second' FROM flow WHERE workspace_id = %s RETURNING id, flow_id)"
        " UPDATE flow f SET live_version_id = v.id FROM v WHERE f.id = v.flow_id RETURNING v.id::text",
        (json.dumps(document.to_json()), place.workspace_id),
    ).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.usefixtures("_steps_of_flows")
async def test_a_flow_starts_and_stops_follow_ups_and_a_test_does_not(
    p: ChainProcess, place: Place, channel: Channel, admin: Admin
) -> None:
    chain = await p.chain(place.who, message("m", "Later", delay=after(1)), stop={"on_reply": False})
    steps = {
        "s": ("start", {}),
        "in": ("enroll_in_chain", {"chain_id": chain}),
        "q": ("ask", {"text": "Anything else?"}),
        "out": ("leave_chain", {}),
        "bye": ("say", {"text": "Bye"}),
    }
    edges = {"s.next": "in", "in.next": "q", "q.answered": "out", "out.next": "bye"}
    version = new_version(admin, place, flow(steps, edges))
    await channel.post(p, "u1", "hello")
    await p.run_due()
    (row,) = await p.chains.people(place.who, chain)
    assert (row.state, row.source, row.step_id) == ("active", "flow", "m")
    await channel.post(p, "u1", "no")
    await p.run_due()
    assert (await one(p, place, chain))[:2] == ("stopped", "flow")
    await p.conversations.start(place.who, agent_id=place.agent_id, dedupe_key="t", is_test=True, version_id=version)
    await p.settle()
    await p.run_due()
    assert len(await p.chains.people(place.who, chain)) == 1
