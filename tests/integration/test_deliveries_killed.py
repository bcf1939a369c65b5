"""A worker is killed or frozen in the middle of a send; another goes on by the rule of the channel's send class."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.delivery_world import Place, sending
from tests.fakes.webhook_receiver import WebhookReceiver, receiving
from tests.integration.test_deliveries import QUIET, all_are, flags, letters, outbox, talk, until

Admin = psycopg.Connection[tuple[object, ...]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _nothing_left_to_send(admin: Admin) -> None:
    admin.execute("DELETE FROM workspace")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with receiving() as fake:
        yield fake


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real worker process; killed at the end if it still lives."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.mortal_sender", url, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        assert await asyncio.wait_for(child.stdout.readline(), 60) == b"ready\n"
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
            await child.communicate()


Case = tuple[str, str, int, str, bool, list[str]]
"""Connector, on_unknown, taken in by the receiver, state, flagged, letters."""
KILLED: list[Case] = [
    ("webhook", "", 2, "sent", False, []),
    ("fake_reconcile", "at_least_once", 1, "sent", False, []),
    ("fake_blind", "at_least_once", 2, "sent", True, []),
    ("fake_blind", "at_most_once", 1, "unknown", False, ["outcome_unknown"]),
]


@pytest.mark.parametrize("case", KILLED, ids=lambda case: f"{case[0]} {case[1]}")
async def test_killed_while_sending(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin, case: Case
) -> None:
    connector, on_unknown, taken_in, state, flagged, reasons = case
    place = Place(postgres.admin_url, QUIET)
    lane = receiver.lane()
    settings = {"on_unknown": on_unknown} if on_unknown else {}
    async with sending(postgres.app_url, is_started=False) as side:
        channel = await side.add(place, connector, receiver.url(lane), **settings)
        if connector != "webhook":
            await side.begin(channel.access(place))
            admin.execute("UPDATE outbox SET state = 'sent' WHERE workspace_id = %s", (place.workspace_id,))
        lane.fail("hang")
        async with worker(postgres.app_url) as child:
            await talk(side, place, channel, "hello")
            await until(lambda: lane.journal, 20)
            assert outbox(admin, place)[-1][0] == "sending"
            child.send_signal(signal.SIGKILL)
            await child.communicate()
        side.start_sending()
        await talk(side, place, channel, "and then")
        await until(lambda: outbox(admin, place)[-1][0] == "sent", 20)
        await until(lambda: outbox(admin, place)[-2][0] == state)
    assert lane.texts.count("hello") == taken_in
    assert lane.texts[-1] == "and then"
    assert len({a.key for a in lane.accepted if a.data["text"] == "hello"}) == 1
    assert outbox(admin, place)[-2][2] is flagged
    assert [f for f in flags(admin, place) if f] == (
        [{"possibly_duplicate": True}] if flagged else [{"undelivered": reason} for reason in reasons]
    )
    assert letters(admin, place) == reasons
    if connector == "fake_reconcile":
        row = admin.execute(
            "SELECT vendor_id FROM outbox WHERE workspace_id = %s ORDER BY place", (place.workspace_id,)
        )
        assert row.fetchall()[-2] == ("r1",)


async def test_a_frozen_worker_loses_its_claim_and_writes_nothing_when_it_wakes(
    postgres: EmbeddedPostgres, receiver: WebhookReceiver, admin: Admin
) -> None:
    place = Place(postgres.admin_url, QUIET)
    lane = receiver.lane()
    lane.fail("slow", seconds=1.5)
    async with sending(postgres.app_url, lease_seconds=1, is_started=False) as side:
        channel = await side.add(place, "webhook", receiver.url(lane))
        async with worker(postgres.app_url) as child:
            await channel.post(side, "u1", "hello")
            await until(lambda: lane.journal, 20)
            child.send_signal(signal.SIGSTOP)
            side.start_sending()
            await until(lambda: all_are(admin, place, "sent"), 20)
            epoch, vendor = _claim(admin, place)
            child.send_signal(signal.SIGCONT)
            # It wakes, finds its answer, and may send the next message; of the first it writes nothing.
            await side.stop_sending()
            await channel.post(side, "u2", "next")
            await until(lambda: all_are(admin, place, "sent", "sent"), 20)
            assert _claim(admin, place) == (epoch, vendor)
    assert vendor == "r2"
    assert len(lane.delivered) == 2


def _claim(admin: Admin, place: Place) -> tuple[object, ...]:
    row = admin.execute(
        "SELECT claim_epoch, vendor_id FROM outbox WHERE workspace_id = %s ORDER BY place LIMIT 1",
        (place.workspace_id,),
    ).fetchone()
    assert row is not None
    return row
