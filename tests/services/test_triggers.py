"""Triggers at work: times and downtime, what happens inside, messages, programs, limits, circles; each with its reason."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.contract import signatures, trigger_rules
from graph_runtime.contract.channels import SignatureRefused
from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid, NotFound, TooLarge
from graph_runtime.contract.messages import Reply
from graph_runtime.contract.triggers import MAX_DEPTH
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.services.trigger_log import Sample
from graph_runtime.services.trigger_messages import MessageTriggers
from graph_runtime.storage.receiving import Arrival
from graph_runtime.testing import FakeClock
from tests.fakes.webhook_receiver import receiving
from tests.trigger_world import World

DAILY = {"kind": "schedule", "schedule": {"every": "day", "at": "09:00", "zone": "Europe/Kyiv"}}
VIP = {"left": {"ref": "contact.tags"}, "op": "contains", "right": {"value": "vip"}}
OFFER = "Would you like an offer, {}?"


@pytest.fixture
async def world(services: Services, owner: Principal, admin: Any, clock: FakeClock) -> World:
    # A little ahead, so that what the database stamped before is due by this clock.
    clock.at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    return await World(services, owner, admin, clock).open()


async def test_a_time_starts_a_flow_with_everybody_who_fits_and_says_why_not_with_others(world: World) -> None:
    world.contact("Ann", tags=["vip"])
    world.contact("Bob")
    world.contact("Cid", tags=["vip"], is_known=False)
    row = await world.trigger(DAILY, condition=VIP)
    assert row.next_at is not None
    assert row.next_at > world.now
    assert await world.work(minutes=1) == 0
    world.clock.at = row.next_at - timedelta(seconds=1)
    assert await world.work() == 0, "never early"
    await world.work(seconds=1)
    assert await world.told(row) == [("", "fired", "spread"), ("Cid", "not_fired", "no_channel"), ("Ann", "fired", "")]
    assert world.said() == [OFFER.format("Ann")]
    (head, *_, ann) = await world.log(row)
    assert (head.data["looked"], head.data["fits"]) == (3, 2)
    assert ann.did == [{"do": "start_flow", "conversation_id": ann.conversation_id, "channel": "webhook"}]
    again = await world.services.triggers.get(world.who, row.id)
    assert again.next_at == row.next_at + timedelta(days=1)
    assert again.fired == 1
    await world.work(days=1)
    assert (await world.told(row))[-1] == ("Ann", "not_fired", "busy"), "a conversation goes on"


@pytest.mark.parametrize(("catch_up", "fires"), [("skip", 0), ("once", 1), ("all", 3)])
async def test_downtime(world: World, catch_up: str, fires: int) -> None:
    when = {"kind": "schedule", "audience": "nobody", "schedule": {**DAILY["schedule"], "catch_up": catch_up}}  # type: ignore[dict-item]
    row = await world.trigger(when, actions=[{"do": "notify", "text": "It is {{ event.scheduled_at }}."}])
    assert row.next_at is not None
    world.clock.at = row.next_at + timedelta(days=2, hours=5)
    await world.work()
    notes = await world.services.trigger_log.notes(world.who, world.agent_id)
    assert len(notes) == fires
    log = await world.log(row)
    assert sum(o.data["passed_over"] for o in log[:1]) == 3 - fires
    if catch_up == "skip":
        assert [(o.state, o.reason) for o in log] == [("not_fired", "missed")]
    if catch_up == "all":
        assert [o.at for o in log] == [row.next_at + timedelta(days=d) for d in range(3)]
    # A machine whose clock is set back fires nothing twice.
    world.clock.at = row.next_at - timedelta(hours=1)
    assert await world.work() == 0
    assert (await world.services.triggers.get(world.who, row.id)).next_at == row.next_at + timedelta(days=3)


async def test_a_flow_that_was_removed_is_told_where_it_is_looked_for(world: World) -> None:
    world.contact("Ann")
    row = await world.trigger(DAILY)
    await world.services.agents.delete_flow(world.who, world.other_id)
    assert [p.code for p in (await world.services.triggers.get(world.who, row.id)).problems] == ["flow_gone"]
    assert row.next_at is not None
    world.clock.at = row.next_at
    await world.work(seconds=1)
    assert ("Ann", "not_fired", "flow_gone") in await world.told(row)
    assert world.said() == []
    with pytest.raises(InputInvalid, match="removed"):
        await world.services.triggers.set_on(world.who, row.id, True)


async def test_two_workers_do_each_time_once(world: World) -> None:
    for name in "ABCDEFGH":
        world.contact(name)
    row = await world.trigger(DAILY)
    assert row.next_at
    world.clock.at = row.next_at
    while any(await asyncio.gather(*(world.timers.once() for _ in range(4)))):
        pass
    await world.settle()
    assert sorted(world.said()) == [OFFER.format(n) for n in "ABCDEFGH"]
    assert len(await world.log(row)) == 9


async def test_a_flow_that_ends_badly_and_a_tag_start_something(world: World) -> None:
    ann = world.contact("Ann")
    lost = await world.trigger({"kind": "event", "event": "flow.finished", "results": ["lost"]}, name="lost")
    done = await world.trigger(
        {"kind": "event", "event": "flow.finished"}, name="done",
        actions=[{"do": "change_contact", "fields": {"last": "{{ event.result }}"}, "add_tags": ["finished"]}],
    )  # fmt: skip
    tagged = await world.trigger(
        {"kind": "event", "event": "contact.tag_added", "tags": ["finished"]}, name="tagged",
        actions=[{"do": "notify", "text": "{{ contact.name }} is {{ event.tag }}"}],
    )  # fmt: skip
    begin = await world.trigger({"kind": "manual"}, name="begin")
    fired = await world.services.trigger_log.fire(world.who, begin.id, contact_id=ann)
    await world.work()
    talk = (await world.services.trigger_log.occasion(world.who, begin.id, fired.id)).conversation_id
    assert talk is not None
    await world.services.conversations.receive(world.who, talk, Reply(text="no"), dedupe_key="1")
    await world.settle()
    await world.work()
    assert (await world.told(lost))[-1] == ("Ann", "not_fired", "result")
    assert await world.told(done) == [("Ann", "fired", "")]
    assert await world.told(tagged) == [("Ann", "fired", "")]
    assert (await world.log(tagged))[0].depth == 2, (
        "the conversation was begun by a trigger, the tag was set by another"
    )
    (note,) = await world.services.trigger_log.notes(world.who, world.agent_id)
    assert note["text"] == "Ann is finished"
    assert await world.services.trigger_log.close_note(world.who, note["id"])
    assert await world.services.trigger_log.notes(world.who, world.agent_id) == []


async def test_a_circle_of_triggers_stops_with_a_sentence(world: World) -> None:
    ann = world.contact("Ann")
    row = await world.trigger(
        {"kind": "event", "event": "contact.tag_added"}, name="circle",
        actions=[{"do": "change_contact", "add_tags": ["t{{ event.tag | size }}{{ event.tag }}"]}],
    )  # fmt: skip
    async with world.services.database.workspace(world.who.workspace_id) as connection:
        await connection.execute("UPDATE contact SET tags = '{x}' WHERE id = %s", (ann,))
    await world.work()
    told = await world.told(row)
    assert told == [("Ann", "fired", "")] * MAX_DEPTH + [("Ann", "not_fired", "loop")]
    assert "circle" in (await world.log(row))[-1].sentence


async def test_limits_count_for_one_contact_and_for_all(world: World) -> None:
    ann, bob = world.contact("Ann"), world.contact("Bob")
    row = await world.trigger(
        {"kind": "manual"}, actions=[{"do": "notify", "text": "x"}],
        limits={"per_contact": 2, "contact_period": "day", "total": 3, "total_period": "week"},
    )  # fmt: skip
    log = world.services.trigger_log
    for contact in (ann, ann, ann, bob, bob):
        await log.fire(world.who, row.id, contact_id=contact)
        await world.work(seconds=1)
    assert [r for _, _, r in await world.told(row)] == ["", "", "contact_limit", "", "total_limit"]
    await log.fire(world.who, row.id, contact_id=ann)
    await world.work(days=8)
    assert (await world.told(row))[-1] == ("Ann", "fired", "")


async def test_silence_is_heard_once(world: World) -> None:
    ann = world.contact("Ann")
    manual = await world.trigger({"kind": "manual"}, name="begin")
    await world.services.trigger_log.fire(world.who, manual.id, contact_id=ann)
    await world.work()
    row = await world.trigger({"kind": "inactivity", "minutes": 60}, actions=[{"do": "notify", "text": "quiet"}])
    await world.work(minutes=59)
    assert await world.log(row) == []
    await world.work(minutes=2)
    await world.work(hours=5)
    assert await world.told(row) == [("Ann", "fired", "")]
    assert "triggers" not in str(await world.log(row))


async def test_firing_by_hand_is_once_per_key_and_known_by_its_reason(world: World) -> None:
    ann = world.contact("Ann")
    row = await world.trigger({"kind": "manual"}, is_on=False)
    log = world.services.trigger_log
    payload = {"note": "Hello! "}
    one = await log.fire(world.who, row.id, contact_id=ann, payload=payload, key="k")
    two = await log.fire(world.who, row.id, contact_id=ann, payload=payload, key="k")
    assert one.id == two.id
    with pytest.raises(Conflict):
        await log.fire(world.who, row.id, key="k")
    await world.work()
    assert world.said() == ["Hello! " + OFFER.format("Ann")]
    world.admin.execute("UPDATE contact SET opted_out_at = now() WHERE id = %s", (ann,))
    await log.fire(world.who, row.id, contact_id=ann)
    await log.fire(world.who, row.id)
    await world.work()
    assert [r for _, _, r in await world.told(row)] == ["", "opted_out", "no_contact"]
    with pytest.raises(NotFound):
        await log.fire(world.who, row.id, contact_id=str(uuid4()))
    with pytest.raises(InputInvalid):
        await log.fire(world.who, row.id, payload=["x"])


async def test_what_breaks_is_tried_three_times_and_leaves_nothing_half_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    row = await world.trigger(
        {"kind": "manual"}, actions=[{"do": "notify", "text": "a"}, {"do": "notify", "text": "b"}]
    )
    acts, done = world.services.conversation_side.trigger_acts, 0
    do = acts.do

    async def breaks(connection: Any, action: Any, *rest: Any) -> Any:
        nonlocal done
        done += 1
        if action.text == "b":
            raise RuntimeError("out of order")
        return await do(connection, action, *rest)

    monkeypatch.setattr(acts, "do", breaks)
    await world.services.trigger_log.fire(world.who, row.id)
    for _ in range(5):
        await world.work(minutes=10)
    assert done == 6
    assert await world.told(row) == [("", "failed", "failed")]
    assert await world.services.trigger_log.notes(world.who, world.agent_id) == []


class Sender:
    """A program that posts to a trigger."""

    def __init__(self, world: World, path: str, secret: str) -> None:
        self.hooks, self.public_id, self.secret = world.services.trigger_hooks, path.rpartition("/")[2], secret

    async def post(self, body: Any, *, key: str = "", secret: str = "", headers: dict[str, str] | None = None) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = signatures.signed_headers([secret or self.secret], key or uuid4().hex, datetime.now(UTC), data)
        return await self.hooks.receive(self.public_id, data, {**signed, **(headers or {})})


USES = [
    {"pointer": "/lead/phone", "as": "phone"},
    {"pointer": "/lead/mail", "as": "email"},
    {"pointer": "/lead/name", "as": "name"},
    {"pointer": "/lead/id", "as": "external_id"},
    {"pointer": "/lead/budget", "as": "variable", "name": "budget"},
    {"pointer": "/lead/budget", "as": "field", "name": "budget"},
]
LEAD = {"lead": {"phone": "+380 50 123 45 67", "name": "Olena", "id": 17, "budget": 900}}


async def hook(world: World, **more: Any) -> tuple[Any, Sender]:
    when = {"kind": "webhook", "uses": USES, "channel_id": world.channel_id, **more}
    row = await world.trigger(when)
    return row, Sender(world, row.path, world.secret)


async def test_a_request_finds_or_makes_its_contact_and_the_flow_knows_its_values(world: World) -> None:
    row, sender = await hook(world)
    posted = await sender.post(LEAD, key="m1")
    again = await sender.post(LEAD, key="m1")
    assert (posted.is_new, again.is_new, again.run_id) == (True, False, posted.run_id)
    await world.work()
    assert world.said() == [OFFER.format("Olena")]
    (known,) = world.admin.execute("SELECT phone, name, fields FROM contact").fetchall()
    assert known == ("+380501234567", "Olena", {"budget": 900})
    # The same person by mail or number; a name that somebody gave them stays.
    await sender.post({"lead": {"phone": "+380501234567", "mail": "o@example.org", "name": "Other"}})
    await sender.post({"lead": {"mail": "O@example.org"}})
    assert world.admin.execute("SELECT name, email FROM contact").fetchall() == [("Olena", "o@example.org")]
    await asyncio.gather(*(sender.post({"lead": {"phone": "+49301234567"}}) for _ in range(5)))
    assert len(world.admin.execute("SELECT 1 FROM contact").fetchall()) == 2
    await sender.post({"lead": {}})
    await world.work()
    assert (await world.told(row))[-1] == ("", "not_fired", "no_contact")


async def test_bad_requests_are_refused_and_nothing_is_kept(world: World) -> None:
    row, sender = await hook(world)
    with pytest.raises(SignatureRefused):
        await sender.post(LEAD, secret=signatures.new_secret())
    with pytest.raises(SignatureRefused):
        await sender.post(LEAD, headers={"webhook-signature": ""})
    with pytest.raises(TooLarge):
        await sender.post(b"[" + b"1," * 130_000 + b"1]")
    for bad in (b"", b"not json", b'"text"', b"\xff", b"1", b"[" * 5000 + b"]" * 5000):
        with pytest.raises(InputInvalid):
            await sender.post(bad)
    with pytest.raises(NotFound):
        await sender.hooks.receive("nobody", b"{}", {})
    await world.services.triggers.set_on(world.who, row.id, False)
    with pytest.raises(Conflict):
        await sender.post(LEAD)
    assert await world.log(row) == []
    assert world.admin.execute("SELECT 1 FROM contact").fetchall() == []
    fresh = await world.services.triggers.rotate_secret(world.who, row.id)
    await world.services.triggers.set_on(world.who, row.id, True)
    with pytest.raises(SignatureRefused):
        await sender.post(LEAD)
    assert (await sender.post(LEAD, secret=fresh)).is_new


async def test_a_sample_is_kept_once_even_while_it_is_off(world: World) -> None:
    row, sender = await hook(world)
    await world.services.triggers.set_on(world.who, row.id, False)
    await world.services.triggers.capture(world.who, row.id)
    assert (await sender.post(LEAD)).is_sample
    kept = await world.services.triggers.get(world.who, row.id)
    assert (kept.sample, kept.captures) == (LEAD, False)
    with pytest.raises(Conflict):
        await sender.post({"other": 1})
    assert await world.log(row) == []


async def test_a_plain_secret_and_a_form(world: World) -> None:
    row, sender = await hook(world, auth="secret", dedupe="/id", uses=[{"pointer": "/phone", "as": "phone"}])
    form = {"content-type": "application/x-www-form-urlencoded"}
    for headers in ({"authorization": f"Bearer {sender.secret}"}, {"x-patchcord-secret": sender.secret}):
        posted = await sender.hooks.receive(sender.public_id, b"id=7&phone=%2B380501234567", {**form, **headers})
        assert posted.run_id
    assert len(await world.log(row)) == 1, "known by the value that was chosen"
    for headers in ({}, {"authorization": "Bearer no"}, {"authorization": sender.secret}):
        with pytest.raises(SignatureRefused):
            await sender.hooks.receive(sender.public_id, b"id=8", {**form, **headers})


async def say(world: World, user: str, text: str, key: str = "") -> Any:
    """A message through the channel that pushes, as `Hooks` takes it in."""
    side = world.services.conversation_side
    arrival = Arrival(
        world.who.workspace_id, world.channel_id, 1, key or uuid4().hex, user, {}, None,
        Reply(text=text).model_dump(mode="json"), [{"kind": "text", "text": text}], text, "h",
    )  # fmt: skip
    received, turn = await side.message_triggers.receive(arrival, world.agent_id, "webhook")
    if received.is_new:
        side.starts.go_on(world.who.workspace_id, str(received.conversation_id), turn)
    await world.settle()
    return received


async def test_a_keyword_chooses_the_flow_and_interrupts_only_where_it_may(world: World) -> None:
    row = await world.trigger({"kind": "message", "texts": ["price"]}, name="price")
    first = await say(world, "Ann", "What is the price?", key="m1")
    assert world.said() == [OFFER.format("")]
    assert not (await say(world, "Ann", "What is the price?", key="m1")).is_new
    await say(world, "Bob", "hello")
    assert world.said()[-1] == "What is your name?"
    talk = await say(world, "Bob", "price")
    assert [(o.state, o.reason) for o in await world.log(row)] == [("fired", ""), ("not_fired", "busy")]
    assert talk.conversation_id != first.conversation_id
    stop = await world.trigger(
        {"kind": "message", "match": "command", "texts": ["stop"], "interrupts": True}, name="stop",
        actions=[{"do": "start_flow", "flow_id": world.other_id}, {"do": "notify", "text": "{{ message.text }}"}],
    )  # fmt: skip
    world.services.conversation_side.message_triggers._known.clear()
    await say(world, "Cid", "hello")
    again = await say(world, "Cid", "/stop now", key="m9")
    await say(world, "Cid", "/stop now", key="m9")
    assert [(o.state, o.reason, str(o.conversation_id)) for o in await world.log(stop)] == [
        ("fired", "", str(again.conversation_id))
    ]
    assert world.said()[-2:] == ["What is your name?", OFFER.format("")]
    (note,) = await world.services.trigger_log.notes(world.who, world.agent_id)
    assert note["text"] == "/stop now"
    answered = await say(world, "Cid", "yes")
    assert answered.conversation_id == again.conversation_id
    detail = await world.services.conversations.get(world.who, str(again.conversation_id))
    assert detail.row.status == "ended", "the flow that was chosen went on to its end"


async def test_the_first_message_of_a_web_chat_chooses_the_flow_too(world: World) -> None:
    row = await world.trigger({"kind": "message", "match": "exact", "texts": ["offer"], "channels": ["web_chat"]})
    chat = next(str(r[0]) for r in world.admin.execute("SELECT id FROM channel WHERE connector = 'web_chat'"))
    access = ChannelAccess(world.who.workspace_id, world.agent_id, chat, "v1", "web_chat")
    conversations = world.services.conversations
    talk = await conversations.start(access, dedupe_key="s")
    await world.settle()
    stranger = ChannelAccess(world.who.workspace_id, world.agent_id, chat, "v2", "web_chat")
    with pytest.raises(NotFound):
        await conversations.receive(stranger, talk, Reply(text="offer"), dedupe_key="x")
    for _ in range(2):
        await conversations.receive(access, talk, Reply(text="Offer!"), dedupe_key="m")
        await world.settle()
    assert world.said() == ["What is your name?", OFFER.format("")]
    assert [o.state for o in await world.log(row)] == ["fired"]
    await conversations.receive(access, talk, Reply(text="offer"), dedupe_key="n")
    await world.settle()
    assert len(world.said()) == 2, "in the middle of a conversation it is an answer"


async def test_a_workspace_without_message_triggers_asks_once_in_two_seconds(world: World) -> None:
    triggers: MessageTriggers = world.services.conversation_side.message_triggers
    assert not await triggers.any_in(world.who.workspace_id)
    asked = triggers._known[world.who.workspace_id]
    assert not await triggers.any_in(world.who.workspace_id)
    assert triggers._known[world.who.workspace_id] is asked


async def test_trying_it_out_tells_what_would_happen_and_changes_nothing(world: World) -> None:
    ann = world.contact("Ann", phone="+380501234567")
    log = world.services.trigger_log
    document: dict[str, Any] = {
        "name": "T", "when": {"kind": "webhook", "uses": USES, "channel_id": world.channel_id},
        "condition": {"left": {"ref": "var.budget"}, "op": "gt", "right": {"value": 500}},
        "actions": [{"do": "start_flow"}, {"do": "change_contact", "add_tags": ["lead"]}],
    }  # fmt: skip
    trial = await log.try_out(world.who, world.agent_id, document, Sample(payload=LEAD))
    assert (trial.fires, trial.who["phone"], trial.variables) == (True, "+380501234567", {"budget": 900})
    assert [(d.do, d.reason) for d in trial.did] == [("start_flow", ""), ("change_contact", "")]
    cheap = {"lead": {**LEAD["lead"], "budget": 5}}
    trial = await log.try_out(world.who, world.agent_id, document, Sample(payload=cheap))
    assert (trial.fires, trial.reason) == (False, "condition")
    heard = {"name": "T", "when": {"kind": "message", "texts": ["hi"]}, "actions": [{"do": "start_flow"}]}
    for text, reason in (("hi there", ""), ("bye", "wrong_words")):
        trial = await log.try_out(world.who, world.agent_id, heard, Sample(text=text, contact_id=ann))
        assert trial.reason == reason
        assert trial.sentence.endswith(".")
    assert world.admin.execute("SELECT 1 FROM trigger_run").fetchall() == []
    assert world.admin.execute("SELECT tags FROM contact").fetchall() == [([],)]


async def test_who_may_what(world: World, other_workspace: Principal) -> None:
    services, who = world.services, world.who
    row = await world.trigger({"kind": "manual"})
    deeds: list[Any] = [
        lambda p: services.triggers.update(p, row.id, {"name": "x", "when": {"kind": "manual"}}),
        lambda p: services.triggers.set_on(p, row.id, False),
        lambda p: services.triggers.delete(p, row.id),
        lambda p: services.triggers.capture(p, row.id),
        lambda p: services.triggers.rotate_secret(p, row.id),
        lambda p: services.trigger_log.fire(p, row.id),
    ]
    reads: list[Any] = [lambda p: services.triggers.get(p, row.id), lambda p: services.trigger_log.log(p, row.id)]
    viewer = Principal(who.workspace_id, who.member_id, "viewer", PERMISSIONS["viewer"])
    for deed in deeds:
        with pytest.raises(AccessDenied):
            await deed(viewer)
    for deed in deeds + reads:
        with pytest.raises(NotFound):
            await deed(other_workspace)
        with pytest.raises(AccessDenied):
            await deed(Principal(who.workspace_id, None, "api", frozenset(), "k"))
    for read in reads:
        await read(viewer)
    with pytest.raises(NotFound):
        await services.triggers.create(other_workspace, world.agent_id, {"name": "x"})
    assert await services.triggers.list(other_workspace, world.agent_id) == []
    with pytest.raises(Conflict):
        await services.triggers.update(
            who, row.id, {"name": "x", "when": {"kind": "inactivity"}, "actions": [{"do": "leave"}]}
        )
    with pytest.raises(InputInvalid) as refused:
        await services.triggers.update(who, row.id, {"name": "x", "when": {"kind": "manual"}, "actions": []})
    assert refused.value.field == "actions"
    actions = {r[0] for r in world.admin.execute("SELECT action FROM audit").fetchall()}
    assert actions >= {"trigger.created", "trigger.switched_on"}


async def test_a_program_that_answers_every_event_with_a_request_does_not_go_on_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_rules, "MOST_PER_HOUR_OF_NOBODY", 4)
    services = world.services
    with receiving() as receiver:
        lane = receiver.lane()
        subscription, _ = await services.event_subscriptions.create(
            world.who, receiver.url(lane), ["flow.finished"], allow_private_host=True
        )
        action = {"do": "send_webhook", "subscription_id": str(subscription.id)}
        when = {"kind": "webhook", "uses": []}
        row = await world.trigger(when, actions=[action])
        sender = Sender(world, row.path, world.secret)
        await sender.post({"ping": 0})
        for _ in range(12):
            await world.work()
            heard = len(lane.journal)
            for ticket in await services.event_sending.claim("events", 10):
                await services.event_sending.deliver(ticket)
            for arrived in lane.journal[heard:]:  # as a program does that takes each event for news
                await sender.post({"ping": arrived.key})
    assert len(lane.journal) == 4
    told = await world.told(row)
    assert told == [("", "fired", "")] * 4 + [("", "not_fired", "too_often_nobody")]
    assert "goes in a circle" in (await world.log(row))[-1].sentence
    # Within the next hour it listens again.
    world.admin.execute("UPDATE trigger_run SET done_at = done_at - interval '61 minutes'")
    await sender.post({"ping": "again"})
    await world.work()
    assert (await world.told(row))[-1] == ("", "fired", "")
