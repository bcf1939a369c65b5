"""What a write to the customer system adds to a turn besides the vendor's own time, and what its outage costs others.

The fake Kommo is a process of its own. The same turn is taken with and without the step, alternately; the vendor's time is
that of a plain client that makes the same requests over one kept connection.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from connectors.kommo.connector import CONNECTOR as KOMMO
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.contract.messages import Reply
from graph_runtime.places import REPOSITORY
from graph_runtime.services.bound_connections import BoundConnections, Limits
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.credentials import Credentials
from graph_runtime.services.crm_later import CrmLater
from graph_runtime.services.oauth import OAuth
from graph_runtime.services.principal import system_principal
from graph_runtime.services.turn_world import Outside
from graph_runtime.services.vault import Vault
from graph_runtime.storage import agents
from graph_runtime.storage.crm_writes import CrmWriteSweep
from graph_runtime.storage.database import Database
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.encryption import KeyRing
from graph_runtime.worker.crm_writes import CrmLooks
from tests.conversation_world import Process, process, publish
from tests.fakes.kommo import LONG_TOKEN
from tests.integration import crm_world

TURNS = 200
DEALS = 20
OUTAGE_TURNS = 250


def talk(*, writes: bool, waits: bool = False) -> Flow:
    """Asks, writes the answer into a deal, answers, and asks again; or the same without writing. `waits`: what cannot be
    written now is written when the account is back."""
    crm = {
        "entity": "lead",
        "by": "id",
        "value": "{{ var.deal }}",
        "values": [{"field": "name", "value": "{{ var.x }}"}],
        "if_away": "later" if waits else "error",
    }
    nodes: dict[str, Any] = {
        "n_start": {"type": "start"},
        "n_ask": {"type": "ask", "settings": {"text": "Next?", "save_to": "x"}},
        "n_deal": {
            "type": "set_variable",
            "settings": {"assignments": [{"id": "i_1", "save_to": "deal", "kind": "text", "value": "1001"}]},
        },
        "n_said": {"type": "send_message", "settings": {"text": "Noted: {{ var.x }}"}},
        "n_end": {"type": "end"},
    }
    edges = {"n_start.next": "n_ask", "n_ask.answered": "n_deal", "n_ask.no_reply": "n_end", "n_deal.next": "n_said",
             "n_said.next": "n_ask"}  # fmt: skip
    if writes:
        nodes["n_crm"] = {"type": "crm_update", "settings": crm}
        edges |= {"n_deal.next": "n_crm", "n_crm.next": "n_said", "n_crm.error": "n_said"}
    variables = {name: {"type": "text", "label": name} for name in ("x", "deal")}
    more = {"connections": {"crm": {"kind": "crm", "label": "CRM"}}} if writes else {}
    return load_flow(
        {
            "format": "flow/1",
            "entry": {"message": "n_start"},
            "variables": variables,
            "nodes": nodes,
            "edges": edges,
            **more,
        }
    )


class Vendor:
    """The fake in its own process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.benchmarks.parts.kommo_server"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)}, text=True,
        )  # fmt: skip
        self.url = self._line()

    def tell(self, what: str) -> list[list[Any]]:
        """Do something; what was asked since the last time: method, path, body, whether it was taken in."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        found: list[list[Any]] = json.loads(self._line())
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def times(self, requests: list[list[Any]], count: int) -> list[float]:
        """Milliseconds a plain client takes for these requests, one after another, on one connection."""
        where = urlsplit(self.url)
        line = http.client.HTTPConnection(where.hostname or "", where.port)
        headers = {"Authorization": f"Bearer {LONG_TOKEN}", "Content-Type": "application/json"}
        found = []
        for _ in range(count):
            began = time.perf_counter()
            for method, path, body, _ in requests:
                line.request(method, path, None if body is None else json.dumps(body), headers)
                line.getresponse().read()
            found.append((time.perf_counter() - began) * 1000)
        line.close()
        return found


class Talker:
    """One conversation."""

    def __init__(self, side: Process, access: ChannelAccess, conversation: str) -> None:
        self._side, self._access, self._conversation = side, access, conversation
        self.said: list[str] = []

    async def turn(self) -> float:
        """Milliseconds from receiving a message to the committed answer."""
        service, text, began = self._side.conversations, uuid4().hex, time.perf_counter()
        accepted = await service.receive(self._access, self._conversation, Reply(text=text), dedupe_key=text)
        self.said.append(text)
        assert await service.wait_for_turn(self._access, self._conversation, accepted.inbox_id, 60) is not None
        return (time.perf_counter() - began) * 1000


class Later:
    """The ways out, with a clock that can be moved: `ahead`, in seconds."""

    def __init__(self, database: Database, catalog: Catalog, vault: Vault, oauth: OAuth) -> None:
        self.ahead = 0.0
        limits = Limits(lambda: time.monotonic() + self.ahead)
        self.connections = BoundConnections(database, catalog, vault, oauth, limits=limits)


@asynccontextmanager
async def opened(
    postgres: EmbeddedPostgres, url: str, *, waits: bool = False
) -> AsyncIterator[tuple[Process, ChannelAccess, ChannelAccess, Later]]:
    """A process, an agent that writes and one that does not. The account's own rate is lifted: it is no cost of ours."""
    catalog = crm_world.CATALOG
    assert KOMMO.http is not None
    free = replace(KOMMO, http=replace(KOMMO.http, rate=None))
    for name in ("folder", "texts"):
        object.__setattr__(free, name, getattr(catalog.connectors["kommo"], name))
    catalog = Catalog(catalog.nodes, {**catalog.connectors, "kommo": free})
    writes, plain = (publish(postgres.admin_url, talk(writes=w, waits=waits)) for w in (True, False))
    who = system_principal(writes.workspace_id)
    database = Database(postgres.app_url, min_size=1, max_size=4)
    await database.open()
    vault = Vault(database, KeyRing([crm_world.KEY]))
    values = {"base_url": url, "long_token": LONG_TOKEN, "allow_private_host": True}
    row = await Credentials(database, catalog, vault).create(who, "kommo", "Shop", values)
    async with database.workspace(who.workspace_id) as connection:
        await agents.bind(
            connection, writes.agent_id, "crm", {"credential_id": row.id, "connector": "kommo", "model": ""}
        )
    oauth = OAuth(database, catalog, vault, "http://localhost/back")
    later = Later(database, catalog, vault, oauth)
    connections = later.connections
    try:
        async with process(postgres.app_url, Outside(connections=connections.of), catalog) as side:
            yield side, writes, plain, later
    finally:
        await connections.close()
        await database.close()


async def measure(postgres: EmbeddedPostgres) -> dict[str, float]:
    """Figures, in milliseconds and ratios."""
    vendor = Vendor()
    try:
        vendor.tell(f"leads {DEALS}")
        async with opened(postgres, vendor.url) as (side, writes, plain, _):
            found = await _own_time(side, writes, plain, vendor)
        async with opened(postgres, vendor.url, waits=True) as (side, writes, plain, later):
            return found | await _outage(side, writes, plain, vendor, (postgres, later))
    finally:
        vendor.close()


async def _own_time(side: Process, writes: ChannelAccess, plain: ChannelAccess, vendor: Vendor) -> dict[str, float]:
    with_it = Talker(side, writes, await side.begin(writes))
    without = Talker(side, plain, await side.begin(plain))
    for _ in range(20):
        await with_it.turn()
        await without.turn()
    vendor.tell("look")
    await with_it.turn()
    requests = vendor.tell("look")
    assert [r[0] for r in requests] == ["GET", "PATCH"], requests
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        found[0].append(await with_it.turn())
        found[1].append(await without.turn())
    theirs = statistics.median(await asyncio.to_thread(vendor.times, requests, TURNS))
    both = [statistics.median(f) for f in found]
    return {
        "crm_turn_with_a_write_ms": both[0], "crm_turn_without_ms": both[1], "crm_vendors_own_ms": theirs,
        "crm_write_own_ms": both[0] - both[1] - theirs,
    }  # fmt: skip


async def _outage(
    side: Process,
    writes: ChannelAccess,
    plain: ChannelAccess,
    vendor: Vendor,
    more: tuple[EmbeddedPostgres, Later],
) -> dict[str, float]:
    """Eight people chat while two others talk with the agent that writes; once with the account there, once without."""

    said: list[str] = []
    taken_in: list[list[Any]] = []

    async def chat() -> float:
        over = asyncio.Event()
        others = [Talker(side, writes, await side.begin(writes)) for _ in range(2)]
        chatting = [Talker(side, plain, await side.begin(plain)) for _ in range(8)]

        async def keep(one: Talker) -> None:
            while not over.is_set():
                await one.turn()
                await asyncio.sleep(0.05)

        async def say(one: Talker) -> list[float]:
            found = []
            for _ in range(OUTAGE_TURNS // 8):
                found.append(await one.turn())
                await asyncio.sleep(0.02)
            return found

        beside = [asyncio.create_task(keep(one)) for one in others]
        took = await asyncio.gather(*(say(one) for one in chatting))
        over.set()
        await asyncio.gather(*beside)
        said.extend(text for one in others for text in one.said)
        return statistics.median([ms for row in took for ms in row])

    rounds: dict[str, list[float]] = {"up": [], "down": []}
    for _ in range(3):
        for state, found in rounds.items():
            taken_in += vendor.tell(state)
            found.append(await chat())
    taken_in += vendor.tell("up")
    later = await _written_later(*more, side)
    taken_in += vendor.tell("look")
    written = {body["name"] for method, _, body, accepted in taken_in if method == "PATCH" and accepted}
    up, down = (statistics.median(found) for found in rounds.values())
    return {
        "chat_while_the_crm_is_there_ms": up,
        "chat_while_it_is_away_ms": down,
        "crm_outage_ratio": down / up,
        "crm_updates": len(said),
        "crm_updates_lost": len({*said} - written),
    } | later


async def _written_later(postgres: EmbeddedPostgres, later: Later, side: Process) -> dict[str, float]:
    """What was put aside while the account was away: how much, and how much of it still waits when it has been back."""
    later.ahead = 3600  # the hour is over, for the breaker as well
    looks = CrmLooks(CrmWriteSweep(side.database), CrmLater(side.database, later.connections))
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:

        def counted(where: str) -> float:
            row = admin.execute(f"SELECT count(*) FROM crm_write {where}").fetchone()
            return float(row[0]) if row else 0.0

        admin.execute("UPDATE crm_write SET next_at = now(), at = at - interval '1 hour'")
        began = time.perf_counter()
        while await looks.once():
            pass
        return {
            "crm_put_aside": counted(""), "crm_still_waiting": counted("WHERE state <> 'done'"),
            "crm_catching_up_s": time.perf_counter() - began,
        }  # fmt: skip
