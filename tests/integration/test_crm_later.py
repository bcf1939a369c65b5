"""A customer system that is away for an hour: conversations go on, and everything is there once, in order, when it is back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.outside_crm import StepCrm
from graph_runtime.services.bound_connections import BoundConnections, Limits
from graph_runtime.services.crm_later import CrmLater
from graph_runtime.services.oauth import OAuth
from graph_runtime.services.vault import Vault
from graph_runtime.storage.crm_writes import CrmWriteSweep
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.encryption import KeyRing
from graph_runtime.worker.crm_writes import CrmLooks
from tests.conversation_world import process
from tests.fakes.kommo import Kommo, kommo
from tests.integration.crm_world import CATALOG, FLOW, KEY, outside
from tests.integration.test_crm import bound

Admin = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


def patient() -> Flow:
    """Writes later when the system is away, and has a task as well."""
    document = FLOW.to_json()
    document["nodes"]["n_crm"]["settings"] |= {"if_away": "later", "task": "Call", "value": "+38050111{{ var.budget }}"}
    return load_flow(document)


class Worker:
    """What looks after the writes; `hours` it is ahead of the clock, for breakers and pauses."""

    def __init__(self, database: Database) -> None:
        vault = Vault(database, KeyRing([KEY]))
        self.ahead = 0.0
        limits = Limits(lambda: time.monotonic() + self.ahead)
        oauth = OAuth(database, CATALOG, vault, "http://localhost/back")
        self.connections = BoundConnections(database, CATALOG, vault, oauth, limits=limits)
        self.looks = CrmLooks(CrmWriteSweep(database), CrmLater(database, self.connections))


async def test_an_hour_without_the_system_loses_nothing(postgres: EmbeddedPostgres, admin: Admin, fake: Kommo) -> None:
    admin.execute("DELETE FROM workspace")
    access = await bound(postgres, fake, patient())
    database = Database(postgres.app_url, min_size=1, max_size=4)
    await database.open()
    worker = Worker(database)
    fake.fail("server_error", times=10**9, path="/api")
    try:
        async with outside(postgres.app_url) as reach, process(postgres.app_url, reach, CATALOG) as side:
            for price in ("500", "600", "700"):
                conversation = await side.begin(access)
                await side.say(access, conversation, price)
                assert (await side.texts(access, conversation))[-1] == "Deal"
        assert fake.records == {"leads": {}, "contacts": {}, "companies": {}}
        for _ in range(3):  # while it is away, attempts change nothing
            admin.execute("UPDATE crm_write SET next_at = now()")
            assert await worker.looks.once() == 3
        waiting = admin.execute("SELECT count(*), min(attempts), max(error) FROM crm_write WHERE state = 'waiting'")
        count, attempts, error = waiting.fetchone() or ()
        assert (count, attempts) == (3, 3)
        assert "Try again" in error or "trouble" in error
        fake.faults.clear()
        admin.execute("UPDATE crm_write SET next_at = now(), at = at - interval '1 hour'")
        worker.ahead = 3600
        fake.fail("reset_after_accept", path="v4/leads$")
        assert await worker.looks.once() == 3
        # One request tries whether it is back, and that one breaks; what came beside it waits for it, and all is done then.
        while admin.execute("SELECT FROM crm_write WHERE state = 'waiting'").fetchall():
            worker.ahead += 60
            admin.execute("UPDATE crm_write SET next_at = now()")
            await worker.looks.once()
    finally:
        await worker.connections.close()
        await database.close()
    assert sorted(lead["price"] for lead in fake.records["leads"].values()) == [500, 600, 700]
    assert len(fake.records["contacts"]) == 3
    assert [n["params"]["text"] for n in fake.notes] == ["From the chat"] * 3
    assert [t["text"] for t in fake.tasks] == ["Call"] * 3
    assert admin.execute("SELECT DISTINCT state, write::text, error FROM crm_write").fetchall() == [("done", "{}", "")]
    told = admin.execute("SELECT data ->> 'outcome' FROM event WHERE data ->> 'what' = 'later: lead'").fetchall()
    assert told == [("ok",)] * 3


async def test_what_the_system_refuses_is_given_up_and_said(
    postgres: EmbeddedPostgres, admin: Admin, fake: Kommo
) -> None:
    admin.execute("DELETE FROM workspace")
    access = await bound(postgres, fake, patient())
    database = Database(postgres.app_url, min_size=1, max_size=4)
    await database.open()
    worker = Worker(database)
    fake.fail("rate_limited", seconds=1, path="/api")
    try:
        async with outside(postgres.app_url) as reach, process(postgres.app_url, reach, CATALOG) as side:
            conversation = await side.begin(access)
            await side.say(access, conversation, "500")
        admin.execute("UPDATE crm_write SET next_at = now()")
        fake.fail("refused", path="v4/leads$")
        assert await worker.looks.once() == 1
    finally:
        await worker.connections.close()
        await database.close()
    state, error = admin.execute("SELECT state, error FROM crm_write").fetchone() or ()
    assert state == "failed"
    assert "price" in error


async def test_what_is_said_when_it_is_back_goes_behind_what_still_waits(
    postgres: EmbeddedPostgres, admin: Admin, fake: Kommo
) -> None:
    admin.execute("DELETE FROM workspace")
    document = patient().to_json()
    document["nodes"]["n_crm"]["settings"]["value"] = "+380501112233"
    document["edges"] |= {"n_done.next": "n_ask", "n_sorry.next": "n_ask"}
    access = await bound(postgres, fake, load_flow(document))
    database = Database(postgres.app_url, min_size=1, max_size=4)
    await database.open()
    worker = Worker(database)
    try:
        async with outside(postgres.app_url) as reach, process(postgres.app_url, reach, CATALOG) as side:
            conversation = await side.begin(access)
            fake.fail("server_error", times=1, path="/api")
            await side.say(access, conversation, "500")
            await side.say(access, conversation, "600")  # it is back, and 500 still waits
            assert fake.records["leads"] == {}
            for _ in range(2):
                admin.execute("UPDATE crm_write SET next_at = now()")
                await worker.looks.once()
            await side.say(access, conversation, "700")
    finally:
        await worker.connections.close()
        await database.close()
    assert [lead["price"] for lead in fake.records["leads"].values()] == [700]
    written = [c.body["price"] for c in fake.journal if c.method == "PATCH" and c.accepted]
    assert written == [600, 700], "in the order in which it was said; 500 was there from the beginning"


async def test_a_repeated_turn_puts_nothing_aside_twice() -> None:
    journal, asked = MemoryJournal(), []

    class Doors:
        effects = journal

        class connections:  # noqa: N801  # stands where an object stands
            @staticmethod
            async def put_aside(slot: str, about: dict[str, Any]) -> None:
                asked.append((slot, about["key"], about["write"]))

    class Turn:
        doors = Doors

        class trigger:  # noqa: N801  # as above
            is_test, conversation_id, turn_id = False, "c", "t"

        @staticmethod
        def emit(*_: Any, **__: Any) -> None: ...

    def door() -> StepCrm:
        keys = iter(f"s/{n}" for n in range(9))
        return StepCrm(Turn, "n", "crm", lambda: next(keys))  # type: ignore[arg-type]

    first = door()
    assert not await first.was_put_aside()
    await first.put_aside({"entity": "lead"})
    assert await door().was_put_aside()
    assert asked == [("crm", "s/0", {"entity": "lead"})]
