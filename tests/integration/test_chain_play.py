"""A chain played ahead of time: the same as what then happens, and nothing of it stays."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.errors import FlowInvalid, InputInvalid, NotFound
from graph_runtime.services.chain_entry import enroll_one, open_door
from graph_runtime.services.chain_play import Answer, Sample, Script
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.chain_world import ChainProcess, after, chaining, message
from tests.delivery_world import Channel, Place
from tests.fakes.webhook_receiver import receiving
from tests.integration.test_deliveries import QUIET

Admin = psycopg.Connection[tuple[object, ...]]
NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
MONTH = (
    message("quote", "Quote for {{ contact.name }}"),
    message("remind", "Reminder", delay=after(2, "working_days", "11:00")),
    message("late", "It is late", delay=after(5, "hours")),
    {"id": "tag", "kind": "update", "add_tags": ["cold"], "delay": after(1)},
    message("gold", "Only for gold", only_if={"left": {"ref": "contact.tier"}, "op": "eq", "right": {"value": "gold"}}),
    {"id": "ask", "kind": "notify", "text": "Ring {{ contact.name }}", "delay": after(25)},
)
RULES: dict[str, Any] = {
    "quiet": {"start": "21:00", "end": "09:00"}, "caps": {"per_contact_day": 1, "spacing_minutes": 0}, "jitter_minutes": 30,
}  # fmt: skip
TABLES = (
    "contact", "contact_identity", "conversation", "message", "outbox", "enrollment", "chain_log", "chain_version",
    "chain_signal", "chain_note", "event", "phone_call", "trigger_run",
)  # fmt: skip


@pytest.fixture
async def p(postgres: EmbeddedPostgres, admin: Admin) -> AsyncIterator[ChainProcess]:
    admin.execute("DELETE FROM workspace")
    async with chaining(postgres.app_url, NOON) as side:
        yield side


@pytest.fixture
def place(p: ChainProcess, postgres: EmbeddedPostgres) -> Place:
    return Place(postgres.admin_url, QUIET)


@pytest.fixture
async def channel(p: ChainProcess, place: Place) -> AsyncIterator[Channel]:
    with receiving() as receiver:
        yield await p.add(place, "webhook", receiver.url(receiver.lane()))


def counted(admin: Admin) -> dict[str, object]:
    return {t: admin.execute(f"SELECT count(*) FROM {t}").fetchone() for t in TABLES}


async def test_a_play_is_what_then_happens_and_leaves_nothing(
    p: ChainProcess, place: Place, channel: Channel, admin: Admin
) -> None:
    chain = await p.chain(place.who, *MONTH, **RULES)
    marta = await p.contact(place, channel, name="Marta", time_zone="Europe/Kyiv", fields={"tier": "silver"})
    before = counted(admin)
    played = await p.play.play(place.who, chain, Sample(contact_id=marta), Script(NOON))
    assert await p.play.play(place.who, chain, Sample(contact_id=marta), Script(NOON, key=played.key)) == played
    assert counted(admin) == before
    # Wordings and jitter are drawn by the enrollment's id: the real one gets that of the play.
    async with p.database.workspace(place.workspace_id) as connection:
        door = await open_door(connection, chain, NOON)
        entered = await enroll_one(connection, door, marta, source="play", enrollment_id=played.key)
    # Whoever is inside already can be played for, too.
    inside = await p.play.play(place.who, chain, Sample(contact_id=marta), Script(NOON, key=played.key))
    assert inside.state == "done"
    await p.pass_until(NOON + timedelta(days=40))
    row, lines = await p.chains.person(place.who, chain, entered.enrollment_id)
    assert (played.state, played.zone) == (row.state, "Europe/Kyiv") == ("done", "Europe/Kyiv")
    real = [(line["what"], line["step_id"], line["reason"], _minute(line["at"])) for line in lines]
    told = [(h.what, h.step_id, h.reason, _minute(h.at)) for h in played.happenings]
    assert told == real
    assert [h.text for h in played.happenings if h.kind == "message" and h.what == "done"] == [
        "Quote for Marta", "Reminder", "It is late",
    ]  # fmt: skip
    assert {h.reason for h in played.happenings} >= {"contact_day", "condition"}


async def test_the_tester_answers_and_skips_ahead(p: ChainProcess, place: Place, channel: Channel) -> None:
    chain = await p.chain(place.who, *MONTH, **RULES)
    whom = Sample(values={"name": "Nina", "time_zone": "America/New_York"})
    first = await p.play.play(place.who, chain, whom, Script(NOON, end=NOON + timedelta(hours=2)))
    assert [(h.what, h.step_id) for h in first.happenings] == [("enrolled", ""), ("done", "quote")]
    assert first.next_at is not None
    assert first.state == "active"
    on = await p.play.play(place.who, chain, whom, Script(NOON, end=first.next_at, key=first.key))
    assert [h.step_id for h in on.happenings if h.what == "done"] == ["quote", "remind"]
    assert on.now == first.next_at
    answer = Answer(on.now + timedelta(minutes=5), "I have a question")
    ended = await p.play.play(place.who, chain, whom, Script(NOON, answers=[answer], key=first.key))
    assert [(h.what, h.reason) for h in ended.happenings[-2:]] == [("answered", ""), ("stopped", "replied")]
    assert (ended.state, ended.reason, ended.next_at) == ("stopped", "replied", None)
    refused = await p.play.play(place.who, chain, Sample(values={"name": "Nina"}), Script(NOON))
    assert refused.zone == "UTC"


async def test_calls_of_a_play_ring_nobody(p: ChainProcess, place: Place, channel: Channel) -> None:
    secret = {"manager_address": "127.0.0.1:1", "manager_secret": "x", "caller_id": "+4930999"}
    line, _ = await p.setup.create(place.who, place.agent_id, "asterisk", settings=secret)
    call = {"id": "call", "kind": "call", "channel_id": line.id, "tries": 2, "again_minutes": 30}
    chain = await p.chain(place.who, call)
    whom = Sample(values={"name": "Nina", "phone": "+4930123456"})
    played = await p.play.play(place.who, chain, whom, Script(NOON, call_ends="busy"))
    assert [(h.what, h.reason) for h in played.happenings] == [
        ("enrolled", "play"), ("called", ""), ("called", ""), ("failed", "call:busy"), ("finished", ""),
    ]  # fmt: skip
    assert played.happenings[2].at >= NOON + timedelta(minutes=30)
    answered = await p.play.play(place.who, chain, whom, Script(NOON))
    assert [(h.what, h.reason) for h in answered.happenings[-2:]] == [("done", ""), ("finished", "")]


async def test_what_cannot_be_played_says_why(p: ChainProcess, place: Place, channel: Channel) -> None:
    draft = await p.drafts.create(place.who, "Empty")
    with pytest.raises(FlowInvalid):
        await p.play.play(place.who, draft.row.id, Sample(), Script(NOON))
    chain = await p.chain(place.who, message("m", "Hello"))
    with pytest.raises(NotFound):
        await p.play.play(place.who, chain, Sample(contact_id="not there"), Script(NOON))
    with pytest.raises(InputInvalid):
        await p.play.play(place.who, chain, Sample(values={"phone": "12"}), Script(NOON))
    silent = await p.contact(place, channel, opted_out_at=NOON)
    assert (await p.play.play(place.who, chain, Sample(contact_id=silent), Script(NOON))).refused == "opted_out"


async def test_a_month_passes_in_a_moment(p: ChainProcess, place: Place, channel: Channel) -> None:
    chain = await p.chain(place.who, *[message(f"d{n}", f"Day {n}", delay=after(1, at="11:00")) for n in range(30)])
    began = time.monotonic()
    played = await p.play.play(place.who, chain, Sample(values={"name": "Nina"}), Script(NOON))
    assert time.monotonic() - began < 3
    assert sum(h.what == "done" for h in played.happenings) == 30
    assert played.now - NOON > timedelta(days=29)


def _minute(at: datetime) -> datetime:
    # The real one is waited for by a clock that moves a millisecond past each moment.
    return (at + timedelta(milliseconds=-50)).replace(second=0, microsecond=0)
