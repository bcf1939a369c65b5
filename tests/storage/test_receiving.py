"""What is stored of a vendor's event, in a process that takes the conversation and in one that takes in for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from graph_runtime.bootstrap import Services
from graph_runtime.services.principal import Principal
from graph_runtime.storage.database import Database
from graph_runtime.storage.news import News
from graph_runtime.storage.receiving import Arrival, Received, Receiver
from graph_runtime.storage.turns import LeasedTurn
from tests.services.flows import HELLO, new_agent

Admin = psycopg.Connection[tuple[Any, ...]]
OWNER = 77


class Door:
    """A channel, and what comes through it."""

    def __init__(self, receiver: Receiver, admin: Admin, first: Arrival) -> None:
        self.receiver, self.admin, self.first = receiver, admin, first

    async def take(self, who: str, key: str, text: str = "hello", **more: Any) -> tuple[Received, LeasedTurn | None]:
        """One event."""
        parts = [{"kind": "text", "text": text}] if text else []
        arrival = replace(
            self.first, external_user_id=who, dedupe_key=f"hook:{key}", text=text, parts=parts,
            reply={"text": text, "attachments": [], "option_id": ""}, **more,
        )  # fmt: skip
        return await self.receiver.receive(arrival)

    def rows(self, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
        """What stands in a table."""
        return self.admin.execute(f"SELECT {columns} FROM {table} ORDER BY {order}").fetchall()


@pytest.fixture(params=[True, False], ids=["takes", "for others"])
def takes(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def door(
    services: Services, database: Database, owner: Principal, admin: Admin, takes: bool
) -> AsyncIterator[Door]:
    agent, editor = await new_agent(services, owner, *HELLO)
    await services.publishing.publish(owner, agent.main_flow_id, revision=editor.revision)
    await services.agents.set_on(owner, agent.id, True)
    row, _ = await services.channel_setup.create(
        owner, agent.id, "webhook", settings={"url": "https://example.com/hook"}
    )
    (revision,) = admin.execute("SELECT revision FROM channel WHERE id = %s", (row.id,)).fetchone() or (0,)
    first = Arrival(owner.workspace_id, row.id, revision, "", "", {}, None, {}, [], "", "hash")
    news = News(database, OWNER)
    yield Door(Receiver(database, OWNER, news, takes=takes), admin, first)
    await news.close()


async def test_a_first_message_writes_each_row_once_as_it_is_to_be(door: Door, takes: bool) -> None:
    received, turn = await door.take("u1", "1", "I need a visit", contact={"name": "Olena"}, language="uk")
    assert (received.problem, received.seq, received.is_new) == ("", 1, True)
    assert door.rows("contact", "name, language, fields", "id") == [("Olena", "uk", {"name": "Olena"})]
    assert door.rows("contact_identity", "external_user_id", "1") == [("u1",)]
    columns = (
        "status, language, message_seq, preview, lease_owner, lease_epoch, lease_until IS NULL, pending_since IS NULL"
    )
    lease = (OWNER, 1, False, False) if takes else (None, 0, True, False)
    assert door.rows("conversation", columns, "id") == [("open", "uk", 1, "I need a visit", *lease)]
    inbox = door.rows("inbox", "kind, seq, attempts, state, first_run_at IS NULL, payload ->> 'hash'", "id")
    assert inbox == [("start", 1, int(takes), "pending", not takes, "hash")]
    assert door.rows("message", "seq, role, text, turn_id::text", "seq") == [
        (1, "contact", "I need a visit", str(received.inbox_id))
    ]
    assert (turn is not None) == takes
    if turn is not None:
        assert (turn.epoch, turn.kind, turn.attempts, turn.inbox_seq) == (1, "start", 1, 1)
        assert turn.payload["reply"]["text"] == "I need a visit"
        assert turn.contact_fields["name"] == "Olena"
        assert turn.external_user_id == "u1"


async def test_a_later_message_goes_to_the_same_conversation_and_waits_for_its_turn(door: Door, takes: bool) -> None:
    first, _ = await door.take("u1", "1")
    second, turn = await door.take("u1", "2", "and more", contact={"phone": "+380671112233"})
    assert turn is None, "somebody has it, or it is for others"
    assert (second.conversation_id, second.seq, second.is_new) == (first.conversation_id, 2, True)
    assert door.rows("contact", "phone", "id") == [("+380671112233",)]
    assert door.rows("conversation", "message_seq, preview, pending_since IS NULL", "id") == [(2, "and more", False)]
    assert door.rows("inbox", "kind, seq, state, attempts", "id") == [
        ("start", 1, "pending", int(takes)), ("message", 2, "pending", 0),
    ]  # fmt: skip
    assert door.rows("message", "seq, text, client_id", "seq") == [(1, "hello", ""), (2, "and more", "")]


@pytest.mark.parametrize("takes", [False], ids=["for others"])
async def test_workers_are_woken_once_for_what_waits(door: Door) -> None:
    async def wakes(key: str) -> bool:
        received, turn = await door.take("u1", key)
        assert (received.is_new, turn) == (True, None)
        return received.must_lease

    assert await wakes("1"), "nobody knows of the conversation"
    assert not await wakes("2"), "whoever was told of the first finds the second"
    door.admin.execute("UPDATE conversation SET pending_since = now() - interval '2 seconds'")
    assert await wakes("3"), "nobody came: the call may be lost"
    lease = "UPDATE conversation SET lease_owner = 5, lease_until = clock_timestamp() + make_interval(secs => %s)"
    door.admin.execute(lease, (30,))
    assert not await wakes("4"), "whoever runs a turn sees what waits behind it"
    door.admin.execute(lease, (-1,))
    assert await wakes("5"), "whoever had it has died"
    door.admin.execute("UPDATE inbox SET state = 'done'")
    door.admin.execute("UPDATE conversation SET pending_since = NULL, lease_owner = NULL, lease_until = NULL")
    assert await wakes("6"), "nothing waited"
    known, _ = await door.take("u1", "6")
    assert (known.is_new, known.must_lease) == (False, False)


async def test_what_is_held_for_a_person_starts_no_turn(door: Door) -> None:
    first, _ = await door.take("u1", "1")
    door.admin.execute("UPDATE inbox SET state = 'done'")
    door.admin.execute(
        "WITH h AS (INSERT INTO hand_off (workspace_id, conversation_id, node_id, state, priority, summary, return_by)"
        " SELECT workspace_id, id, 'n', 'waiting', 1, '', 'nobody' FROM conversation RETURNING id)"
        " UPDATE conversation SET hand_off_id = h.id, pending_since = NULL, lease_owner = NULL, lease_until = NULL FROM h"
    )
    held, turn = await door.take("u1", "2", "is anybody there?")
    assert (held.conversation_id, held.seq, turn) == (first.conversation_id, 2, None)
    assert door.rows("conversation", "pending_since IS NULL, preview", "id") == [(True, "is anybody there?")]
    assert door.rows("inbox", "state, done_at IS NULL, payload ? 'held'", "id")[1:] == [("done", False, True)]


async def test_repeats_changes_and_closed_doors_are_told_apart(door: Door) -> None:
    first, _ = await door.take("u1", "1")
    again, _ = await door.take("u1", "1")
    assert (again.problem, again.inbox_id, again.is_new) == ("", first.inbox_id, False)
    changed, _ = await door.take("u1", "1", "hallo", body_hash="other")
    assert (changed.problem, changed.conversation_id) == ("changed", first.conversation_id)
    stale, _ = await door.take("u1", "2", revision=door.first.revision + 1)
    assert (stale.problem, stale.conversation_id, stale.is_new) == ("stale", None, False)
    door.admin.execute("UPDATE agent SET is_on = false")
    off, _ = await door.take("u2", "3")
    assert (off.problem, off.conversation_id, off.seq) == ("agent_off", None, 0)
    door.admin.execute("UPDATE agent SET is_on = true")
    door.admin.execute("UPDATE flow SET live_version_id = NULL")
    empty, _ = await door.take("u2", "3")
    assert empty.problem == "no_version"
    door.admin.execute("UPDATE channel SET is_on = false")
    shut, _ = await door.take("u2", "3")
    assert shut.problem == "channel_off"
    assert door.rows("contact", "1", "1") == [(1,)], "nobody was made who cannot be answered"


async def test_after_the_end_a_known_contact_begins_anew(door: Door) -> None:
    first, _ = await door.take("u1", "1", contact={"name": "Olena"})
    door.admin.execute("UPDATE conversation SET status = 'ended'")
    second, _ = await door.take("u1", "2", contact={"city": "Kyiv"})
    assert second.conversation_id not in (None, first.conversation_id)
    assert second.seq == 1
    assert door.rows("contact", "name, fields ->> 'city'", "id") == [("Olena", "Kyiv")]


async def test_two_first_messages_at_once_make_one_contact(door: Door) -> None:
    taken = await asyncio.gather(*(door.take(f"u{n % 5}", str(n)) for n in range(40)))
    assert len({r.conversation_id for r, _ in taken}) == 5
    assert door.rows("contact", "count(*)", "1") == [(5,)]
    assert door.rows("message", "count(*)", "1") == [(40,)]
    seqs = door.rows("message", "array_agg(seq ORDER BY seq)", "1")
    assert len(seqs) == 1


async def test_a_contact_whom_somebody_makes_in_this_moment_is_not_made_twice(door: Door, postgres: Any) -> None:
    """Triggers and chains begin conversations without the locks of events that come in."""
    with psycopg.connect(postgres.admin_url) as other:
        other.execute(
            "SELECT * FROM open_conversation(%s::uuid, (SELECT agent_id FROM channel WHERE id = %s), %s::uuid, 'webhook', 'u1',"
            " '{\"name\": \"Olena\"}', 'trigger:1', NULL, false, NULL, NULL)",
            (door.first.workspace_id, door.first.channel_id, door.first.channel_id),
        )
        waiting = asyncio.create_task(door.take("u1", "1", contact={"city": "Kyiv"}))
        while not other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:  # type: ignore[index]  # noqa: ASYNC110 (only the server knows)
            await asyncio.sleep(0.01)
        other.commit()
        received, _ = await waiting
    assert (received.problem, received.is_new, received.seq) == ("", True, 1)
    assert door.rows("contact", "name, fields ->> 'city'", "id") == [("Olena", "Kyiv")]
    assert door.rows("conversation", "id, message_seq", "id") == [(received.conversation_id, 1)]
