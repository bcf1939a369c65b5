"""A deal from the first question to the person who takes over, while ten workers die on the way: it is there once."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from graph_runtime.contract.flow import load_flow
from graph_runtime.contract.messages import Reply
from graph_runtime.services.conversation_side import Part
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.worker.main import work
from tests.conversation_world import process
from tests.fakes.kommo import Kommo, kommo
from tests.integration import lead_world
from tests.integration.crm_world import CATALOG, outside
from tests.integration.lead_world import ANSWERS, LEAD, PHONE
from tests.integration.test_crm import bound
from tests.integration.test_turns_killed import until

Admin = psycopg.Connection[tuple[Any, ...]]
KILLS = {
    0: (("GET", "contacts?", "before"), ("GET", "contacts?", "after")),
    1: (("POST", "/contacts", "after"), ("POST", "/leads", "after")),
    2: (("PATCH", "/leads/", "before"), ("PATCH", "/leads/", "after")),
    3: (("POST", "/notes", "after"), ("POST", "/tasks", "after")),
}
"""Two of each turn: the third attempt is the last. Where: before a request, or after it was taken in and before that was kept."""
MORE = (("GET", "account", "before"), ("GET", "account", "before"))
"""Two that die while they wait for work."""


@pytest.fixture
def fake() -> Iterator[Kommo]:
    with kommo() as account:
        yield account


async def test_ten_workers_die_and_the_deal_is_there_once(
    postgres: EmbeddedPostgres, admin: Admin, fake: Kommo
) -> None:
    access = await bound(postgres, fake, load_flow(LEAD))
    # One server that has imported everything; each worker is a fork of it, as quick to start as to kill.
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([lead_world.__name__])
    killed = 0
    nothing_here = Part(runs_what_it_accepts=False)
    async with outside(postgres.app_url) as reach, process(postgres.app_url, reach, CATALOG, nothing_here) as side:
        conversation = await side.begin(access)
        for turn, text in enumerate(("", *ANSWERS)):
            if text:
                await side.conversations.receive(access, conversation, Reply(text=text), dedupe_key=f"key{turn}")
            # What was accepted elsewhere is left to its process for three seconds; these are over.
            admin.execute("UPDATE conversation SET pending_since = pending_since - interval '5 seconds'")
            for place in KILLS.get(turn - 1, MORE):
                heard, told = forks.Pipe(duplex=False)
                child = forks.Process(target=lead_world.worker, args=(postgres.app_url, *place, told), daemon=True)
                child.start()
                told.close()
                try:
                    assert place in MORE or await asyncio.to_thread(heard.poll, 20), (turn, place)
                finally:
                    child.kill()
                    await asyncio.to_thread(child.join)
                    heard.close()
                    killed += 1
            stop = asyncio.Event()
            worker = asyncio.create_task(work(side, stop))
            await until(side, access, conversation, 2 * turn + 1)
            await side.settle()
            stop.set()
            await worker
        said = await side.texts(access, conversation)
    assert killed == 10
    assert said[0::2] == ["Your number?", "Your name?", "Which day?", "Any wishes?", "One moment."]
    assert [len(fake.calls("POST", f"/api/v4/{what}")) for what in ("contacts", "leads", "tasks")] == [1, 1, 1]
    (number,) = fake.records["leads"]
    assert len(fake.calls("POST", f"/api/v4/leads/{number}/notes")) == 1
    deal = fake.records["leads"][number]
    assert (deal["name"], deal["status_id"]) == ("Bouquet for Olena", 12)
    assert [n["params"]["text"] for n in fake.notes] == ["Wishes: no lilies"]
    (person,) = fake.records["contacts"].values()
    assert PHONE in str(person)
